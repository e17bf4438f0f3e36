/**
 * A run's whole story as plain JSON: what `handle.export()` gives and `replayWorkflow` takes.
 *
 * Promises that the form stands: members are added, never changed, as long as `format` says the same. Reads nothing
 * itself. The form is described in docs/export.md.
 */
import {
  EVENT_KIND,
  EVENT_WORD,
  FATAL_CODE,
  OptionError,
  decodePayload,
  toErrorObject,
} from "@memflow/engine";
import type {
  ErrorObject,
  EventDescription,
  EventKind,
  FailureJson,
  HistoryEvent,
  Json,
  NumberedChange,
  RecordedRun,
  RunRecord,
} from "@memflow/engine";

/** What `format` says of an export of this version. */
export const EXPORT_FORMAT = "memflow-export/1";

/** The parts that `allow` and `block` name. */
export type ExportPart =
  | "run"
  | "data"
  | "entity"
  | "entityLog"
  | "state"
  | "status"
  | "timeline"
  | "transitions";

/** What is exported. */
export interface ExportOptions {
  /** Only these parts. */
  readonly allow?: readonly ExportPart[] | undefined;
  /** All but these. */
  readonly block?: readonly ExportPart[] | undefined;
  /** False leaves out what the run was given, made and said: such an export can't be replayed. */
  readonly values?: boolean | undefined;
}

/** What a replay needs to know of a run beside its timeline. */
export interface ExportedRun {
  readonly runId: string;
  readonly workflowId: string;
  readonly workflowName: string;
  readonly taskQueue: string;
  readonly namespace: string;
  readonly entityId: string;
  readonly parentRunId: string | null;
  readonly parentPosition: number | null;
  readonly hook: boolean;
  readonly dialect: string;
  /** Milliseconds since 1970, with their fraction. */
  readonly startedMs: number;
  /** The arguments. */
  readonly input?: Json;
  /** The options of its start. */
  readonly options?: Json;
}

/** An event of the run. */
export interface TimelineEvent {
  /** 1-based, without gaps. */
  readonly eventNo: number;
  /** ISO 8601, in milliseconds: for people. */
  readonly at: string;
  /** Milliseconds since 1970, with their fraction: for replays. */
  readonly atMs: number;
  /** See docs/replay.md#events. */
  readonly kind: string;
  /** The durable call that it answers; null for what came from outside. */
  readonly position: number | null;
  readonly name: string | null;
  readonly entityNo: number | null;
  /** Left out for undefined. */
  readonly payload?: Json;
}

/** MemFlow's view of a run's state. */
export interface WorkflowState {
  readonly done: boolean;
  readonly response?: unknown;
  readonly $error?: ErrorObject;
  readonly workflowId: string;
  /** When it was started and last changed, as ISO texts. */
  readonly jc: string;
  readonly ju: string;
}

/** The facts beside a state. */
export interface WorkflowMetadata {
  readonly runId: string;
  readonly workflowId: string;
  readonly workflowName: string;
  readonly workflowTopic: string;
  readonly taskQueue: string;
  /** running, completed, failed, canceled or terminated. */
  readonly status: string;
  /** The status as MemFlow's semaphore. */
  readonly js: number;
}

/** A run's whole story. */
export interface WorkflowExport {
  readonly format: typeof EXPORT_FORMAT;
  readonly run?: ExportedRun;
  /** Search data. */
  readonly data?: Readonly<Record<string, string>>;
  /** The entity as of its last recorded change. */
  readonly entity?: Json;
  /** The changes of the entity that others made: hooks, or the run that a hook belongs to. */
  readonly entityLog?: readonly { readonly entityNo: number; readonly change: Json }[];
  readonly state?: { readonly data: WorkflowState; readonly metadata: WorkflowMetadata };
  readonly status?: number;
  readonly timeline?: readonly TimelineEvent[];
  readonly transitions?: readonly { readonly status: string; readonly at: string }[];
}

/** Statuses as MemFlow's semaphore: above 0 running, 0 done, far below 0 stopped from outside. */
const STOPPED = -1_000_000_000;

/** MemFlow's semaphore of a run. */
export function semaphoreOf({ status }: { readonly status: string }): number {
  if (status === "running") return 1;
  return status === "canceled" || status === "terminated" ? STOPPED : 0;
}

