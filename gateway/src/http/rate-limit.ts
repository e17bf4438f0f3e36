/**
 * How many requests a subject may make: a bucket for each, filled evenly.
 *
 * Takes the time as an argument. Keeps no more subjects than `SUBJECTS_MAX`: one whose bucket is full again is forgotten, since a
 * new one is as good.
 */

/** What a subject may do. */
export interface RateLimits {
  /** Requests a second, in the long run. */
  readonly requestsPerSecond: number;
  /** Requests at once. */
  readonly burst: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

const SUBJECTS_MAX = 10_000;

export class RateLimiter {
  readonly #limits: RateLimits;
  readonly #buckets = new Map<string, Bucket>();

  constructor(limits: RateLimits) {
    this.#limits = limits;
  }

  /**
   * Takes one request from a subject's bucket.
   *
   * @returns 0 when it may go on, else the milliseconds after which it may come again.
   */
  take(subject: string, nowMs: number): number {
    const { requestsPerSecond, burst } = this.#limits;
    const bucket = this.#bucketOf(subject, nowMs);
    bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) / 1_000) * requestsPerSecond);
    bucket.atMs = nowMs;
    if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) / requestsPerSecond) * 1_000);
    bucket.tokens -= 1;
    return 0;
  }

  #bucketOf(subject: string, nowMs: number): Bucket {
    const known = this.#buckets.get(subject);
    // Put behind the others: those that were not heard of for long stand first.
    if (known !== undefined) this.#buckets.delete(subject);
    const bucket = known ?? { tokens: this.#limits.burst, atMs: nowMs };
    this.#buckets.set(subject, bucket);
    if (this.#buckets.size > SUBJECTS_MAX) this.#forgetOldest();
    return bucket;
  }

  #forgetOldest(): void {
    for (const subject of this.#buckets.keys()) {
      this.#buckets.delete(subject);
      return;
    }
  }
}
