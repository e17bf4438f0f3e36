/**
 * What workflow code sees of its run: its time, its randomness, and the promises that history settles.
 *
 * Promises that a durable call made inside the run's activation gets the next position in program order and one promise,
 * settled only by an applied event; that a call from anywhere else is refused and named; and that nothing here does I/O:
 * what the code asks for is collected as commands. One context serves one attempt of a run.
 */
import { AsyncLocalStorage } from "node:async_hooks";

import type { Command } from "../core/commands.ts";
import { DeterminismViolation } from "../core/errors.ts";
import { createRandom } from "../core/seeded-random.ts";
import { SignalMailbox } from "../core/signal-mailbox.ts";
import { UUID_V7_RANDOM_BYTES, uuidV7 } from "../core/uuid.ts";
import type { RunGuard } from "../guards/guard-hooks.ts";
import { EntityView } from "./entity-view.ts";
import { currentUserPlace } from "./user-place.ts";

/** What is known of a run before its history is read. */
export interface RunFacts {
  readonly runId: string;
  readonly workflowId: string;
  readonly workflowName: string;
  readonly taskQueue: string;
  readonly namespace: string;
  readonly entityId: string;
  readonly parentRunId: string | null;
  /** The command of the parent that awaits this run; null when none does. */
  readonly parentPosition: number | null;
  readonly hook: boolean;
  readonly dialect: string;
  /** The database's clock when the run was started, in epoch milliseconds. */
  readonly startedMs: number;
  /** JSON text of the argument list. */
  readonly input: string | null;
  /** JSON text of the run's options. */
  readonly options: string | null;
}

/** What history must show of a call. */
export interface CallName {
  /** The kind of its command. */
  readonly kind: Command["kind"];
  /** Activity, workflow or signal id; null where the kind says all. */
  readonly name: string | null;
}

/** What an unsettled durable call waits for. */
export interface PendingCall extends CallName {
  /** Settles the user's promise; gets what the event carries. */
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** The signal that an execHook waits for. */
  readonly signalId?: string;
  /** True: a final failure is the call's result. */
  readonly failureIsResult?: boolean;
  /** True: the start alone settles it, with `startedId`. */
  readonly detached?: boolean;
  readonly startedId?: string;
}

/** A durable call before it has a position. */
export interface DurableCall {
  readonly kind: PendingCall["kind"];
  readonly name: string | null;
  readonly signalId?: string;
  readonly failureIsResult?: boolean;
  readonly detached?: boolean;
  readonly startedId?: string;
}

/** Looks on while a run is replayed to find out what went wrong in it (see diagnosis.ts). */
export interface Witness {
  /** A durable call took this position. */
  called(position: number): void;
  /** Where the call of a position was made, as file:line:column; '' when that is not known. */
  placeOf(position: number): string;
  /** Where the code waits for what no history settles. */
  placeOfBlockedAwait(): string;
}

const storage = new AsyncLocalStorage<RunContext>();

/** The run whose workflow code is executing, by its async context. */
export function currentContext(): RunContext | undefined {
  return storage.getStore();
}

export class RunContext implements RunGuard {
  readonly facts: RunFacts;
  /** 1-based; a workflow that failed and is tried again gets a new context. */
  readonly attempt: number;
  readonly pending: Map<number, PendingCall> = new Map();
  /** True while the driver has the run's code executing. */
  active = false;
  /** The first violation of determinism; the run is parked with it. */
  violated: DeterminismViolation | undefined;
  /** An exception from a callback of the code. */
  thrown: { readonly error: unknown } | undefined;
  readonly witness: Witness | undefined;
  /** Told of a violation outside the run's activation: nothing else would look for it. */
  readonly #onStray: (() => void) | undefined;
  readonly #isReplaying: () => boolean;
  #nowMs: number;
  #nextPosition: number;
  /** Made when it is asked for. */
  #random: (() => number) | undefined;
  #commands: Command[] = [];
  /** What the settled calls of a replay were, for the comparison with history; of a live run none is kept. */
  #settled: Map<number, CallName> | undefined;
  #live = false;
  readonly #basePosition: number;
  // Made when they are needed: most runs need none of them, and to make them all would cost more than a small run.
  #signals: SignalMailbox | undefined;
  #entity: EntityView | undefined;
  #unhandled: Map<Promise<unknown>, unknown> | undefined;
  #finalErrors: WeakSet<object> | undefined;
  #entered = false;
  /** Enters this context; known from the second time on, for most runs of one activation never need it. */
  #scope: (<Result>(work: () => Result) => Result) | undefined;

  constructor(options: {
    readonly facts: RunFacts;
    readonly attempt: number;
    readonly basePosition: number;
    readonly nowMs: number;
    /** Those of the attempt before. */
    readonly entity?: EntityView | undefined;
    readonly signals?: SignalMailbox | undefined;
    readonly witness?: Witness | undefined;
    readonly onStray?: (() => void) | undefined;
    readonly isReplaying?: (() => boolean) | undefined;
  }) {
    this.facts = options.facts;
    this.attempt = options.attempt;
    this.#entity = options.entity;
    this.#signals = options.signals;
    this.witness = options.witness;
    this.#onStray = options.onStray;
    this.#isReplaying = options.isReplaying ?? (() => false);
    this.#nowMs = options.nowMs;
    this.#basePosition = options.basePosition;
    this.#nextPosition = options.basePosition;
  }

  /** True while events that were recorded before are applied again. */
  get replaying(): boolean {
    return this.#isReplaying();
  }

  get signals(): SignalMailbox {
    this.#signals ??= new SignalMailbox();
    return this.#signals;
  }

