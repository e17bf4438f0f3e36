/** A rate limit that allows bursts: so many at once, and one more each time that passes. Pure but for its own count. */

/** Tokens, which come back with time. */
export class TokenBucket {
  readonly #countMax: number;
  readonly #refillMs: number;
  #count: number;
  #countedMs: number;

  /**
   * @param countMax - Tokens when full, as it begins.
   * @param refillMs - After which one comes back.
   * @param nowMs - By a steady clock.
   */
  constructor(countMax: number, refillMs: number, nowMs: number) {
    this.#countMax = countMax;
    this.#refillMs = refillMs;
    this.#count = countMax;
    this.#countedMs = nowMs;
  }

  /** @returns Whether there was a token to take. */
  take(nowMs: number): boolean {
    this.#count = Math.min(this.#countMax, this.#count + (nowMs - this.#countedMs) / this.#refillMs);
    this.#countedMs = nowMs;
    if (this.#count < 1) return false;
    this.#count--;
    return true;
  }
}
