/**
 * Drives owned runs: applies what was committed, carries out what their code asks for, and says what to record next.
 *
 * Promises that a run's code executes only here, in a macrotask, one run at a time; that every outcome becomes an event
 * before the code sees it; and that a run whose code fails the guards or its history is parked with the reason, its rows
 * untouched.
 */
import { finalFailure, retryDelayMs, isRetryable, normalizeRetryPolicy } from "../core/retry-policy.ts";
import type { RetryPolicy } from "../core/retry-policy.ts";
import type {
  ActivityCommand,
  Command,
  EmitCommand,
  InterruptCommand,
  MarkCommand,
  StartCommand,
  TraceCommand,
} from "../core/commands.ts";
import { EVENT_KIND } from "../core/events.ts";
import type { EventDraft, HistoryEvent } from "../core/events.ts";
import { AttemptLostError, MemFlowError } from "../core/errors.ts";
import { encodeFailure } from "../core/failure.ts";
import { crashPoint } from "../crash-points.ts";
import { runOutsideGuards } from "../guards/outside-runs.ts";
import { lacksPlace } from "../replay/diagnosis.ts";
import type { PlacelessError } from "../replay/diagnosis.ts";
import type { NumberedChange } from "../replay/entity-view.ts";
import type { ActivityExecutor, ActivityOutcome, LoopMarks } from "./activity-executor.ts";
import type { ActivityFunction } from "./activity-registry.ts";
import type { ActivityRow } from "./activity-row.ts";
import { LocalAttempt } from "./local-attempt.ts";
import type { LocalActivity, OwnedRun, PendingEvent, RunProblem } from "./owned-run.ts";
import { TimerHeap } from "./timer-heap.ts";

/** What the driver needs of its worker. */
export interface RunDriverHost {
  readonly workerId: string;
  readonly buildId?: string | undefined;
  readonly executor: ActivityExecutor;
  readonly marks: LoopMarks;
  nowMs(): number;
  alive(): boolean;
  /** The function for an activity of a queue, when this process has it. */
  activity(taskQueue: string, name: string): ActivityFunction | undefined;
  /** The run has something to record. */
  mark(run: OwnedRun): void;
  /** The run's machine needs changes of its entity: read them, then call `fed`. */
  feed(run: OwnedRun, span: readonly [number, number]): void;
  /** Find the place of the error that parks the run, then call `diagnosed`. */
  diagnose(run: OwnedRun, error: PlacelessError): void;
  /** What the call has been recorded for is to happen again: the call is replayed. */
  repeat(run: OwnedRun, command: EmitCommand | TraceCommand, event: HistoryEvent): void;
  /** The run was given up. */
  parked(run: OwnedRun, error: unknown): void;
  /** The run ended or moved on: its timers may have changed. */
  timersChanged(): void;
}

/** A local attempt that runs longer is made known to the database. */
const WRITE_EARLY_MS = 500;
/** A local attempt that waits longer for a slot is given to the queue. */
const OVERFLOW_MS = 100;

/** What a due time is about. */
type Due =
  | { readonly run: OwnedRun; readonly kind: "timer" | "retry"; readonly position: number }
  | { readonly run: OwnedRun; readonly kind: "restart" };

export class RunDriver {
  readonly #host: RunDriverHost;
  readonly #timers = new TimerHeap<Due>(stands);
  readonly #attemptHost: ConstructorParameters<typeof LocalAttempt>[0]["host"];

