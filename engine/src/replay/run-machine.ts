/**
 * The replay engine: feeds a run's events to its code, one at a time, and collects what the code asks for.
 *
 * Promises that events settle promises in history order with all microtasks drained after each, live exactly as on
 * replay; that history which does not match the code is found and named, before anything is recorded; and that a run
 * which is neither done nor waiting on something durable is found at once. It must be driven from a macrotask: inside a
 * microtask the drain does nothing.
 */
import { EVENT_KIND } from "../core/events.ts";
import type { EventKind, HistoryEvent } from "../core/events.ts";
import {
  DeterminismViolation,
  DuplicateJobError,
  HistoryMismatchError,
  RunClosedError,
  WorkflowNotFoundError,
} from "../core/errors.ts";
import { toErrorObject } from "../core/error-object.ts";
import { decodeFailure, encodeFailure } from "../core/failure.ts";
import type { FailureJson } from "../core/failure.ts";
import { decodePayload, encodePayload } from "../core/payload.ts";
import { FATAL_CODE } from "../core/retry-policy.ts";
import { drainMicrotasks } from "../guards/sync-drain.ts";
import type { Command } from "../core/commands.ts";
import type { SignalMailbox } from "../core/signal-mailbox.ts";
import type { ArrivedSignal } from "../core/signal-mailbox.ts";
import type { EntityView } from "./entity-view.ts";
import type { MemoryRead } from "./entity-view.ts";
import { FOLLOWED_AN_AWAIT, RunContext } from "./run-context.ts";
import type { CallName, PendingCall, RunFacts, Witness } from "./run-context.ts";

/** Wraps the workflow function: called inside the run, with its arguments decoded. */
export type Invoke = (context: RunContext, args: unknown[]) => unknown;

/** How far a run is. */
export type MachineState =
  | { readonly kind: "waiting" }
  | { readonly kind: "completed"; readonly result: string | null }
  | { readonly kind: "failed"; readonly failure: FailureJson; readonly final: boolean };

/** Which command kind each event answers. */
const ANSWERS: Readonly<Partial<Record<EventKind, Command["kind"]>>> = {
  [EVENT_KIND.activityCompleted]: "activity",
  [EVENT_KIND.activityFailed]: "activity",
  [EVENT_KIND.timerFired]: "timer",
  [EVENT_KIND.signalSent]: "signal",
  [EVENT_KIND.childStarted]: "child",
  [EVENT_KIND.childStartFailed]: "child",
  [EVENT_KIND.childCompleted]: "child",
  [EVENT_KIND.childFailed]: "child",
  [EVENT_KIND.hookStarted]: "hook",
  [EVENT_KIND.hookStartFailed]: "hook",
  [EVENT_KIND.hookCompleted]: "hook",
  [EVENT_KIND.hookFailed]: "hook",
  [EVENT_KIND.entityChanged]: "entity",
  [EVENT_KIND.entityRead]: "entity",
  [EVENT_KIND.emitted]: "emit",
  [EVENT_KIND.traced]: "trace",
  [EVENT_KIND.sideEffectMarked]: "mark",
  [EVENT_KIND.interruptSent]: "interrupt",
  [EVENT_KIND.interruptRefused]: "interrupt",
};

export class RunMachine {
  readonly facts: RunFacts;
  readonly #invoke: Invoke;
  readonly #witness: Witness | undefined;
  #context: RunContext;
  #state: MachineState = { kind: "waiting" };
  #returned: MachineState | undefined;
  #started = false;
  /** True while its history is replayed, which its driver knows; a machine under observation only ever replays. */
  replaying: boolean;
  /** The hooks that this attempt of the workflow started. */
  readonly #hookRunIds = new Set<string>();
  #onStray: (() => void) | undefined;

