/**
 * Runs activity attempts, at most `slots` at once.
 *
 * Promises that an attempt runs outside every run's context, that it is settled once (also by an exception in one of its
 * callbacks), that its outcome is JSON text, and that an exception in a callback that outlives its attempt is told, for
 * nobody else hears of it. Retries, rows and queues are others' business.
 */
import { AsyncLocalStorage } from "node:async_hooks";

import { encodeFailure } from "../core/failure.ts";
import type { FailureJson } from "../core/failure.ts";
import { decodePayload, encodePayload } from "../core/payload.ts";
import { crashPoint } from "../crash-points.ts";
import { outside } from "../store/outside.ts";
import type { ActivityFunction } from "./activity-registry.ts";

/** What an activity can know of its attempt. */
export interface ActivityInfo {
  readonly activityName: string;
  readonly runId: string;
  readonly workflowId: string;
  readonly workflowName: string;
  readonly taskQueue: string;
  readonly position: number;
  /** 1-based. */
  readonly attempt: number;
  /** Aborted when the outcome is no longer wanted. */
  readonly signal: AbortSignal;
}

/** One attempt to run. */
export interface ActivityTask {
  readonly info: ActivityInfo;
  readonly args: string | null;
  readonly implementation: ActivityFunction;
  /** Called when it begins, after it got its slot. */
  started?(): void;
  /** Called once, unless the executor was stopped or the attempt's signal was aborted before it began. */
  settled(outcome: ActivityOutcome): void;
  /** Called instead when the executor begins nothing more. */
  refused?(): void;
}

export type ActivityOutcome =
  | { readonly kind: "completed"; readonly result: string | null }
  | { readonly kind: "failed"; readonly failure: FailureJson; readonly error: unknown };

interface Attempt {
  readonly info: ActivityInfo;
  fail(error: unknown): void;
}

const storage = new AsyncLocalStorage<Attempt>();

/** The attempt whose code is executing, by its async context. */
export function currentActivity(): ActivityInfo | undefined {
  return storage.getStore()?.info;
}

/** Fails the attempt whose code is executing; false when there is none. */
export function failCurrentActivity(error: unknown): boolean {
  const attempt = storage.getStore();
  attempt?.fail(error);
  return attempt !== undefined;
}

/** Marks whose code the main loop executes, for the thread that watches it. */
export interface LoopMarks {
  enter(kind: "run" | "activity", id: string, position: number): void;
  leave(): void;
}

export class ActivityExecutor {
  readonly #workerId: string;
  readonly #slots: number;
  readonly #marks: LoopMarks;
  readonly #onFree: () => void;
  readonly #onLate: (info: ActivityInfo, error: unknown) => void;
  readonly #waiting: ActivityTask[] = [];
  readonly #running = new Set<ActivityTask>();
  #stopped = false;
  #closing = false;
  #filling = false;

  constructor(options: {
    readonly workerId: string;
    readonly slots: number;
    readonly marks: LoopMarks;
    readonly onFree: () => void;
    /** An exception, or a rejection that nobody handles, came from code of an attempt that had ended. */
    readonly onLate: (info: ActivityInfo, error: unknown) => void;
  }) {
    this.#workerId = options.workerId;
    this.#slots = options.slots;
    this.#marks = options.marks;
    this.#onFree = options.onFree;
    this.#onLate = options.onLate;
  }

  /** Slots that nobody has and nobody waits for. */
  get free(): number {
    return this.#stopped || this.#closing
      ? 0
      : Math.max(0, this.#slots - this.#running.size - this.#waiting.length);
  }

  get runningCount(): number {
    return this.#running.size;
  }

  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** Runs it now, or when a slot is free. */
  submit(task: ActivityTask): void {
    if (this.#stopped) return;
    if (this.#closing) task.refused?.();
    else if (this.#running.size < this.#slots) this.#run(task);
    else this.#waiting.push(task);
  }

  /** Takes back a task that has not begun; false when it has. */
  withdraw(task: ActivityTask): boolean {
    const index = this.#waiting.indexOf(task);
    if (index !== -1) this.#waiting.splice(index, 1);
    return index !== -1;
  }

  /** Begins nothing more; what runs already may end. */
  close(): void {
    this.#closing = true;
    for (const task of this.#waiting.splice(0)) task.refused?.();
  }

  /** Outcomes are no longer told, nothing more begins. */
  stop(): void {
    this.#stopped = true;
    this.#waiting.length = 0;
    this.#running.clear();
  }

  #run(task: ActivityTask): void {
    this.#running.add(task);
    task.started?.();
    const settle = (outcome: ActivityOutcome): void => this.#settle(task, outcome);
    const fail = (error: unknown): void => settle({ kind: "failed", failure: encodeFailure(error), error });
    const failOutside = (error: unknown): void => {
      if (this.#running.has(task)) fail(error);
      else outside(() => this.#onLate(task.info, error));
    };
    const complete = (value: unknown): void => {
      let result: string | null;
      try {
        result = encodePayload(value, { field: `result of activity "${task.info.activityName}"` });
      } catch (error) {
        fail(error);
        return;
      }
      settle({ kind: "completed", result });
    };
    crashPoint("activity.started", this.#workerId);
    if (this.#stopped) return;
    this.#marks.enter("activity", task.info.runId, task.info.position);
    try {
      const args = decodePayload(task.args);
      const value = outside(() =>
        storage.run({ info: task.info, fail: failOutside }, () =>
          task.implementation(...((Array.isArray(args) ? args : []) as never[])),
        ),
      );
      if (isThenable(value)) value.then(complete, fail);
      else complete(value);
    } catch (error) {
      fail(error);
    } finally {
      this.#marks.leave();
    }
  }

  #settle(task: ActivityTask, outcome: ActivityOutcome): void {
    if (!this.#running.delete(task)) return;
    crashPoint("activity.finished", this.#workerId);
    // What follows is the engine's: it must not keep the attempt's context, nor give it to a run's code.
    outside(() => {
      task.settled(outcome);
      this.#fillSlots();
    });
  }

  /** Not by recursion: attempts that end at once would pile up on the stack. */
  #fillSlots(): void {
    if (this.#filling) return;
    this.#filling = true;
    while (this.#running.size < this.#slots) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      if (!next.info.signal.aborted) this.#run(next);
    }
    this.#filling = false;
    if (this.#running.size < this.#slots) this.#onFree();
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}