  constructor(host: RunDriverHost) {
    this.#host = host;
    this.#attemptHost = {
      nowMs: () => host.nowMs(),
      attemptSettled: (attempt, outcome) => this.#attemptSettled(attempt, outcome),
    };
  }

  /** When the next timer is due. */
  get nextDueMs(): number | undefined {
    return this.#timers.nextMs;
  }

  /** Begins a run that nobody began before, or replays one from its history. */
  begin(run: OwnedRun, events: readonly HistoryEvent[], rows: readonly ActivityRow[]): void {
    if (events.length > 0) run.replayed = answersOf(events);
    run.machine.replaying = events.length > 0;
    run.machine.onStray(() => this.#strayed(run));
    this.#guarded(run, () => {
      run.machine.start();
      this.#applyAll(run, events);
      if (run.feeding) run.afterFeed = rows;
      else this.#proceed(run, rows);
    });
  }

  /** Applies events that were committed now. */
  committed(run: OwnedRun, events: readonly HistoryEvent[]): void {
    if (run.dropped || run.problem !== undefined) return;
    if (run.feeding) {
      run.unapplied.push(...events);
      return;
    }
    this.#guarded(run, () => {
      this.#applyAll(run, events);
      if (!run.feeding) this.#proceed(run, NO_ROWS);
    });
  }

  /** Goes on after `feed`. */
  fed(run: OwnedRun, changes: readonly NumberedChange[]): void {
    if (run.dropped) return;
    run.feeding = false;
    this.#guarded(run, () => {
      run.machine.context.entity.feed(changes);
      run.shadow?.fed(changes);
      this.#applyAll(run, []);
      if (run.feeding) return;
      const rows = run.afterFeed;
      run.afterFeed = NO_ROWS;
      this.#proceed(run, rows);
    });
  }

  /** Parks a run whose problem was looked into. */
  diagnosed(run: OwnedRun, error: unknown): void {
    run.diagnosing = false;
    if (!run.dropped) this.#park(run, error);
  }

  /** Records an event that comes from outside the run's code. */
  record(run: OwnedRun, pending: PendingEvent): void {
    // Others hook into it; its end may be in the same flush, and must cancel the hook.
    const { kind } = pending.draft;
    if (kind === EVENT_KIND.hookAttached || kind === EVENT_KIND.hookStarted) run.hasHooks = true;
    run.pending.push(pending);
    this.#host.mark(run);
  }

  /** Fires what is due. */
  fire(nowMs: number): void {
    for (;;) {
      const due = this.#timers.pop(nowMs);
      if (due === undefined) return;
      if (!due.run.dropped && due.run.problem === undefined && due.run.end === undefined) this.#fire(due);
    }
  }

  /** Makes long attempts known and gives waiting ones to the queue. */
  sweepAttempts(nowMs: number): void {
    for (const attempt of this.#host.executor.tasks()) {
      if (!(attempt instanceof LocalAttempt)) continue;
      const { run, activity } = attempt;
      const wanted = !run.dropped && run.activities.get(attempt.position) === activity;
      if (!wanted) continue;
      if (activity.state === "waiting" && nowMs - activity.sinceMs >= OVERFLOW_MS) this.#overflow(attempt);
      else if (
        activity.state === "running" &&
        !activity.written &&
        nowMs - activity.sinceMs >= WRITE_EARLY_MS
      ) {
        activity.written = true;
        this.#write(run, activity, { state: "local", dueInMs: 0, thenStart: false });
        this.#host.mark(run);
      }
    }
  }

  /** Lets go of a run: whatever still comes for it is dropped. */
  drop(run: OwnedRun, reason: string): void {
    run.dropped = true;
    for (const activity of run.activities.values()) activity.abort?.abort(new Error(reason));
    run.activities.clear();
    run.timers.clear();
  }

  /** Starts attempts whose rows stand now. */
  written(run: OwnedRun, position: number): void {
    const activity = run.activities.get(position);
    if (activity === undefined || activity.state !== "writing") return;
    activity.sinceMs = this.#host.nowMs();
    this.#submit(run, activity);
  }

  #guarded(run: OwnedRun, work: () => void): void {
    this.#host.marks.enter("run", run.id, run.machine.context.nextPosition);
    try {
      work();
    } catch (error) {
      if (!this.#host.alive()) return;
      if (lacksPlace(error)) this.#lookInto(run, error);
      else this.#park(run, error);
    } finally {
      this.#host.marks.leave();
    }
    crashPoint("activation.done", this.#host.workerId);
  }

  #applyAll(run: OwnedRun, events: readonly HistoryEvent[]): void {
    const queue = run.unapplied.length === 0 ? events : [...run.unapplied, ...events];
    if (run.unapplied.length > 0) run.unapplied = [];
    let index = -1;
    for (const event of queue) {
      index += 1;
      if (event.entityNo !== null) {
        const until = event.kind === EVENT_KIND.entityChanged ? event.entityNo - 1 : event.entityNo;
        const span = run.machine.context.entity.missing(until);
        if (span !== undefined) {
          run.unapplied = queue.slice(index);
          run.feeding = true;
          this.#host.feed(run, span);
          return;
        }
      }
      this.#applyOne(run, event);
    }
  }

  #applyOne(run: OwnedRun, event: HistoryEvent): void {
    run.lastEventMs = Math.max(run.lastEventMs, event.atMs);
    const { machine } = run;
    run.shadow?.applied(event);
    if (event.position !== null) this.#forget(run, event.position, event.kind);
    if (event.kind === EVENT_KIND.hookStarted || event.kind === EVENT_KIND.hookAttached) run.hasHooks = true;
    if (event.kind === EVENT_KIND.attemptFailed) {
      const { restartInMs } = JSON.parse(event.payload ?? "{}") as { restartInMs?: number };
      // What the failed attempt left open is dropped by rule; it must not be carried out later.
      const dropped = machine.takeCommands();
      run.shadow?.asked(dropped);
      machine.apply(event);
      this.#dropOutstanding(run);
      run.restartAtMs = event.atMs + (restartInMs ?? 0);
      return;
    }
    if (event.kind === EVENT_KIND.timerFired && event.position === null) {
      run.restartAtMs = undefined;
    }
    machine.apply(event);
    if (event.kind === EVENT_KIND.entityChanged) run.changedBytes += event.payload?.length ?? 0;
  }

  /** The owner's own notes about a position that an event closes. */
  #forget(run: OwnedRun, position: number, kind: number): void {
    run.timers.delete(position);
    if (kind === EVENT_KIND.activityCompleted || kind === EVENT_KIND.activityFailed)
      run.activities.delete(position);
  }

  #dropOutstanding(run: OwnedRun): void {
    for (const [position, activity] of run.activities) {
      activity.abort?.abort(new Error("the workflow failed and starts anew"));
      if (activity.written) run.activitiesDone.push(position);
    }
    run.activities.clear();
    run.writes.clear();
    run.timers.clear();
    run.newWaits.clear();
    run.cancelsHooks ||= run.hasHooks;
    run.hasHooks = false;
  }

  /** Carries out what the code asked for, and looks whether it is done. */
  #proceed(run: OwnedRun, rows: readonly ActivityRow[]): void {
    const { machine } = run;
    run.usedAtMs = this.#host.nowMs();
    const commands = machine.takeCommands();
    run.shadow?.asked(commands);
    run.shadow?.compare();
    const { state } = machine;
    const open = machine.context.pending;
    for (const command of commands) {
      // A replayed command whose event is in history has been carried out; so has one that was taken back.
      if (isAnswered(command, open, run.replayed)) {
        this.#repeat(run, command);
        continue;
      }
      this.#carryOut(run, command, state.kind === "waiting", rows);
    }
    run.replayed = undefined;
    machine.replaying = false;
    if (run.restartAtMs !== undefined) this.#timers.push(run.restartAtMs, { run, kind: "restart" });
    if (state.kind !== "waiting" && run.end === undefined && run.restartAtMs === undefined) this.#finish(run);
    this.#host.mark(run);
    this.#host.timersChanged();
  }

  /** What its code wants at each replay happens again. */
  #repeat(run: OwnedRun, command: Command): void {
    if ((command.kind !== "emit" && command.kind !== "trace") || command.once) return;
    const event = run.replayed?.get(command.position);
    if (event !== undefined) this.#host.repeat(run, command, event);
  }

  #carryOut(run: OwnedRun, command: Command, waiting: boolean, rows: readonly ActivityRow[]): void {
    switch (command.kind) {
      case "activity":
        if (waiting) this.#beginActivity(run, command, rows);
        return;
      case "timer":
        if (!waiting) return;
        run.timers.set(command.position, command.dueMs);
        this.#timers.push(command.dueMs, { run, kind: "timer", position: command.position });
        return;
      case "cancel_timer":
        run.timers.delete(command.position);
        return;
      case "wait":
        if (waiting) run.newWaits.set(command.position, command.signalId);
        return;
      case "signal":
        run.pending.push({
          draft: draft(EVENT_KIND.signalSent, command.position, command.signalId, null),
          command,
        });
        return;
      case "entity":
        run.pending.push({
          draft: draft(
            command.change ? EVENT_KIND.entityChanged : EVENT_KIND.entityRead,
            command.position,
            command.name,
            command.payload,
          ),
          command,
        });
        return;
      case "emit":
        this.#pend(run, EVENT_KIND.emitted, command, command.payload);
        return;
      case "trace":
        this.#pend(run, EVENT_KIND.traced, command, command.payload);
        return;
      case "mark":
        this.#pend(run, EVENT_KIND.sideEffectMarked, command, null);
        return;
      case "interrupt":
        this.#pend(run, EVENT_KIND.interruptSent, command, null);
        return;
      default:
        this.#start(run, command);
    }
  }

  #pend(
    run: OwnedRun,
    kind: EventDraft["kind"],
    command: EmitCommand | TraceCommand | MarkCommand | InterruptCommand,
    payload: string | null,
  ): void {
    const name =
      command.kind === "mark" ? command.name : command.kind === "interrupt" ? command.workflowId : null;
    run.pending.push({ draft: draft(kind, command.position, name, payload), command });
  }

  #start(run: OwnedRun, command: StartCommand): void {
    if (command.kind === "hook") run.hasHooks = true;
    const kind = command.kind === "hook" ? EVENT_KIND.hookStarted : EVENT_KIND.childStarted;
    run.pending.push({ draft: draft(kind, command.position, command.workflowName, null), command });
  }

  #beginActivity(run: OwnedRun, command: ActivityCommand, rows: readonly ActivityRow[]): void {
    const activity: LocalActivity = {
      command,
      attempt: 1,
      state: "waiting",
      written: false,
      sinceMs: run.usedAtMs,
      failure: null,
      abort: undefined,
    };
    run.activities.set(command.position, activity);
    const row = rows.find(({ position }) => position === command.position);
    if (row !== undefined) this.#resumeActivity(run, activity, row);
    else if (this.#implementation(run, command) === undefined) this.#enqueue(run, activity);
    else if (command.policy.maximumAttempts === 1 || run.suspect) this.#writeFirst(run, activity);
    else this.#submit(run, activity);
  }

  /** Goes on with an attempt that an earlier owner made known. */
  #resumeActivity(run: OwnedRun, activity: LocalActivity, row: ActivityRow): void {
    activity.attempt = row.attempt;
    activity.written = true;
    if (row.state !== "local") {
      activity.state = "remote";
      return;
    }
    if (activity.command.policy.maximumAttempts === 1) {
      const error = new AttemptLostError({ activityName: activity.command.name, attempt: activity.attempt });
      this.#settleActivity(run, activity, { kind: "failed", failure: encodeFailure(error), error });
      return;
    }
    if (row.dueMs > this.#host.nowMs()) this.#backOff(run, activity, row.dueMs);
    else this.#writeFirst(run, activity);
  }

  #writeFirst(run: OwnedRun, activity: LocalActivity): void {
    activity.state = "writing";
    activity.written = true;
    this.#write(run, activity, { state: "local", dueInMs: 0, thenStart: true });
  }

  /** Gives an attempt to the queue: another worker knows it, or this one has no slot. */
  #enqueue(run: OwnedRun, activity: LocalActivity): void {
    activity.state = "remote";
    activity.written = true;
    this.#write(run, activity, { state: "queued", dueInMs: 0, thenStart: false });
  }

  #write(
    run: OwnedRun,
    activity: LocalActivity,
    how: { readonly state: "queued" | "local"; readonly dueInMs: number; readonly thenStart: boolean },
  ): void {
    const { command } = activity;
    run.rowsOutside = true;
    run.writes.set(command.position, {
      position: command.position,
      attempt: activity.attempt,
      taskQueue: command.taskQueue ?? run.facts.taskQueue,
      name: command.name,
      args: command.args,
      policy: command.policy,
      failure: activity.failure,
      ...how,
    });
  }

  #implementation(run: OwnedRun, command: ActivityCommand): ActivityFunction | undefined {
    const queue = command.taskQueue ?? run.facts.taskQueue;
    if (queue !== run.facts.taskQueue) return undefined;
    return command.implementation ?? this.#host.activity(queue, command.name);
  }

  #submit(run: OwnedRun, activity: LocalActivity): void {
    const { command } = activity;
    const implementation = this.#implementation(run, command);
    if (implementation === undefined) {
      this.#enqueue(run, activity);
      this.#host.mark(run);
      return;
    }
    const attempt = new LocalAttempt({ run, activity, implementation, host: this.#attemptHost });
    activity.abort = attempt;
    activity.state = "waiting";
    this.#host.executor.submit(attempt);
    attempt.delayed = true;
  }

  #attemptSettled({ run, activity, position }: LocalAttempt, outcome: ActivityOutcome): void {
    if (!run.dropped && run.activities.get(position) === activity)
      this.#settleActivity(run, activity, outcome);
  }

  #overflow(attempt: LocalAttempt): void {
    if (!this.#host.executor.withdraw(attempt)) return;
    this.#enqueue(attempt.run, attempt.activity);
    this.#host.mark(attempt.run);
  }

  #settleActivity(run: OwnedRun, activity: LocalActivity, outcome: ActivityOutcome): void {
    const { command } = activity;
    if (
      outcome.kind === "failed" &&
      isRetryable(outcome.failure, command.policy) &&
      activity.attempt < command.policy.maximumAttempts
    ) {
      const delayMs = retryDelayMs(command.policy, activity.attempt);
      activity.attempt += 1;
      activity.failure = outcome.failure;
      activity.written = true;
      this.#write(run, activity, { state: "local", dueInMs: delayMs, thenStart: false });
      this.#backOff(run, activity, this.#host.nowMs() + delayMs);
      this.#host.mark(run);
      return;
    }
    if (activity.written) run.activitiesDone.push(command.position);
    run.writes.delete(command.position);
    run.activities.delete(command.position);
    this.record(run, {
      draft:
        outcome.kind === "completed"
          ? draft(EVENT_KIND.activityCompleted, command.position, command.name, outcome.result)
          : draft(EVENT_KIND.activityFailed, command.position, command.name, JSON.stringify(outcome.failure)),
    });
  }

  #backOff(run: OwnedRun, activity: LocalActivity, dueMs: number): void {
    activity.state = "backoff";
    activity.sinceMs = dueMs;
    this.#timers.push(dueMs, { run, kind: "retry", position: activity.command.position });
    this.#host.timersChanged();
  }

  #fire(due: Due): void {
    const { run } = due;
    crashPoint("timer.due", this.#host.workerId);
    if (due.kind === "restart") {
      if (run.restartAtMs === undefined || run.restartFired) return;
      run.restartFired = true;
      this.record(run, { draft: draft(EVENT_KIND.timerFired, null, "restart", null) });
    } else if (due.kind === "retry") {
      const activity = run.activities.get(due.position);
      if (activity?.state !== "backoff") return;
      activity.sinceMs = this.#host.nowMs();
      this.#submit(run, activity);
    } else {
      const dueMs = run.timers.get(due.position);
      if (dueMs === undefined) return;
      run.timers.delete(due.position);
      // The database's clock is measured anew with each heartbeat and may seem to go back: no sleep ends early by that.
      run.lastEventMs = Math.max(run.lastEventMs, dueMs);
      this.record(run, { draft: draft(EVENT_KIND.timerFired, due.position, null, null) });
    }
  }

  #finish(run: OwnedRun): void {
    const { state, context } = run.machine;
    if (state.kind === "waiting") return;
    if (state.kind === "failed" && !state.final) {
      const policy = workflowPolicy(run);
      if (context.attempt < policy.maximumAttempts && isRetryable(state.failure, policy)) {
        const restartInMs = retryDelayMs(policy, context.attempt);
        run.restartFired = false;
        const payload = JSON.stringify({ attempt: context.attempt, restartInMs, failure: state.failure });
        run.pending.push({ draft: draft(EVENT_KIND.attemptFailed, context.nextPosition, null, payload) });
        run.restartAtMs = Infinity;
        return;
      }
    }
    for (const activity of run.activities.values()) activity.abort?.abort(new Error("the run has ended"));
    run.activities.clear();
    run.timers.clear();
    run.end =
      state.kind === "completed"
        ? { status: "completed", result: state.result, failure: null }
        : {
            status: "failed",
            result: null,
            failure: finalFailure(state.failure, workflowPolicy(run), state.final),
          };
  }

  /** Code went on outside an activation: it is stopped in a turn of its own. Called inside the run. */
  #strayed(run: OwnedRun): void {
    runOutsideGuards(() =>
      setImmediate(() => {
        if (!run.dropped && run.problem === undefined) this.#guarded(run, () => run.machine.assertSound());
      }),
    );
  }

  #lookInto(run: OwnedRun, error: PlacelessError): void {
    run.problem = this.#problemOf(error);
    run.diagnosing = true;
    this.#host.diagnose(run, error);
  }

  /** Whose code it was, which is not to try again. */
  #problemOf(error: unknown): RunProblem {
    const { workerId, buildId } = this.#host;
    return { ...problemOf(error), worker: workerId, ...(buildId === undefined ? {} : { build: buildId }) };
  }

  #park(run: OwnedRun, error: unknown): void {
    run.problem = this.#problemOf(error);
    run.releasing = true;
    for (const activity of run.activities.values()) activity.abort?.abort(new Error("the run is parked"));
    this.#host.parked(run, error);
    this.#host.mark(run);
  }
}