  get entity(): EntityView {
    this.#entity ??= new EntityView();
    return this.#entity;
  }

  /** The number of the last change in the run's memory. */
  get entityNo(): number {
    return this.#entity?.entityNo ?? 0;
  }

  /** Errors of promises that nobody has handled yet. */
  get unhandled(): Map<Promise<unknown>, unknown> {
    this.#unhandled ??= new Map();
    return this.#unhandled;
  }

  /** The first of these errors; undefined when there is none. */
  get firstUnhandled(): { readonly error: unknown } | undefined {
    if (this.#unhandled === undefined || this.#unhandled.size === 0) return undefined;
    const [error] = this.#unhandled.values();
    return { error };
  }

  /** A failure that must not start the run anew when its code lets it through. */
  markFinal(error: object): void {
    this.#finalErrors ??= new WeakSet();
    this.#finalErrors.add(error);
  }

  isFinal(error: unknown): boolean {
    return typeof error === "object" && error !== null && this.#finalErrors?.has(error) === true;
  }

  get nextPosition(): number {
    return this.#nextPosition;
  }

  /** Positions below this one belong to attempts that failed. */
  get basePosition(): number {
    return this.#basePosition;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  random(): number {
    this.#random ??= createRandom(`${this.facts.runId}:${this.attempt}`);
    return this.#random();
  }

  /** A run's or hook's id, the same on every replay. */
  uuid(): string {
    const bytes = Uint8Array.from({ length: UUID_V7_RANDOM_BYTES }, () => Math.floor(this.random() * 256));
    return uuidV7(this.#nowMs, bytes);
  }

  /** Executes a part of the run's code. Its async context is made twice at most: to make one costs more than to enter it. */
  enter<Result>(work: () => Result): Result {
    if (this.#scope !== undefined) return this.#scope(work);
    if (!this.#entered) {
      this.#entered = true;
      return storage.run(this, work);
    }
    return storage.run(this, () => {
      this.#scope = AsyncLocalStorage.snapshot();
      return work();
    });
  }

  /** Moves the run's time to an event's; it never goes back. */
  advanceTo(atMs: number): void {
    if (atMs > this.#nowMs) this.#nowMs = atMs;
  }

  /** Takes the next position for a call that needs no command, such as a wait whose signal is here already. */
  takePosition(call: string | CallName): number {
    if (!this.active) throw this.violation(typeof call === "string" ? call : nameOf(call), FOLLOWED_AN_AWAIT);
    const position = this.#nextPosition;
    this.#nextPosition += 1;
    this.witness?.called(position);
    return position;
  }

  /** Issues a durable call: takes the next position and returns the promise that its event will settle. */
  issue<Result>(call: DurableCall, toCommand: (position: number) => Command): Promise<Result> {
    const position = this.takePosition(call);
    this.#commands.push(toCommand(position));
    return this.expect<Result>(position, call);
  }

  /** Adds a command without a call of its own. */
  command(command: Command): void {
    this.#commands.push(command);
  }

  /** The promise of a position that was taken. */
  expect<Result>(position: number, call: DurableCall): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      this.pending.set(position, { ...call, resolve: resolve as (value: unknown) => void, reject });
    });
  }

  /** Closes a call: whoever settles it gets it, once. */
  close(position: number): PendingCall | undefined {
    const call = this.pending.get(position);
    if (call !== undefined) {
      this.pending.delete(position);
      if (!this.#live) {
        this.#settled ??= new Map();
        this.#settled.set(position, { kind: call.kind, name: call.name });
      }
    }
    return call;
  }

  /**
   * What the replayed call of a position was that is settled already; undefined once the run is live. A position without a
   * call was taken by a wait whose signal was there.
   */
  settledAs(position: number): CallName | undefined {
    if (this.#live) return undefined;
    return this.#settled?.get(position) ?? { kind: "wait", name: null };
  }

  /** Takes what the code asked for, at the end of a replay or of a live activation. */
  takeCommands(): Command[] {
    const commands = this.#commands;
    this.#commands = [];
    this.#settled = undefined;
    this.#live = true;
    return commands;
  }

  startTimer(callback: () => void, delayMs: number): number {
    const position = this.takePosition("setTimeout");
    const milliseconds = Number.isFinite(delayMs) && delayMs > 0 ? Math.ceil(delayMs) : 0;
    this.#commands.push({ kind: "timer", position, dueMs: this.#nowMs + milliseconds });
    const fire = (): void => {
      try {
        callback();
      } catch (error) {
        this.fail(error);
      }
    };
    this.pending.set(position, { kind: "timer", name: null, resolve: fire, reject: () => undefined });
    return position;
  }

  clearTimer(id: number): void {
    if (this.pending.get(id)?.kind !== "timer") return;
    this.close(id);
    this.#commands.push({ kind: "cancel_timer", position: id });
  }

  /** Takes an exception that no `try` of the code surrounds: it fails the run, as it would end a process. */
  fail(error: unknown): void {
    this.thrown ??= { error };
    if (!this.active) this.#onStray?.();
  }

  violation(call: string, remedy?: string): DeterminismViolation {
    const error = new DeterminismViolation({ call, place: currentUserPlace(), remedy });
    this.violated ??= error;
    if (!this.active) this.#onStray?.();
    return error;
  }
}

function nameOf({ kind, name }: CallName): string {
  return `MemFlow.workflow ${kind}${name === null ? "" : ` "${name}"`}`;
}

/** What to do about code that went on by itself, outside its run's activation. */
export const FOLLOWED_AN_AWAIT =
  "it followed an await of something that is not recorded (I/O, a promise made elsewhere); do that in an activity";
