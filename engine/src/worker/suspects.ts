/**
 * Which of a worker's claims wait for the sake of a suspect: a run that earlier owners died on is replayed alone.
 *
 * Promises that nothing is claimed beside a suspect that is at work, and that a worker which never rests pauses now and
 * then so that a suspect gets its turn. Claims nothing itself.
 */
import type { OwnedRun } from "./owned-run.ts";

/** A worker that never rests stops claiming for this long, so that a suspect gets its turn alone. */
const PAUSE_MS = 5_000;

export class Suspects {
  readonly #nowMs: () => number;
  #held: OwnedRun | undefined;
  #ready = false;
  #pausedAtMs = -Infinity;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Suspects were ready when somebody last looked. */
  get ready(): boolean {
    return this.#ready;
  }

  set ready(ready: boolean) {
    this.#ready = ready;
  }

  /** Claims nothing for a while, unless it has just done so. */
  pause(): void {
    const nowMs = this.#nowMs();
    if (nowMs - this.#pausedAtMs > 2 * PAUSE_MS) this.#pausedAtMs = nowMs;
  }

  unpause(): void {
    this.#pausedAtMs = -Infinity;
  }

  /** This one is alone here while it is at work. */
  hold(run: OwnedRun | undefined): void {
    this.#held = run;
  }

  /** Lets go of a suspect that rests now; false when there is none. */
  release(): boolean {
    if (this.#held === undefined || isAtWork(this.#held)) return false;
    this.#held = undefined;
    return true;
  }

  /** Whether claims wait: a suspect is alone here, or shall be. */
  get restrained(): boolean {
    if (this.#held !== undefined && isAtWork(this.#held)) return true;
    this.#held = undefined;
    return this.#nowMs() - this.#pausedAtMs < PAUSE_MS;
  }
}

function isAtWork(run: OwnedRun): boolean {
  return !run.dropped && run.busy;
}
