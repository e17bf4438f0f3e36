/**
 * How long to wait before the next try.
 *
 * Promises full jitter below an exponential limit, so that a fleet that lost its database does not come back at once.
 * Pure: takes its randomness as an argument.
 *
 * @see https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
 */

/** The shape of a back-off. */
export interface Backoff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * The delay before try number `attempt`.
 *
 * @param backoff - Limits; the limit doubles with each try from `firstMs` to `maxMs`.
 * @param attempt - How many tries failed in a row, from 1.
 * @param random - A number of 0..1.
 * @returns Whole milliseconds between half of the limit and the limit.
 */
export function backoffMs(backoff: Backoff, attempt: number, random: number): number {
  const limitMs = Math.min(backoff.maxMs, backoff.firstMs * 2 ** (attempt - 1));
  return Math.round(limitMs / 2 + (limitMs / 2) * random);
}
