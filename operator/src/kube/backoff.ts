/**
 * How long to wait before the next try.
 *
 * Promises full jitter below an exponential limit, so that a fleet that lost its API server does not come back at once, and
 * that a server's Retry-After is kept, up to a limit. Pure: takes its randomness as an argument.
 *
 * @see https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
 */

/** The shape of a back-off: the limit doubles with each failure from `firstMs` to `maxMs`. */
export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** No server may park us for longer than this, whatever its Retry-After says. */
export const RETRY_AFTER_MAX_MS = 60_000;

/**
 * The delay before the next try.
 *
 * @param backoff - Limits.
 * @param failureCount - How many tries failed in a row, from 1.
 * @param random - A number of [0, 1).
 * @param retryAfterMs - What the server asked for, if it did: waited for in full, the jitter comes on top.
 */
export function backoffMs(backoff: Backoff, failureCount: number, random: number, retryAfterMs = 0): number {
  const limitMs = Math.min(backoff.maxMs, backoff.firstMs * 2 ** (failureCount - 1));
  return Math.min(retryAfterMs, RETRY_AFTER_MAX_MS) + Math.round(limitMs * random);
}