const NO_ROWS: readonly ActivityRow[] = [];

/** Whether a due time still has something to wake. */
function stands(due: Due): boolean {
  const { run } = due;
  if (run.dropped || run.end !== undefined) return false;
  if (due.kind === "restart") return run.restartAtMs !== undefined;
  return due.kind === "timer"
    ? run.timers.has(due.position)
    : run.activities.get(due.position)?.state === "backoff";
}

function draft(
  kind: EventDraft["kind"],
  position: number | null,
  name: string | null,
  payload: string | null,
): EventDraft {
  return { kind, position, name, payload };
}

function answersOf(events: readonly HistoryEvent[]): ReadonlyMap<number, HistoryEvent> {
  const answers = new Map<number, HistoryEvent>();
  for (const event of events) {
    if (event.position !== null && event.kind !== EVENT_KIND.attemptFailed)
      answers.set(event.position, event);
  }
  return answers;
}

/** Whether history answers a replayed command already. */
function isAnswered(
  command: Command,
  open: ReadonlyMap<number, unknown>,
  recorded: ReadonlyMap<number, unknown> | undefined,
): boolean {
  if (command.kind === "cancel_timer") return false;
  // An execHook waits at the position of its hook, whose start history holds.
  if (command.kind === "wait") return !open.has(command.position);
  if (recorded?.has(command.position) === true) return true;
  return (
    command.kind !== "signal" &&
    command.kind !== "entity" &&
    command.kind !== "child" &&
    command.kind !== "hook" &&
    !open.has(command.position)
  );
}

/** The policy of the workflow itself, as its start gave it. */
function workflowPolicy(run: OwnedRun): RetryPolicy {
  const options = JSON.parse(run.facts.options ?? "{}") as { retry?: RetryPolicy };
  return options.retry ?? normalizeRetryPolicy(undefined, "config");
}

function problemOf(error: unknown): RunProblem {
  const fields = error as { position?: number; expected?: string; actual?: string; place?: string };
  const known = error instanceof MemFlowError;
  return {
    name: error instanceof Error ? error.name : "Error",
    code: known ? String(error.code) : "ENGINE_ERROR",
    message: error instanceof Error ? error.message : String(error),
    ...(known && typeof fields.position === "number" ? { position: fields.position } : {}),
    ...(known && typeof fields.expected === "string" ? { expected: fields.expected } : {}),
    ...(known && typeof fields.actual === "string" ? { actual: fields.actual } : {}),
    ...(known && typeof fields.place === "string" && fields.place !== "" ? { place: fields.place } : {}),
  };
}