/** MemFlow's state of a run; without values its outcome is left out. */
export function stateOf(row: RunRecord, values = true): WorkflowState {
  const response = values ? decodePayload(row.result) : undefined;
  return {
    done: row.status !== "running",
    ...(response === undefined ? {} : { response }),
    ...(row.failure === null || !values
      ? {}
      : { $error: toErrorObject(JSON.parse(row.failure) as FailureJson, FATAL_CODE) }),
    workflowId: row.workflowId,
    jc: row.startedAt.toISOString(),
    ju: (row.closedAt ?? row.startedAt).toISOString(),
  };
}

/** The facts beside a state. */
export function metadataOf(row: RunRecord): WorkflowMetadata {
  const { runId, workflowId, workflowName, taskQueue, status } = row;
  const workflowTopic = `${taskQueue}-${workflowName}`;
  return { runId, workflowId, workflowName, workflowTopic, taskQueue, status, js: semaphoreOf(row) };
}

/** When a run was started and how it ended. */
export function transitionsOf(row: RunRecord): NonNullable<WorkflowExport["transitions"]> {
  const started = { status: "running", at: row.startedAt.toISOString() };
  return row.closedAt === null
    ? [started]
    : [started, { status: row.status, at: row.closedAt.toISOString() }];
}

/** The part `run`. */
export function exportedRun(row: RunRecord, namespace: string, values: boolean): ExportedRun {
  const { runId, workflowId, workflowName, taskQueue, entityId, parentRunId, parentPosition } = row;
  return {
    runId,
    workflowId,
    workflowName,
    taskQueue,
    namespace,
    entityId,
    parentRunId,
    parentPosition,
    hook: row.hook,
    dialect: row.dialect,
    startedMs: row.startedMs,
    ...(row.input === null || !values ? {} : { input: JSON.parse(row.input) as Json }),
    ...(row.options === null || !values ? {} : { options: JSON.parse(row.options) as Json }),
  };
}

/** An event of the part `timeline`. */
export function exportedEvent(event: EventDescription, values: boolean): TimelineEvent {
  const { eventNo, kind, position, name, entityNo, payload } = event;
  return {
    eventNo,
    at: event.at.toISOString(),
    atMs: event.atMs,
    kind,
    position,
    name,
    entityNo,
    ...(payload === undefined || !values ? {} : { payload: payload as Json }),
  };
}

/**
 * Reads an export back.
 *
 * @throws {OptionError} When it is none, or lacks what a replay needs.
 */
export function readExport(exported: unknown): RecordedRun {
  const { format, run, timeline, entityLog = [], state } = (exported ?? {}) as Partial<WorkflowExport>;
  if (format !== EXPORT_FORMAT) {
    throw new OptionError({
      field: "exported.format",
      value: format,
      remedy: `give what handle.export() has given; its format is "${EXPORT_FORMAT}"`,
    });
  }
  if (run === undefined || timeline === undefined || run.input === undefined) {
    throw new OptionError({
      field: "exported",
      value: Object.keys(exported as object),
      remedy: 'export the run with its values and with the parts "run", "timeline", "entityLog" and "state"',
    });
  }
  const { input, options, ...facts } = run;
  const events = timeline.map(readEvent);
  return {
    facts: {
      ...facts,
      input: JSON.stringify(input),
      options: options === undefined ? null : JSON.stringify(options),
    },
    events,
    changes: [...entityLog.map(readChange), ...events.flatMap(changeOf)].toSorted(
      (a, b) => a.entityNo - b.entityNo,
    ),
    completed: state?.metadata.status === "completed",
  };
}

const KIND_BY_WORD: ReadonlyMap<string, EventKind> = new Map(
  Object.values(EVENT_KIND).map((kind) => [EVENT_WORD[kind], kind]),
);

function readEvent(event: TimelineEvent): HistoryEvent {
  const kind = KIND_BY_WORD.get(event.kind);
  if (kind === undefined) {
    throw new OptionError({
      field: `exported.timeline[${event.eventNo - 1}].kind`,
      value: event.kind,
      remedy: "replay it with a version of MemFlow that knows this kind of event",
    });
  }
  return {
    eventNo: event.eventNo,
    kind,
    position: event.position,
    atMs: event.atMs,
    name: event.name,
    payload: event.payload === undefined ? null : JSON.stringify(event.payload),
    entityNo: event.entityNo,
  };
}

function readChange({
  entityNo,
  change,
}: {
  readonly entityNo: number;
  readonly change: Json;
}): NumberedChange {
  return { entityNo, payload: JSON.stringify(change) };
}

function changeOf({ kind, entityNo, payload }: HistoryEvent): readonly NumberedChange[] {
  if (kind !== EVENT_KIND.entityChanged || entityNo === null || payload === null) return [];
  return [{ entityNo, payload }];
}
