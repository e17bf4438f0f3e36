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
import { currentContext } from "../replay/run-context.ts";
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
  readonly activityName: string;
  readonly runId: string;
  readonly position: number;
  readonly args: string | null;
  readonly implementation: ActivityFunction;
  /** True when its outcome is no longer wanted: it never begins. */
  readonly aborted: boolean;
  /** What its code can know of it; made when it asks. */
  readonly info: ActivityInfo;
  /** Called when it begins, after it got its slot. */
  started?(): void;
  /**
   * Called once, unless the executor was stopped or the attempt was aborted before it began. A success may be told inside
   * the attempt's context: whoever goes on by a timer or a promise leaves it first.
   */
  settled(outcome: ActivityOutcome): void;
  /** Called instead when the executor begins nothing more. */
  refused?(): void;
}

export type ActivityOutcome =
  | { readonly kind: "completed"; readonly result: string | null }
  | { readonly kind: "failed"; readonly failure: FailureJson; readonly error: unknown };

const storage = new AsyncLocalStorage<Attempt>();

/** The attempt whose code is executing, by its async context. */
export function currentActivity(): ActivityInfo | undefined {
  return storage.getStore()?.info;
}

/** What the attempt whose code is executing belongs to. */
export function currentAttempt(): { readonly runId: string; readonly position: number } | undefined {
  return storage.getStore()?.task;
}

/** Fails the attempt whose code is executing; false when there is none. */
export function failCurrentActivity(error: unknown): boolean {
  const attempt = storage.getStore();
  attempt?.failOutside(error);
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
  readonly #attempts: AttemptHost = {
    settle: (task, outcome) => this.#settle(task, outcome),
    runs: (task) => this.#running.has(task),
    late: (task, error) => outside(() => this.#onLate(task.info, error)),
  };
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

  /** What runs or waits for a slot; the waiting may be withdrawn meanwhile. */
  *tasks(): Generator<ActivityTask> {
    yield* this.#running;
    yield* this.#waiting.slice();
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
    crashPoint("activity.started", this.#workerId);
    if (this.#stopped) return;
    const attempt = new Attempt(task, this.#attempts);
    this.#marks.enter("activity", task.runId, task.position);
    try {
      const args = decodePayload(task.args);
      const value = isOutside()
        ? storage.run(attempt, callActivity, task.implementation, args)
        : outside(() => storage.run(attempt, callActivity, task.implementation, args));
      if (isThenable(value)) value.then(attempt.complete, attempt.fail);
      else attempt.complete(value);
    } catch (error) {
      attempt.fail(error);
    } finally {
      this.#marks.leave();
    }
  }

  #settle(task: ActivityTask, outcome: ActivityOutcome): void {
    if (!this.#running.delete(task)) return;
    crashPoint("activity.finished", this.#workerId);
    // What follows is the engine's: it must not keep the attempt's context, nor give it to a run's code.
    if (outcome.kind === "completed") task.settled(outcome);
    else outside(() => task.settled(outcome));
    if (this.#waiting.length > 0) outside(() => this.#fillSlots());
    else if (!this.#filling && this.#running.size < this.#slots) this.#onFree();
  }

  /** Not by recursion: attempts that end at once would pile up on the stack. */
  #fillSlots(): void {
    if (this.#filling) return;
    this.#filling = true;
    while (this.#running.size < this.#slots) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      if (!next.aborted) this.#run(next);
    }
    this.#filling = false;
    if (this.#running.size < this.#slots) this.#onFree();
  }
}

/** Whom an attempt tells. */
interface AttemptHost {
  settle(task: ActivityTask, outcome: ActivityOutcome): void;
  runs(task: ActivityTask): boolean;
  /** Its code threw after its end. */
  late(task: ActivityTask, error: unknown): void;
}

/** One attempt that runs: its code's context holds it. */
class Attempt {
  readonly task: ActivityTask;
  readonly #host: AttemptHost;
  #info: ActivityInfo | undefined;

  constructor(task: ActivityTask, host: AttemptHost) {
    this.task = task;
    this.#host = host;
  }

  get info(): ActivityInfo {
    this.#info ??= this.task.info;
    return this.#info;
  }

  /** What no promise of its code holds: an exception in a callback, a rejection that nobody took. */
  failOutside(error: unknown): void {
    if (this.#host.runs(this.task)) this.fail(error);
    else this.#host.late(this.task, error);
  }

  readonly fail = (error: unknown): void =>
    this.#host.settle(this.task, { kind: "failed", failure: encodeFailure(error), error });

  readonly complete = (value: unknown): void => {
    let result: string | null;
    try {
      result = encodePayload(value, { field: `result of activity "${this.task.activityName}"` });
    } catch (error) {
      this.fail(error);
      return;
    }
    this.#host.settle(this.task, { kind: "completed", result });
  };
}

function callActivity(implementation: ActivityFunction, args: unknown): unknown {
  return implementation(...((Array.isArray(args) ? args : []) as never[]));
}

/** Every context that descends from user code holds its run or its attempt. */
function isOutside(): boolean {
  return storage.getStore() === undefined && currentContext() === undefined;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}
