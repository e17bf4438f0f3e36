/**
 * Commands: what workflow code asked for in one activation, for its owner to carry out.
 *
 * Promises that what is recorded of a command is plain data, that its position is its number in program order, and that replaying the
 * same history makes the same commands. A command is recorded through the event that answers it.
 */
import type { RetryPolicy } from "./retry-policy.ts";

/** Runs an activity; answered by activityCompleted or activityFailed. */
export interface ActivityCommand {
  readonly kind: "activity";
  readonly position: number;
  readonly name: string;
  /** JSON text of the argument list. */
  readonly args: string | null;
  /** Null: the run's own queue, this worker first. */
  readonly taskQueue: string | null;
  readonly policy: RetryPolicy;
  /** The function itself where the caller gave it: for this process alone, never recorded. */
  readonly implementation?: ((...args: never[]) => unknown) | undefined;
}

/** Waits until a moment of the run's time; answered by timerFired. */
export interface TimerCommand {
  readonly kind: "timer";
  readonly position: number;
  readonly dueMs: number;
}

/** Takes back a timer. */
export interface CancelTimerCommand {
  readonly kind: "cancel_timer";
  readonly position: number;
}

/** Waits for a signal; answered by a signalReceived of its id. */
export interface WaitCommand {
  readonly kind: "wait";
  readonly position: number;
  readonly signalId: string;
}

/** Sends a signal; answered by signalSent. */
export interface SignalCommand {
  readonly kind: "signal";
  readonly position: number;
  readonly signalId: string;
  readonly payload: string | null;
  /** A run to send to, whatever waits; null: whoever waits for the id (docs/replay.md, "Where a signal goes"). */
  readonly toRunId: string | null;
}

/** Starts a child or a hook; answered by childStarted or hookStarted, then by its outcome when `awaited`. */
export interface StartCommand {
  readonly kind: "child" | "hook";
  readonly position: number;
  readonly runId: string;
  readonly workflowId: string;
  readonly workflowName: string;
  readonly taskQueue: string;
  /** JSON text of the argument list. */
  readonly args: string | null;
  /** JSON text of the run's options. */
  readonly options: string | null;
  readonly retentionSeconds: number | null;
  /** Milliseconds before its first step. */
  readonly delayMs: number;
  readonly awaited: boolean;
  /** The type of a child's entity, by which it is found; null for none, and for hooks, which have no entity of their own. */
  readonly entityType: string | null;
  /** JSON text of a child's first search data; null for none, and for hooks. */
  readonly search: string | null;
  /** Of a hook: the workflow id of another run, in whose memory it runs; null for this one's. */
  readonly into: string | null;
}

/** Reads or changes the run's memory (entity and search data); answered by entityRead or entityChanged. */
export interface EntityCommand {
  readonly kind: "entity";
  readonly position: number;
  readonly change: boolean;
  /** The operation's name. */
  readonly name: string;
  /** JSON text of the change, or of what is read: a path, null for the whole entity, `{search: fields}`. */
  readonly payload: string;
}

/** Publishes data by topic once it is recorded; answered by emitted. */
export interface EmitCommand {
  readonly kind: "emit";
  readonly position: number;
  readonly topics: readonly string[];
  /** JSON text: the data by topic. */
  readonly payload: string;
  /** False: also each time that the call is replayed. */
  readonly once: boolean;
}

/** Exports a span once it is recorded; answered by traced. */
export interface TraceCommand {
  readonly kind: "trace";
  readonly position: number;
  /** JSON text: the span's attributes. */
  readonly payload: string;
  /** W3C ids of the trace and of the span above. */
  readonly traceId: string;
  readonly spanId: string;
  /** False: also each time that the call is replayed. */
  readonly once: boolean;
}

/** Notes that a side effect may happen now; answered by sideEffectMarked. */
export interface MarkCommand {
  readonly kind: "mark";
  readonly position: number;
  readonly name: string;
}

/** Ends another run from outside; answered by interruptSent or interruptRefused. */
export interface InterruptCommand {
  readonly kind: "interrupt";
  readonly position: number;
  readonly workflowId: string;
  /** JSON text of what waits for that run gets. */
  readonly failure: string;
  /** Its children too. */
  readonly descend: boolean;
  /** How long the ended run is kept; null for as long as it said. */
  readonly retentionSeconds: number | null;
}

export type Command =
  | ActivityCommand
  | TimerCommand
  | CancelTimerCommand
  | WaitCommand
  | SignalCommand
  | StartCommand
  | EntityCommand
  | EmitCommand
  | TraceCommand
  | MarkCommand
  | InterruptCommand;