  constructor(facts: RunFacts, invoke: Invoke, witness?: Witness) {
    this.facts = facts;
    this.#invoke = invoke;
    this.#witness = witness;
    this.replaying = witness !== undefined;
    this.#context = this.#newContext({
      attempt: 1,
      basePosition: 0,
      nowMs: facts.startedMs,
    });
  }

  /** The same run and code from the beginning, under the eyes of a witness. */
  witnessed(witness: Witness): RunMachine {
    return new RunMachine(this.facts, this.#invoke, witness);
  }

  /** Calls back when the code went on outside an activation: then `assertSound` throws. Called inside the run. */
  onStray(callback: () => void): void {
    this.#onStray = callback;
  }

  /** @throws {DeterminismViolation} When the code of a run that still waits has violated determinism. */
  assertSound(): void {
    if (this.#state.kind === "waiting" && this.#context.violated !== undefined) throw this.#context.violated;
  }

  get context(): RunContext {
    return this.#context;
  }

  get state(): MachineState {
    return this.#state;
  }

  /**
   * Calls the workflow function and runs it to its first waits.
   *
   * @throws {DeterminismViolation} When it waits on nothing durable.
   */
  start(): void {
    this.#started = true;
    this.#activate(() => {
      const context = this.#context;
      let outcome: unknown;
      try {
        const args = decodePayload(this.facts.input);
        outcome = this.#invoke(context, Array.isArray(args) ? args : []);
      } catch (error) {
        this.#fail(error);
        return;
      }
      if (!isThenable(outcome)) this.#complete(outcome);
      else
        outcome.then(
          (result) => this.#ended(() => this.#complete(result)),
          (error: unknown) => this.#ended(() => this.#fail(error)),
        );
    });
  }

  /**
   * Applies one committed event.
   *
   * @throws {HistoryMismatchError} When the code did not ask for what the event answers.
   * @throws {DeterminismViolation} When the code then waits on nothing durable.
   */
  apply(event: HistoryEvent): void {
    if (event.kind === EVENT_KIND.attemptFailed) {
      this.#beginAttempt(event);
      return;
    }
    if (event.kind === EVENT_KIND.timerFired && event.position === null) {
      this.restart(event);
      return;
    }
    this.#context.advanceTo(event.atMs);
    if (event.kind === EVENT_KIND.signalReceived) {
      // Between two attempts, and after a failure, nothing waits: the signal is kept for the next attempt.
      if (this.#started && this.#state.kind === "waiting") this.#activate(() => this.#deliverSignal(event));
      else this.#context.signals.keep(event.name ?? "", readSignal(event));
      return;
    }
    if (event.kind === EVENT_KIND.entityChanged && event.position === null) {
      // What the start gave as search data: nobody waits for it.
      this.#context.entity.change(event.entityNo ?? 0, event.payload ?? "null");
      return;
    }
    if (event.kind === EVENT_KIND.hookStarted) this.#hookRunIds.add(startedRunId(event));
    const call = this.#callOf(event);
    if (call !== undefined) this.#activate(() => this.#settle(event, call));
  }

  /** Starts the next attempt of a workflow that failed, at the event that says when. */
  restart(event: HistoryEvent): void {
    this.#context.advanceTo(event.atMs);
    this.start();
  }

  /** What the code asked for since the last call. */
  takeCommands(): Command[] {
    return this.#context.takeCommands();
  }

  /**
   * A workflow that failed starts anew, with its memory and without its history. Signals that it has not taken are the next
   * attempt's; answers of its hooks, which end with it, are not.
   */
  #beginAttempt(event: HistoryEvent): void {
    const previous = this.#context;
    this.#context = this.#newContext({
      attempt: previous.attempt + 1,
      basePosition: Math.max(previous.nextPosition, event.position ?? 0),
      nowMs: Math.max(previous.nowMs(), event.atMs),
      entity: previous.entity,
      signals: previous.signals.untaken(this.#hookRunIds),
    });
    this.#hookRunIds.clear();
    this.#state = { kind: "waiting" };
    this.#returned = undefined;
    this.#started = false;
  }

  #newContext(options: {
    readonly attempt: number;
    readonly basePosition: number;
    readonly nowMs: number;
    readonly entity?: EntityView;
    readonly signals?: SignalMailbox;
  }): RunContext {
    return new RunContext({
      ...options,
      facts: this.facts,
      witness: this.#witness,
      onStray: () => this.#onStray?.(),
      isReplaying: () => this.replaying,
    });
  }

  #activate(work: () => void): void {
    const context = this.#context;
    if (this.#state.kind !== "waiting") return;
    context.active = true;
    context.enter(work);
    drainMicrotasks();
    context.active = false;
    if (context.violated !== undefined) throw context.violated;
    if (context.thrown !== undefined) this.#fail(context.thrown.error);
    if (this.#returned !== undefined) this.#finish(context);
    else if (context.pending.size === 0) throw blockedOutside(context);
  }

  /** The function has ended; outside an activation only something that is not durable can have ended it. */
  #ended(note: () => void): void {
    const context = this.#context;
    if (context.active) note();
    else context.violation(`the end of "${context.facts.workflowName}"`, FOLLOWED_AN_AWAIT);
  }

  #complete(result: unknown): void {
    try {
      this.#returned ??= {
        kind: "completed",
        result: encodePayload(result, { field: "result of the workflow" }),
      };
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    this.#returned ??= this.#failed(error);
  }

  #failed(error: unknown): MachineState {
    return { kind: "failed", failure: encodeFailure(error), final: this.#context.isFinal(error) };
  }

  #finish(context: RunContext): void {
    const rejected = this.#returned?.kind === "completed" ? context.firstUnhandled : undefined;
    this.#state = rejected === undefined ? (this.#returned ?? this.#state) : this.#failed(rejected.error);
  }

  /** Finds the call an event answers, or refuses the event. Undefined for a call that is settled already. */
  #callOf(event: HistoryEvent): PendingCall | undefined {
    const context = this.#context;
    const position = event.position ?? -1;
    if (position < context.basePosition) return undefined;
    const call = context.pending.get(position);
    const asked = call ?? context.settledAs(position);
    if (position >= context.nextPosition) throw mismatch(context, event, "nothing more");
    if (asked !== undefined && !answers(event, asked))
      throw mismatch(context, event, describe(asked.kind, asked.name));
    return call;
  }

  #deliverSignal(event: HistoryEvent): void {
    const signal = readSignal(event);
    for (const position of this.#context.signals.deliver(event.name ?? "", signal)) {
      this.#context.close(position)?.resolve(decodePayload(signal.data));
    }
  }

  #settle(event: HistoryEvent, call: PendingCall): void {
    const context = this.#context;
    const position = event.position ?? -1;
    switch (event.kind) {
      case EVENT_KIND.childStarted:
      case EVENT_KIND.hookStarted:
        // An awaited child or hook goes on until its outcome; a detached one is settled by its start.
        if (call.detached === true) context.close(position)?.resolve(call.startedId);
        return;
      case EVENT_KIND.activityCompleted:
      case EVENT_KIND.childCompleted:
        context.close(position)?.resolve(decodePayload(event.payload));
        return;
      case EVENT_KIND.hookCompleted:
        this.#forgetHook(call, position);
        context.close(position)?.resolve(decodePayload(event.payload));
        return;
      case EVENT_KIND.hookFailed:
      case EVENT_KIND.activityFailed:
      case EVENT_KIND.childFailed:
      case EVENT_KIND.commandFailed:
        this.#forgetHook(call, position);
        this.#reject(position, event);
        return;
      case EVENT_KIND.childStartFailed:
      case EVENT_KIND.hookStartFailed:
        this.#forgetHook(call, position);
        context.close(position)?.reject(startRefused(event));
        return;
      case EVENT_KIND.entityChanged:
      case EVENT_KIND.entityRead:
        this.#settleEntity(event, call, position);
        return;
      case EVENT_KIND.sideEffectMarked:
        // Allowed once: a replay is told that it has happened, or was about to.
        context.close(position)?.resolve(!this.replaying);
        return;
      case EVENT_KIND.interruptSent:
        context.close(position)?.resolve(event.name);
        return;
      case EVENT_KIND.interruptRefused:
        this.#refuseInterrupt(position, event);
        return;
      default:
        context.close(position)?.resolve(undefined);
    }
  }

  #forgetHook(call: PendingCall, position: number): void {
    if (call.signalId !== undefined) this.#context.signals.forgetHook(call.signalId, position);
  }

  #reject(position: number, event: HistoryEvent): void {
    const call = this.#context.close(position);
    if (call === undefined) return;
    const failure = decodePayload(event.payload) as FailureJson;
    // Interrupted with `throw: false`: who waits for the child gets nothing, as a client does.
    if (failure.data?.["quiet"] === true) {
      call.resolve(undefined);
      return;
    }
    if (call.failureIsResult === true) {
      call.resolve(toErrorObject(failure, FATAL_CODE));
      return;
    }
    const error = decodeFailure(failure);
    // MemFlow's code for a failure that is final; an error with a code of its own keeps it.
    if (!("code" in error))
      Object.defineProperty(error, "code", {
        value: FATAL_CODE,
        enumerable: false,
        configurable: true,
        writable: true,
      });
    this.#context.markFinal(error);
    call.reject(error);
  }

  #refuseInterrupt(position: number, event: HistoryEvent): void {
    const call = this.#context.close(position);
    if (call === undefined) return;
    if (call.failureIsResult === true) call.resolve(undefined);
    else call.reject(notOpen(decodePayload(event.payload) as NotOpen));
  }

  #settleEntity(event: HistoryEvent, call: PendingCall, position: number): void {
    const { entity } = this.#context;
    const entityNo = event.entityNo ?? 0;
    const payload = event.payload ?? "null";
    if (event.kind === EVENT_KIND.entityRead) {
      const asked = decodePayload(payload) as MemoryRead;
      this.#context.close(position)?.resolve(entity.read(entityNo, asked));
      return;
    }
    const folded = entity.change(entityNo, payload);
    this.#context.close(position);
    if ("error" in folded) call.reject(folded.error);
    else call.resolve(folded.value);
  }
}

