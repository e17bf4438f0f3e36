/**
 * What user code handed over that MemFlow cannot take: each error names the field, shows the value and says the remedy.
 */
import { describeValue } from "./describe-value.ts";
import { MemFlowError } from "./memflow-error.ts";

/** Why a payload was refused. */
export type PayloadErrorCode =
  | "PAYLOAD_NOT_SERIALIZABLE"
  | "PAYLOAD_TOO_LARGE"
  | "PAYLOAD_TOO_DEEP"
  | "PAYLOAD_NUL_CHARACTER"
  | "PAYLOAD_UNREADABLE";

/** An argument, result or signal that JSON, or the limits, cannot hold. Not retried. */
export class PayloadError extends MemFlowError {
  declare readonly code: PayloadErrorCode;
  /** The argument or option that holds the value, such as `args`. */
  readonly field: string;
  /** Where in the field the obstacle is, such as `args[0].user.id`. */
  readonly path: string;
  /** The limit that was passed, in bytes or levels; `undefined` when it was not about a limit. */
  readonly limit: number | undefined;

  constructor(
    code: PayloadErrorCode,
    options: {
      readonly field: string;
      readonly path?: string;
      readonly problem: string;
      readonly remedy: string;
      readonly limit?: number;
      readonly cause?: unknown;
    },
  ) {
    const path = options.path ?? options.field;
    super(`payload "${path}" ${options.problem}; ${options.remedy}`, {
      name: "PayloadError",
      code,
      ...("cause" in options ? { cause: options.cause } : {}),
    });
    this.field = options.field;
    this.path = path;
    this.limit = options.limit;
  }
}

/** A duration that is neither milliseconds nor a string that `ms` reads. Not retried. */
export class DurationError extends MemFlowError {
  declare readonly code: "BAD_DURATION";
  readonly field: string;
  readonly value: unknown;

  constructor(options: { readonly field: string; readonly value: unknown }) {
    super(
      `duration "${options.field}" is ${describeValue(options.value)}; ` +
        'give milliseconds as a number, or a string such as "5 seconds", from 0 to 100 years',
      { name: "DurationError", code: "BAD_DURATION" },
    );
    this.field = options.field;
    this.value = options.value;
  }
}

/** Why an entity operation was refused. */
export type EntityErrorCode =
  | "ENTITY_FORBIDDEN_KEY"
  | "ENTITY_BAD_PATH"
  | "ENTITY_BAD_VALUE"
  | "ENTITY_BAD_CONDITION"
  | "ENTITY_TYPE_MISMATCH";

/** An operation that the entity, or search data, cannot take; it changed nothing. Not retried. */
export class EntityError extends MemFlowError {
  declare readonly code: EntityErrorCode;
  /** The path that the operation names, or the place inside its value; empty for the whole document. */
  readonly path: string;

  constructor(
    code: EntityErrorCode,
    options: {
      readonly path: string;
      readonly problem: string;
      readonly remedy: string;
      /** What the path names (default: a path of the entity). */
      readonly what?: string;
    },
  ) {
    const { path, what } = options;
    const place =
      path === "" && what === undefined ? "the entity" : `${what ?? "entity path"} ${describeValue(path)}`;
    super(`${place} ${options.problem}; ${options.remedy}`, {
      name: "EntityError",
      code,
    });
    this.path = options.path;
  }
}

/** An option with a value that it cannot have. Not retried. */
export class OptionError extends MemFlowError {
  declare readonly code: "BAD_OPTION";
  readonly field: string;
  readonly value: unknown;
  readonly remedy: string;

  constructor(options: { readonly field: string; readonly value: unknown; readonly remedy: string }) {
    super(`option "${options.field}" is ${describeValue(options.value)}; ${options.remedy}`, {
      name: "OptionError",
      code: "BAD_OPTION",
    });
    this.field = options.field;
    this.value = options.value;
    this.remedy = options.remedy;
  }
}

/** One call names two stores, and nothing crosses from one to another. */
export class CrossStoreError extends MemFlowError {
  declare readonly code: "CROSS_STORE";
  readonly field: string;
  readonly store: string;
  readonly otherStore: string;

  constructor(options: { readonly field: string; readonly store: string; readonly otherStore: string }) {
    super(
      `"${options.field}" names store "${options.otherStore}" inside store "${options.store}"; ` +
        "reach another store through a client of its own, in an activity",
      { name: "CrossStoreError", code: "CROSS_STORE" },
    );
    this.field = options.field;
    this.store = options.store;
    this.otherStore = options.otherStore;
  }
}

/** No worker of the queue has an activity of this name. */
export class ActivityNotFoundError extends MemFlowError {
  declare readonly code: "ACTIVITY_NOT_FOUND";
  readonly activityName: string;
  readonly taskQueue: string;
  readonly known: readonly string[];

  constructor(options: {
    readonly activityName: string;
    readonly taskQueue: string;
    readonly known: readonly string[];
  }) {
    super(
      `activity "${options.activityName}" not found on task queue "${options.taskQueue}" (${listNames(options.known)}); ` +
        "register it with the worker, or name the task queue that has it",
      { name: "ActivityNotFoundError", code: "ACTIVITY_NOT_FOUND" },
    );
    this.activityName = options.activityName;
    this.taskQueue = options.taskQueue;
    this.known = options.known;
  }
}

/** A schedule can't do what a request asks. */
export class RequestRefusedError extends MemFlowError {
  declare readonly code: "REQUEST_REFUSED";

  constructor(reason: string) {
    super(`the schedule ${reason}`, { name: "RequestRefusedError", code: "REQUEST_REFUSED" });
  }
}

/** No worker of the queue has a workflow of this name. */
export class WorkflowTypeNotFoundError extends MemFlowError {
  declare readonly code: "WORKFLOW_TYPE_NOT_FOUND";
  readonly workflowType: string;
  readonly taskQueue: string;
  readonly known: readonly string[];

  constructor(options: {
    readonly workflowType: string;
    readonly taskQueue: string;
    readonly known: readonly string[];
  }) {
    super(
      `workflow "${options.workflowType}" not found on task queue "${options.taskQueue}" (${listNames(options.known)}); ` +
        "register it with the worker, or correct its name",
      { name: "WorkflowTypeNotFoundError", code: "WORKFLOW_TYPE_NOT_FOUND" },
    );
    this.workflowType = options.workflowType;
    this.taskQueue = options.taskQueue;
    this.known = options.known;
  }
}

const LISTED_NAMES_MAX = 10;

function listNames(names: readonly string[]): string {
  if (names.length === 0) return "none is known";
  const listed = names.slice(0, LISTED_NAMES_MAX).map((name) => `"${name}"`);
  const more = names.length - listed.length;
  return `known: ${listed.join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
