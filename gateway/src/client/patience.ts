/** When to call again after an answer that is none: the gateway restarts, is too busy, or its database is away. */
import { GatewayProblem } from "./gateway-client.ts";

const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

/** Waits that grow from one failure to the next. */
export class Patience {
  #waitMs = FIRST_WAIT_MS;

  /** There was an answer. */
  reset(): void {
    this.#waitMs = FIRST_WAIT_MS;
  }

  /** Waits; throws what can't be waited for. */
  async after(error: unknown, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (!mayPass(error)) throw error;
    const saidMs = error instanceof GatewayProblem ? (error.retryAfterSeconds ?? 0) * 1_000 : 0;
    const waitMs = Math.max(Math.min(saidMs, LONGEST_WAIT_MS), this.#waitMs * (0.5 + Math.random()));
    this.#waitMs = Math.min(this.#waitMs * 2, LONGEST_WAIT_MS);
    await pause(waitMs, signal);
  }
}

/** Waits, or rejects when the signal comes. */
export async function pause(waitMs: number, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, waitMs);
  const stop = (): void => reject(signal?.reason instanceof Error ? signal.reason : new Error("aborted"));
  signal?.addEventListener("abort", stop, { once: true });
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/** Whether the same call may succeed later: no answer came at all, or one that says so. */
function mayPass(error: unknown): boolean {
  if (error instanceof GatewayProblem) return [429, 502, 503, 504].includes(error.status);
  // What fetch throws when a connection fails, and what a body throws that is cut off.
  return error instanceof TypeError || (error instanceof Error && "code" in error);
}
