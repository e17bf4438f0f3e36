/**
 * A run whose history is written by hand: a RunMachine without a worker and without Postgres.
 *
 * Promises that code is driven as a worker drives it (from a macrotask, one event at a time, guards installed), and that
 * the events it made can be replayed. `durable` are the durable calls in their barest form.
 */
import type { Command } from "../core/commands.ts";
import { EVENT_KIND } from "../core/events.ts";
import type { EventDraft, HistoryEvent } from "../core/events.ts";
import { encodeFailure } from "../core/failure.ts";
import { decodePayload } from "../core/payload.ts";
import { normalizeRetryPolicy } from "../core/retry-policy.ts";
import { diagnose } from "../replay/diagnosis.ts";
import type { PlacelessError } from "../replay/diagnosis.ts";
import type { NumberedChange } from "../replay/entity-view.ts";
import { currentContext } from "../replay/run-context.ts";
import type { RunContext, RunFacts } from "../replay/run-context.ts";
import { RunMachine } from "../replay/run-machine.ts";
import type { Invoke, MachineState } from "../replay/run-machine.ts";
import { Shadow } from "../replay/shadow.ts";
import { guardProcess } from "../worker/process-guards.ts";

/** When hand-written runs begin, and how far their events are apart. */
const STARTED_MS = 1_700_000_000_000;
const EVENT_GAP_MS = 1_000;

/** An event as a test writes it; the rest follows from its place. */
export interface HandEvent {
  readonly kind: EventDraft["kind"];
  readonly position?: number | null;
  readonly name?: string | null;
  readonly payload?: string | null;
  readonly entityNo?: number;
}

export class HandDrivenRun {
  readonly machine: RunMachine;
  readonly events: HistoryEvent[] = [];
  /** Everything the code asked for, in order. */
  readonly commands: Command[] = [];

  private constructor(invoke: Invoke, facts: Partial<RunFacts>) {
    this.machine = new RunMachine({ ...HAND_FACTS, ...facts }, invoke);
  }

  /** A run whose function was not called yet. */
  static async prepare(invoke: Invoke, facts: Partial<RunFacts> = {}): Promise<HandDrivenRun> {
    await guardProcess();
    return new HandDrivenRun(invoke, facts);
  }

  /** A run whose function was called. */
  static async start(invoke: Invoke, facts: Partial<RunFacts> = {}): Promise<HandDrivenRun> {
    const run = await HandDrivenRun.prepare(invoke, facts);
    await run.begin();
    return run;
  }

