/**
 * The options by which runs are started, by clients and by workflows, checked once for both.
 */
import { OptionError, encodeArguments, normalizeRetryPolicy, parseDurationMs } from "@memflow/engine";
import type { RetryPolicyOptions } from "@memflow/engine";
import { encodeRunOptions } from "./run-options.ts";
import type { RunOptions } from "./run-options.ts";
import { checkSearch } from "./search-options.ts";
import type { WorkflowSearchOptions } from "./search-options.ts";

/** The workflow's own retry policy: a workflow that fails starts anew, with its entity. */
export type WorkflowConfig = RetryPolicyOptions;

/** How a run is started. `entity` stands for `taskQueue` and `workflowName` where these are absent. */
export interface WorkflowOptions {
  readonly args?: readonly unknown[] | undefined;
  readonly taskQueue?: string | undefined;
  readonly workflowName?: string | undefined;
  /** The business thing's name; one open run has it (default: a new id). */
  readonly workflowId?: string | undefined;
  /** The type of the run's entity, by which `Entity.find` finds it (at most 512 bytes). */
  readonly entity?: string | undefined;
  /** Search data to begin with, as `{ data: { field: value } }`. */
  readonly search?: WorkflowSearchOptions | undefined;
  /** The schema (default `memflow`). */
  readonly namespace?: string | undefined;
  readonly config?: WorkflowConfig | undefined;
  /** Seconds that the finished run is kept (default: as its Workflow or Store says; 604,800, which is 7 days, where none does). */
  readonly expire?: number | undefined;
  /** True: the finished run is kept for good, as its children are (default false). */
  readonly persistent?: boolean | undefined;
  /**
   * Seconds: the workflow id is reserved, and the run begins with `handle.resume()`; without it the id is free again after
   * that time. For clients only.
   */
  readonly pending?: number | undefined;
  /**
   * The run is this build's from the start: only workers with this `buildId` claim it, and it waits for them (default:
   * whichever build gets new runs). For clients only: children and hooks take their parent's.
   */
  readonly buildId?: string | undefined;
  /** Wait this long before the first step: milliseconds or `"5m"`. */
  readonly startDelay?: string | number | undefined;
  /** The workflow id that the run shall know as its first ancestor (default: none, or the starting run's). */
  readonly originJobId?: string | undefined;
  /** The trace that the run belongs to, and the span above it, as W3C ids (default: made of the run id). */
  readonly workflowTrace?: string | undefined;
  readonly workflowSpan?: string | undefined;
  /** Accepted for MemFlow's sake; every run takes signals. */
  readonly signalIn?: boolean | undefined;
  readonly await?: boolean | undefined;
  /** Accepted for MemFlow's sake: the run that starts a child is its parent. */
  readonly parentWorkflowId?: string | undefined;
  readonly marker?: unknown;
  readonly guid?: string | undefined;
}

/** What a start needs, checked. */
export interface CheckedStart {
  readonly taskQueue: string;
  readonly workflowName: string;
  /** JSON text of the argument list. */
  readonly input: string | null;
  /** JSON text of the run's options. */
  readonly options: string | null;
  readonly retentionSeconds: number | null;
  /** Milliseconds before the first step. */
  readonly delayMs: number;
  readonly entityType: string | null;
  /** JSON text of the first search data. */
  readonly search: string | null;
  /** Null: the run may begin at once. */
  readonly pendingSeconds: number | null;
  /** Null: whichever build gets new runs. */
  readonly buildId: string | null;
}

/** Seconds that a finished run is kept: 7 days. */
export const RETENTION_DEFAULT_SECONDS = 604_800;
const NAME_BYTES_MAX = 512;
const RETENTION_MAX_SECONDS = 2_147_483_647;

/** What the caller's place says where the options are silent. */
interface StartDefaults extends Pick<
  RunOptions,
  "expire" | "jobId" | "originJobId" | "workflowTrace" | "workflowSpan"
> {
  readonly taskQueue?: string | undefined;
  readonly args?: readonly unknown[] | undefined;
}

/** Checks the options of a start. */
export function checkStart(options: WorkflowOptions, defaults: StartDefaults = {}): CheckedStart {
  if (typeof options !== "object" || options === null) {
    throw new OptionError({
      field: "options",
      value: options,
      remedy: "give an object with taskQueue, workflowName and args",
    });
  }
  const args = defaults.args ?? options.args ?? [];
  if (!Array.isArray(args))
    throw new OptionError({ field: "args", value: args, remedy: "give an array of arguments" });
  const workflowName = checkName("workflowName", options.workflowName ?? options.entity);
  const expire = checkRetention(options) ?? defaults.expire ?? null;
  return {
    taskQueue: checkName("taskQueue", options.taskQueue ?? options.entity ?? defaults.taskQueue),
    workflowName,
    input: encodeArguments(args, { field: "args" }),
    options: encodeRunOptions(carriedOptions(options, defaults, expire ?? undefined)),
    retentionSeconds: expire,
    delayMs: options.startDelay === undefined ? 0 : parseDurationMs(options.startDelay, "startDelay"),
    entityType: options.entity === undefined ? null : checkName("entity", options.entity),
    search: checkSearch(options.search),
    pendingSeconds: checkPending(options),
    buildId: checkBuild(options),
  };
}

