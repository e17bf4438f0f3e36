/**
 * A run that only the guards see: its clock, randomness and timers are in the test's hands.
 *
 * Promises that code called through `enter` is inside a workflow, and through `enterActivity` inside an activity, for
 * the guards of this process, which it installs. Knows nothing of history.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { createRandom } from "../core/seeded-random.ts";
import { installGlobalGuards } from "../guards/global-guards.ts";
import type { RunGuard } from "../guards/global-guards.ts";

/** A timer that the run's code has started. */
export interface StartedTimer {
  readonly callback: () => void;
  readonly delayMs: number;
}

const storage = new AsyncLocalStorage<GuardedRun | "activity">();

/** What a refused call throws here. */
export class RefusedCall extends Error {
  readonly call: string;

  constructor(call: string) {
    super(`refused: ${call}`);
    this.call = call;
  }
}

export class GuardedRun implements RunGuard {
  /** What `Date.now` shows inside; the test may move it. */
  timeMs: number = Date.UTC(2001, 8, 9, 1, 46, 40);
  readonly timers: Map<number, StartedTimer> = new Map();
  /** Every refused call, in order. */
  readonly refused: string[] = [];
  readonly #random: () => number;
  #nextTimerId = 1;

  /** @param seed - Runs with the same seed draw the same numbers. */
  constructor(seed = "seed") {
    this.#random = createRandom(seed);
    installGlobalGuards(hooks);
  }

  /** Calls `work` as workflow code of this run. */
  enter<Result>(work: () => Result): Result {
    return storage.run(this, work);
  }

  /** Fires a timer as the engine would. */
  fire(id: number): void {
    const timer = this.timers.get(id);
    if (timer === undefined) throw new Error(`timer ${id} is not started`);
    this.timers.delete(id);
    this.enter(timer.callback);
  }

  nowMs(): number {
    return this.timeMs;
  }

  random(): number {
    return this.#random();
  }

  startTimer(callback: () => void, delayMs: number): number {
    const id = this.#nextTimerId;
    this.#nextTimerId += 1;
    this.timers.set(id, { callback, delayMs });
    return id;
  }

  clearTimer(id: number): void {
    this.timers.delete(id);
  }

  violation(call: string): Error {
    this.refused.push(call);
    return new RefusedCall(call);
  }
}

/** Calls `work` as activity code. */
export function enterActivity<Result>(work: () => Result): Result {
  installGlobalGuards(hooks);
  return storage.run("activity", work);
}

/** The run whose code executes, by the async context. */
export function currentGuardedRun(): GuardedRun | undefined {
  const store = storage.getStore();
  return store === "activity" ? undefined : store;
}

const hooks = {
  currentRun: currentGuardedRun,
  inUserCode: (): boolean => storage.getStore() !== undefined,
};
