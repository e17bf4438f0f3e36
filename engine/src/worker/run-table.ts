/**
 * The runs that an incarnation owns, by id.
 *
 * Holds and counts them; who takes a run in or lets it go decides elsewhere.
 */
import type { OwnedRun } from "./owned-run.ts";

export class RunTable {
  readonly #runs = new Map<string, OwnedRun>();
  readonly #drop: (run: OwnedRun, reason: string) => void;

  /** `drop` is told of runs that go although they have not ended. */
  constructor(drop: (run: OwnedRun, reason: string) => void) {
    this.#drop = drop;
  }

  get size(): number {
    return this.#runs.size;
  }

  get busyCount(): number {
    let count = 0;
    for (const run of this.#runs.values()) if (run.busy) count += 1;
    return count;
  }

  /** Busy runs, counted only where `limit` may be reached; else all runs. */
  crowd(limit: number): number {
    return this.#runs.size < limit ? this.#runs.size : this.busyCount;
  }

  get(runId: string): OwnedRun | undefined {
    return this.#runs.get(runId);
  }

  /** In the order in which they came. */
  all(): Iterable<OwnedRun> {
    return this.#runs.values();
  }

  ids(): string[] {
    return [...this.#runs.keys()];
  }

  add(run: OwnedRun): void {
    this.#runs.set(run.id, run);
  }

  /** Takes out a run that has ended or was given up. */
  remove(run: OwnedRun): void {
    this.#runs.delete(run.id);
  }

  /** Another owner has the run, or somebody ended it. */
  lose(runId: string): void {
    const run = this.#runs.get(runId);
    if (run === undefined) return;
    this.#drop(run, "the run has another owner or has ended");
    this.#runs.delete(runId);
  }

  /** Drops all of them and stays as it is: what comes for them is ignored. */
  dropAll(reason: string): void {
    for (const run of this.#runs.values()) this.#drop(run, reason);
  }

  clear(): void {
    this.#runs.clear();
  }

  /** The runs that rest and were used longest ago, as many as there are above 90 % of `sizeMax`. */
  surplus(sizeMax: number): OwnedRun[] {
    const count = this.#runs.size - Math.floor(sizeMax * 0.9);
    if (count <= 0) return [];
    const parked = [...this.#runs.values()].filter((run) => !run.busy && !run.releasing);
    return parked.sort((a, b) => a.usedAtMs - b.usedAtMs).slice(0, count);
  }
}
