/**
 * The time that this library lives by: a steady clock to measure with, a wall clock to write into objects, timers.
 *
 * Promises that no measured duration depends on the wall clock, which may be set while we run. Tests pass a clock that
 * they turn by hand.
 */
import { performance } from "node:perf_hooks";

/** What tells the time. */
export interface Clock {
  /** Milliseconds that only grow, from any origin. */
  steadyMs(): number;
  /** The time of day, for records that people and other programs read. */
  wallTime(): Date;
  /** Calls back once, after at least `delayMs`; the returned function cancels. */
  after(delayMs: number, callback: () => void): () => void;
}

/** Node calls a longer timer at once. */
const NODE_TIMER_MAX_MS = 2 ** 31 - 1;

/** The clock of the machine. */
export const systemClock: Clock = {
  steadyMs: () => performance.now(),
  wallTime: () => new Date(),
  after: (delayMs, callback) => {
    let cancel = (): void => {};
    const arm = (leftMs: number): void => {
      const partMs = Math.min(leftMs, NODE_TIMER_MAX_MS);
      const timer = setTimeout(() => (leftMs > partMs ? arm(leftMs - partMs) : callback()), partMs);
      cancel = () => clearTimeout(timer);
    };
    arm(Math.max(0, delayMs));
    return () => cancel();
  },
};

/**
 * Waits.
 *
 * @returns When the time is over or the signal aborts, whichever is first; it never rejects.
 */
export function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const wake = (): void => {
      cancel();
      signal.removeEventListener("abort", wake);
      resolve();
    };
    const cancel = clock.after(delayMs, wake);
    signal.addEventListener("abort", wake, { once: true });
  });
}
