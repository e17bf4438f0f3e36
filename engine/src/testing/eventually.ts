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
 * @throws {Error} That names `what`, after 30 s.
 */
export async function eventually<Value>(
  what: string,
  look: () => Promise<Value | undefined | false> | Value | undefined | false,
): Promise<Value> {
  const endMs = performance.now() + DEADLINE_MS;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > endMs) throw new Error(`${what}: not within ${DEADLINE_MS} ms`);
    await delay(LOOK_EVERY_MS);
  }
}
