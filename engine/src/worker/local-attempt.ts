/**
 * One attempt of an activity that its run's owner executes itself.
 *
 * Holds what the executor needs and tells the driver what becomes of it; one small object, for there is one per step.
 */
import type { ActivityCommand } from "../core/commands.ts";
import type { ActivityInfo, ActivityOutcome, ActivityTask } from "./activity-executor.ts";
import type { ActivityFunction } from "./activity-registry.ts";
import { AttemptAbort } from "./attempt-abort.ts";
import type { LocalActivity, OwnedRun } from "./owned-run.ts";

/** Whom it tells. */
export interface LocalAttemptHost {
  nowMs(): number;
  /** Its code has ended. */
  attemptSettled(attempt: LocalAttempt, outcome: ActivityOutcome): void;
}

export class LocalAttempt extends AttemptAbort implements ActivityTask {
  readonly run: OwnedRun;
  readonly activity: LocalActivity;
  readonly implementation: ActivityFunction;
  readonly #attempt: number;
  readonly #host: LocalAttemptHost;
  /** It was not begun at once: its time runs from its beginning. */
  delayed = false;

  constructor(options: {
    readonly run: OwnedRun;
    readonly activity: LocalActivity;
    readonly implementation: ActivityFunction;
    readonly host: LocalAttemptHost;
  }) {
    super();
    this.run = options.run;
    this.activity = options.activity;
    this.implementation = options.implementation;
    this.#attempt = options.activity.attempt;
    this.#host = options.host;
  }

  get command(): ActivityCommand {
    return this.activity.command;
  }

  get activityName(): string {
    return this.command.name;
  }

  get runId(): string {
    return this.run.id;
  }

  get position(): number {
    return this.command.position;
  }

  get args(): string | null {
    return this.command.args;
  }

  get info(): ActivityInfo {
    const { workflowId, workflowName, taskQueue } = this.run.facts;
    return {
      activityName: this.activityName,
      runId: this.runId,
      workflowId,
      workflowName,
      taskQueue,
      position: this.position,
      attempt: this.#attempt,
      signal: this.signal,
    };
  }

  started(): void {
    this.activity.state = "running";
    if (this.delayed) this.activity.sinceMs = this.#host.nowMs();
  }

  settled(outcome: ActivityOutcome): void {
    this.#host.attemptSettled(this, outcome);
  }
}