  /** Starts the function anew and applies a history at one go, as a takeover does. */
  static async replay(
    invoke: Invoke,
    events: readonly HistoryEvent[],
    facts: Partial<RunFacts> = {},
  ): Promise<HandDrivenRun> {
    const run = await HandDrivenRun.prepare(invoke, facts);
    await run.#drive(() => {
      run.machine.start();
      for (const event of events) {
        run.events.push(event);
        run.machine.apply(event);
      }
    });
    return run;
  }

  get state(): MachineState {
    return this.machine.state;
  }

  get context(): RunContext {
    return this.machine.context;
  }

  /** The result of a run that completed. */
  get result(): unknown {
    const { state } = this;
    if (state.kind !== "completed") throw new Error(`the run is ${state.kind}: ${JSON.stringify(state)}`);
    return decodePayload(state.result);
  }

  /** Positions of open calls, in the order in which they were made. */
  get open(): readonly number[] {
    return [...this.context.pending.keys()];
  }

  /** Calls the workflow function. */
  async begin(): Promise<void> {
    await this.#drive(() => this.machine.start());
  }

  /** Lets a diagnosis look at the run, which has failed with `error`. */
  async diagnose(error: PlacelessError, changes: readonly NumberedChange[] = []): Promise<PlacelessError> {
    const { machine, events } = this;
    return await this.#drive(() => diagnose({ machine, events, changes, error }));
  }

  /** Repeats the run from scratch and compares (see shadow.ts). */
  async compareWithShadow(): Promise<void> {
    const shadow = new Shadow(this.machine);
    for (const event of this.events) shadow.applied(event);
    shadow.asked(this.commands);
    await this.#drive(() => shadow.compare());
  }

  /** Applies one event. */
  async apply(event: HandEvent): Promise<void> {
    const eventNo = this.events.length + 1;
    const full: HistoryEvent = {
      kind: event.kind,
      position: event.position ?? null,
      name: event.name ?? null,
      payload: event.payload ?? null,
      eventNo,
      atMs: STARTED_MS + eventNo * EVENT_GAP_MS,
      entityNo: event.entityNo ?? null,
    };
    this.events.push(full);
    await this.#drive(() => this.machine.apply(full));
  }

  async complete(position: number, result: unknown): Promise<void> {
    const name = this.context.pending.get(position)?.name ?? null;
    await this.apply({
      kind: EVENT_KIND.activityCompleted,
      position,
      name,
      payload: JSON.stringify(result) ?? null,
    });
  }

  async fail(position: number, error: unknown): Promise<void> {
    const name = this.context.pending.get(position)?.name ?? null;
    await this.apply({
      kind: EVENT_KIND.activityFailed,
      position,
      name,
      payload: JSON.stringify(encodeFailure(error)),
    });
  }

  async fire(position: number): Promise<void> {
    await this.apply({ kind: EVENT_KIND.timerFired, position });
  }

  async signal(signalId: string, data: unknown, fromRunId: string | null = null): Promise<void> {
    await this.apply({
      kind: EVENT_KIND.signalReceived,
      name: signalId,
      payload: JSON.stringify({ from: fromRunId, data }),
    });
  }

  /** Microtasks drain only inside a macrotask; what the machine throws is the caller's. */
  async #drive<Result>(work: () => Result): Promise<Result> {
    return await new Promise<Result>((resolve, reject) => {
      setImmediate(() => {
        try {
          resolve(work());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        } finally {
          this.commands.push(...this.machine.takeCommands());
        }
      });
    });
  }
}

export const HAND_FACTS: RunFacts = {
  runId: "018f0000-0000-7000-8000-000000000001",
  workflowId: "by-hand",
  workflowName: "byHand",
  taskQueue: "hands",
  namespace: "memflow",
  entityId: "018f0000-0000-7000-8000-000000000001",
  parentRunId: null,
  parentPosition: null,
  hook: false,
  dialect: "memflow",
  startedMs: STARTED_MS,
  input: null,
  options: null,
};

/** The run whose code is executing. */
function run(): RunContext {
  const context = currentContext();
  if (context === undefined) throw new Error("durable calls need a run");
  return context;
}

/** Durable calls without the SDK around them. */
export const durable = {
  activity: <Result>(name: string): Promise<Result> =>
    run().issue<Result>({ kind: "activity", name }, (position) => ({
      kind: "activity",
      position,
      name,
      args: null,
      taskQueue: null,
      policy: normalizeRetryPolicy(undefined, "retryPolicy"),
    })),
  sleep: (milliseconds: number): Promise<void> => {
    const dueMs = run().nowMs() + milliseconds;
    return run().issue<void>({ kind: "timer", name: null }, (position) => ({
      kind: "timer",
      position,
      dueMs,
    }));
  },
  waitFor: async <Payload>(signalId: string): Promise<Payload> => {
    const context = run();
    const position = context.takePosition(`waitFor "${signalId}"`);
    const kept = context.signals.take(signalId, position);
    if (kept !== undefined) return decodePayload(kept.data) as Payload;
    context.command({ kind: "wait", position, signalId });
    return await context.expect<Payload>(position, { kind: "wait", name: signalId });
  },
  change: <Value>(change: { readonly op: string }): Promise<Value> =>
    run().issue<Value>({ kind: "entity", name: change.op }, (position) => ({
      kind: "entity",
      position,
      change: true,
      name: change.op,
      payload: JSON.stringify(change),
    })),
} as const;