/** How long a finished run is kept, where its start says so. */
function checkRetention({ expire, persistent }: WorkflowOptions): number | null {
  if (persistent !== undefined && typeof persistent !== "boolean")
    throw new OptionError({ field: "persistent", value: persistent, remedy: "give true or false" });
  if (persistent !== true) return checkExpire(expire);
  if (expire === undefined) return RETENTION_MAX_SECONDS;
  const remedy = 'leave out one of both: "persistent" keeps the finished run for good';
  throw new OptionError({ field: "expire", value: expire, remedy });
}

function checkPending({ pending, startDelay }: WorkflowOptions): number | null {
  if (pending === undefined) return null;
  if (typeof pending !== "number" || !(pending > 0) || pending > RETENTION_MAX_SECONDS) {
    const remedy = "give the seconds that the workflow id is reserved, more than 0";
    throw new OptionError({ field: "pending", value: pending, remedy });
  }
  if (startDelay === undefined) return pending;
  const remedy = 'leave out one of both: a run that is "pending" begins when it is resumed';
  throw new OptionError({ field: "startDelay", value: startDelay, remedy });
}

function checkBuild({ buildId, pending }: WorkflowOptions): string | null {
  if (buildId === undefined) return null;
  if (pending === undefined) return checkName("buildId", buildId);
  const remedy = 'leave out one of both: a run that is "pending" has no build before it is resumed';
  throw new OptionError({ field: "buildId", value: buildId, remedy });
}

/**
 * Refuses what only a client may say of a start.
 *
 * @param who - `a hook` or `a child`, for the remedy.
 */
export function refuseClientOptions({ pending, buildId }: WorkflowOptions, who: "hook" | "child"): void {
  if (pending !== undefined) {
    const remedy = `leave it out: only a client reserves ids; a ${who} begins when its run wants it`;
    throw new OptionError({ field: "pending", value: pending, remedy });
  }
  if (buildId === undefined) return;
  const remedy = `leave it out: a ${who} on its parent's queue takes its parent's build`;
  throw new OptionError({ field: "buildId", value: buildId, remedy });
}

function carriedOptions(
  options: WorkflowOptions,
  defaults: StartDefaults,
  expire: number | undefined,
): RunOptions {
  return {
    retry: options.config === undefined ? undefined : normalizeRetryPolicy(options.config, "config"),
    expire,
    jobId: defaults.jobId,
    originJobId:
      options.originJobId === undefined
        ? defaults.originJobId
        : checkName("originJobId", options.originJobId),
    workflowTrace: checkTraceId("workflowTrace", options.workflowTrace, TRACE_ID) ?? defaults.workflowTrace,
    workflowSpan: checkTraceId("workflowSpan", options.workflowSpan, SPAN_ID) ?? defaults.workflowSpan,
  };
}

const TRACE_ID = /^(?!0+$)[0-9a-f]{32}$/u;
const SPAN_ID = /^(?!0+$)[0-9a-f]{16}$/u;

function checkTraceId(field: string, value: unknown, pattern: RegExp): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "string" && pattern.test(value)) return value;
  const digits = pattern === TRACE_ID ? 32 : 16;
  throw new OptionError({
    field,
    value,
    remedy: `give a W3C id of ${digits} lower-case hexadecimal digits, not all 0`,
  });
}

/** A name that Postgres can hold and index. */
export function checkName(field: string, value: unknown): string {
  if (typeof value !== "string" || value === "") {
    throw new OptionError({ field, value, remedy: `give the ${field} as a text that is not empty` });
  }
  if (value.includes("\0") || !value.isWellFormed() || Buffer.byteLength(value) > NAME_BYTES_MAX) {
    const remedy = `use at most ${NAME_BYTES_MAX} bytes, whole characters and no \\u0000`;
    throw new OptionError({ field, value, remedy });
  }
  return value;
}

/** Seconds that an ended run is kept; null when nothing is said. */
export function checkExpire(value: unknown): number | null {
  if (value === undefined) return null;
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0 || value > RETENTION_MAX_SECONDS) {
    throw new OptionError({
      field: "expire",
      value,
      remedy: "give the seconds that the finished run is kept, 0 or more",
    });
  }
  return Math.ceil(value);
}
