/**
 * One timer of the process for all due times: it sleeps until the next one.
 *
 * Promises that an earlier due time wakes it earlier; the due times themselves are another's.
 */

/** The longest sleep: a clock that was corrected meanwhile is noticed then. */
const SLEEP_MAX_MS = 60_000;

export class DueTimer {
  readonly #nowMs: () => number;
  readonly #nextDueMs: () => number | undefined;
  readonly #fire: () => void;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = Infinity;
  #stopped = false;

  constructor(options: {
    nowMs(): number;
    /** The earliest due time; undefined for none. */
    nextDueMs(): number | undefined;
    /** Called when it is due, and now and then before. */
    fire(): void;
  }) {
    this.#nowMs = () => options.nowMs();
    this.#nextDueMs = () => options.nextDueMs();
    this.#fire = () => options.fire();
  }

  /** The next due time may be earlier than it was. */
  arm(): void {
    const dueMs = this.#nextDueMs();
    if (dueMs === undefined || this.#stopped || dueMs >= this.#dueMs) return;
    clearTimeout(this.#timer);
    this.#dueMs = dueMs;
    const waitMs = Math.min(SLEEP_MAX_MS, Math.max(0, Math.ceil(dueMs - this.#nowMs())));
    this.#timer = setTimeout(() => {
      this.#dueMs = Infinity;
      if (this.#stopped) return;
      this.#fire();
      this.arm();
    }, waitMs);
    this.#timer.unref();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
