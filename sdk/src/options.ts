/**
 * The options by which runs are started, by clients and by workflows, checked once for both.
 */
import { OptionError, encodeArguments, normalizeRetryPolicy, parseDurationMs } from "@memflow/engine";
import type { RetryPolicyOptions } from "@memflow/engine";

/** The workflow's own retry policy: a workflow that fails starts anew, with its entity. */
export type WorkflowConfig = RetryPolicyOptions;

/** How a run is started. `entity` stands for `taskQueue` and `workflowName` where these are absent. */
export interface WorkflowOptions {
  readonly args?: readonly unknown[] | undefined;
  readonly taskQueue?: string | undefined;
  readonly workflowName?: string | undefined;
  /** The business thing's name; one open run has it (default: a new id). */
  readonly workflowId?: string | undefined;
  readonly entity?: string | undefined;
  /** The schema (default `memflow`). */
  readonly namespace?: string | undefined;
  readonly config?: WorkflowConfig | undefined;
  /** Seconds that the finished run is kept (default 604,800: 7 days). */
  readonly expire?: number | undefined;
  /** Wait this long before the first step: milliseconds or `"5m"`. */
  readonly startDelay?: string | number | undefined;
  /** Accepted for MemFlow's sake; every run takes signals. */
  readonly signalIn?: boolean | undefined;
  readonly await?: boolean | undefined;
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
}

const NAME_BYTES_MAX = 512;
const RETENTION_MAX_SECONDS = 2_147_483_647;
/** What MemFlow has and this version does not: better refused than dropped in silence. */
const NOT_YET: readonly string[] = ["search", "pending", "persistent"];

/** Checks the options of a start. `defaults` fill in what the caller's place says. */
export function checkStart(
  options: WorkflowOptions,
  defaults: { readonly taskQueue?: string | undefined; readonly args?: readonly unknown[] | undefined } = {},
): CheckedStart {
  if (typeof options !== "object" || options === null) {
    throw new OptionError({
      field: "options",
      value: options,
      remedy: "give an object with taskQueue, workflowName and args",
    });
  }
  for (const field of NOT_YET) {
    const value = (options as Record<string, unknown>)[field];
    if (value !== undefined)
      throw new OptionError({ field, value, remedy: "leave it out: this version does not have it" });
  }
  const args = defaults.args ?? options.args ?? [];
  if (!Array.isArray(args))
    throw new OptionError({ field: "args", value: args, remedy: "give an array of arguments" });
  const workflowName = checkName("workflowName", options.workflowName ?? options.entity);
  return {
    taskQueue: checkName("taskQueue", options.taskQueue ?? options.entity ?? defaults.taskQueue),
    workflowName,
    input: encodeArguments(args, { field: "args" }),
    options:
      options.config === undefined
        ? null
        : JSON.stringify({ retry: normalizeRetryPolicy(options.config, "config") }),
    retentionSeconds: checkExpire(options.expire),
    delayMs: options.startDelay === undefined ? 0 : parseDurationMs(options.startDelay, "startDelay"),
  };
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

function checkExpire(value: unknown): number | null {
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