function mismatch(
  { witness, nextPosition }: RunContext,
  event: HistoryEvent,
  actual: string,
): HistoryMismatchError {
  const position = event.position ?? -1;
  return new HistoryMismatchError({
    position,
    expected: describe(ANSWERS[event.kind] ?? "event", event.name),
    actual,
    // Code that asks for nothing more stands at, or has passed, its last call.
    place: witness?.placeOf(Math.min(position, nextPosition - 1)) ?? "",
  });
}

function answers(event: HistoryEvent, { kind, name }: CallName): boolean {
  if (event.kind === EVENT_KIND.commandFailed) return true;
  return ANSWERS[event.kind] === kind && (name === null || event.name === null || event.name === name);
}

function describe(kind: string, name: string | null): string {
  return name === null ? kind : `${kind} "${name}"`;
}

function blockedOutside(context: RunContext): DeterminismViolation {
  return new DeterminismViolation({
    call: `an await in "${context.facts.workflowName}" after position ${context.nextPosition - 1}`,
    place: context.witness?.placeOfBlockedAwait() ?? "",
    remedy:
      "it waits for something that is not recorded (I/O, a promise made elsewhere); do it in an activity",
  });
}

function readSignal({ payload }: HistoryEvent): ArrivedSignal {
  const { from, data } = JSON.parse(payload ?? '{"from":null}') as { from: string | null; data?: unknown };
  return { fromRunId: from, data: data === undefined ? null : JSON.stringify(data) };
}

function startedRunId({ payload }: HistoryEvent): string {
  return (decodePayload(payload) as { runId: string }).runId;
}

/** A run that a command names and that is not open: null where none has the id. */
interface NotOpen {
  readonly workflowId: string;
  readonly runId: string | null;
  readonly status: string | null;
}

function notOpen({ workflowId, runId, status }: NotOpen): Error {
  return runId === null || status === null
    ? new WorkflowNotFoundError({ workflowId })
    : new RunClosedError({ workflowId, runId, status });
}

function startRefused(event: HistoryEvent): Error {
  const { workflowId, into } = decodePayload(event.payload) as { workflowId: string; into?: NotOpen };
  if (into !== undefined) return notOpen(into);
  return new DuplicateJobError(workflowId, event.name ?? "");
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
  );
}
