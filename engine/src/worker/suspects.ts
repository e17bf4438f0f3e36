/**
 * The turns of suspects: a run that earlier owners died on is replayed alone, and the other claims of its worker wait.
 *
 * Promises that nothing is claimed beside a suspect while its code, or an attempt that has just begun, may end the
 * process, but no longer than HOLD_MAX_MS; that suspects whose worker rests follow one another at once; and that a
 * worker which never rests takes one all the same, after a pause, and then works for itself for a while. Who blocks the
 * main loop is not waited for: the thread that watches it ends the process.
 */
import type { OwnedRun } from "./owned-run.ts";

/** How long a worker that does not rest claims nothing else before it takes a suspect. */
const PAUSE_MS = 5_000;
/** An attempt that has run for so long, while no code of its run did, is no more likely to end the process than others. */
const QUIET_MS = 2_000;
/** The longest time for which a suspect is alone. */
const HOLD_MAX_MS = 10_000;
/** After a turn that does not find the worker at rest it takes no other suspect for so long. */
const OWN_WORK_MS = 10_000;
const LOOK_EVERY_MS = 250;

/** What the turns need of their worker. */
export interface SuspectsHost {
  nowMs(): number;
  /** Runs and leased attempts at work. */
  atWork(): number;
  /** Claims one suspect; undefined when there is none. */
  claim(): Promise<OwnedRun | undefined>;
  /** The other claims may go on. */
  resume(): void;
}

/** `waiting`: until the worker rests, or the pause is over. */
type Turn =
  | { readonly kind: "none" | "waiting" | "claiming" }
  | { readonly kind: "held"; readonly run: OwnedRun; readonly sinceMs: number };

const NONE: Turn = { kind: "none" };

export class Suspects {
  readonly #host: SuspectsHost;
  #turn: Turn = NONE;
  /** Suspects were ready when somebody last looked. */
  #ready = false;
  #notBeforeMs = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(host: SuspectsHost) {
    this.#host = host;
  }

  /** Whether the other claims wait. */
  get restrained(): boolean {
    return this.#turn.kind !== "none";
  }

  /** Somebody has looked whether there are suspects. */
  expect(ready: boolean): void {
    this.#ready = ready;
    if (this.#turn.kind === "waiting" && !ready) this.#end();
    if (!ready || this.#turn.kind !== "none" || this.#host.nowMs() < this.#notBeforeMs) return;
    if (this.#host.atWork() === 0) {
      void this.#claim();
      return;
    }
    this.#turn = { kind: "waiting" };
    this.#later(PAUSE_MS, () => void this.#claim());
  }

  /** Runs have recorded something: the worker, or the suspect, may rest now. */
  progressed(): void {
    if (this.#turn.kind === "waiting" && this.#host.atWork() === 0) void this.#claim();
    else if (this.#turn.kind === "held" && !isAtWork(this.#turn.run)) this.#end();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  async #claim(): Promise<void> {
    clearTimeout(this.#timer);
    this.#turn = { kind: "claiming" };
    const run = await this.#host.claim();
    if (run === undefined) {
      this.#ready = false;
      this.#end();
      return;
    }
    this.#turn = { kind: "held", run, sinceMs: this.#host.nowMs() };
    this.#look();
  }

  /** Whether the suspect is still to be alone. */
  #look(): void {
    if (this.#turn.kind !== "held") return;
    const { run, sinceMs } = this.#turn;
    if (!isAtWork(run)) {
      this.#end();
      return;
    }
    const nowMs = this.#host.nowMs();
    if (nowMs - sinceMs >= HOLD_MAX_MS || nowMs - Math.max(sinceMs, lastBeginMs(run)) >= QUIET_MS)
      this.#end();
    else this.#later(LOOK_EVERY_MS, () => this.#look());
  }

  /** A turn is over: the next suspect has its own at once, for there may be many, else everybody goes on. */
  #end(): void {
    clearTimeout(this.#timer);
    const isRestless = this.#host.atWork() > 0;
    if (this.#turn.kind === "held" && isRestless) this.#notBeforeMs = this.#host.nowMs() + OWN_WORK_MS;
    this.#turn = NONE;
    if (this.#ready && !isRestless) void this.#claim();
    else this.#host.resume();
  }

  #later(waitMs: number, work: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(work, waitMs);
    this.#timer.unref();
  }
}

function isAtWork(run: OwnedRun): boolean {
  return !run.dropped && run.busy;
}

/** When code of the run, or an attempt of it, last began. */
function lastBeginMs(run: OwnedRun): number {
  let latestMs = run.usedAtMs;
  for (const { state, sinceMs } of run.activities.values())
    if (state === "running") latestMs = Math.max(latestMs, sinceMs);
  return latestMs;
}
