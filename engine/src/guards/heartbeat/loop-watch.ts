/**
 * Decides, from what is seen of the main loop now and then, whether it is blocked and for how long.
 *
 * Promises that time in which this whole process stood still (SIGSTOP, a suspended machine) does not count: then the
 * watcher was not called either. Pure: it is told how much time has passed.
 */

/** What to do about the main loop. `report` and `kill` come once per blockage. */
export type LoopVerdict = "fine" | "report" | "kill";

/** Limits of a turn of the main loop. */
export interface LoopLimits {
  /** How often the loop is looked at; a longer pause between two looks counts as twice this. */
  readonly watchMs: number;
  readonly reportMs: number;
  readonly killMs: number;
}

export class LoopWatch {
  readonly #limits: LoopLimits;
  #turnCount: number | undefined;
  #blockedMs = 0;
  #said: LoopVerdict = "fine";

  constructor(limits: LoopLimits) {
    this.#limits = limits;
  }

  /** How long the loop has not turned, as far as it was watched. */
  get blockedMs(): number {
    return this.#blockedMs;
  }

  /**
   * Takes one look.
   *
   * @param turnCount - A number that changes when the loop turns.
   * @param elapsedMs - Time since the look before.
   */
  look(turnCount: number, elapsedMs: number): LoopVerdict {
    const { watchMs, reportMs, killMs } = this.#limits;
    if (turnCount !== this.#turnCount) {
      this.#turnCount = turnCount;
      this.#blockedMs = 0;
      this.#said = "fine";
      return "fine";
    }
    this.#blockedMs += Math.min(elapsedMs, 2 * watchMs);
    if (this.#blockedMs > killMs && this.#said !== "kill") return this.#say("kill");
    if (this.#blockedMs > reportMs && this.#said === "fine") return this.#say("report");
    return "fine";
  }

  #say(verdict: LoopVerdict): LoopVerdict {
    this.#said = verdict;
    return verdict;
  }
}
