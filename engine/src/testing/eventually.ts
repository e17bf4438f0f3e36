/**
 * Waits for a condition that nobody announces, by looking again and again.
 *
 * For tests: production code has events to wait for.
 */
import { setTimeout as delay } from "node:timers/promises";

const DEADLINE_MS = 30_000;
const LOOK_EVERY_MS = 10;

/**
 * Waits until `look` gives something that is neither false nor undefined, and returns it.
 *
 * @param deadlineMs - Default 30 s.
 * @throws {Error} That names `what`, after the deadline.
 */
export async function eventually<Value>(
  what: string,
  look: () => Promise<Value | undefined | false> | Value | undefined | false,
  deadlineMs: number = DEADLINE_MS,
): Promise<Value> {
  const endMs = performance.now() + deadlineMs;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > endMs) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await delay(LOOK_EVERY_MS);
  }
}
