/**
 * Errors as JSON: how a failure is recorded, crosses from one worker to another, and is thrown again on replay.
 *
 * Promises that neither direction ever throws, whatever was thrown; that the JSON holds no NUL and no lone surrogate (so
 * jsonb takes it) and stays below about `FAILURE_BYTES_MAX`; that the engine's and JavaScript's own classes come back
 * as themselves. A user's own class comes back as the nearest of those, with its name and its fields.
 */
import { copyBounded, cutText, readItems, readKeys, readProperty, takeShare } from "./bounded-copy.ts";
import type { CopyBudget } from "./bounded-copy.ts";
import * as errors from "./errors.ts";
import type { Json, JsonObject } from "./json.ts";

/** A failure as it is recorded. */
export type FailureJson = {
  readonly name: string;
  readonly message: string;
  /** The name of the known class that it comes back as; `Error` when absent. */
  readonly base?: string;
  readonly code?: string | number;
  readonly stack?: string;
  /** The error's own fields, as far as JSON can hold them. */
  readonly data?: JsonObject;
  readonly cause?: FailureJson;
  /** What an AggregateError holds. */
  readonly errors?: readonly FailureJson[];
};

/** What the texts and fields of one failure may take, causes included. */
export const FAILURE_BYTES_MAX: number = 128 * 1024;

const CAUSE_DEPTH_MAX = 8;
const FAILURE_COUNT_MAX = 32;
const NAME_LENGTH_MAX = 256;
const MESSAGE_LENGTH_MAX = 16 * 1024;
const STACK_LENGTH_MAX = 8 * 1024;
const DATA_BYTES_MAX = 16 * 1024;

/** Members that have a place of their own, or would hide one of the error's. */
const RESERVED_KEYS: ReadonlySet<string> = new Set(["name", "message", "code", "stack", "cause", "errors"]);

type ErrorClass = { readonly prototype: Error };

const BUILT_IN_CLASSES: ReadonlyMap<string, ErrorClass> = new Map<string, ErrorClass>([
  ["Error", Error],
  ["AggregateError", AggregateError],
  ["EvalError", EvalError],
  ["RangeError", RangeError],
  ["ReferenceError", ReferenceError],
  ["SyntaxError", SyntaxError],
  ["TypeError", TypeError],
  ["URIError", URIError],
]);

const KNOWN_CLASSES: ReadonlyMap<string, ErrorClass> = new Map<string, ErrorClass>([
  ["MemFlowError", errors.MemFlowError],
  ["MemFlowFatalError", errors.FatalError],
  ["MemFlowMaxedError", errors.MaxedError],
  ["MemFlowTimeoutError", errors.TimeoutError],
  ["MemFlowRetryError", errors.RetryError],
  ["AttemptLostError", errors.AttemptLostError],
  ["ThrownValueError", errors.ThrownValueError],
  ["InterruptedError", errors.InterruptedError],
  ["TerminatedError", errors.TerminatedError],
  ["CanceledError", errors.CanceledError],
  ["WorkflowExecutionAlreadyStartedError", errors.WorkflowExecutionAlreadyStartedError],
  ["DuplicateJobError", errors.DuplicateJobError],
  ["WorkflowNotFoundError", errors.WorkflowNotFoundError],
  ["GetStateError", errors.GetStateError],
  ["RunClosedError", errors.RunClosedError],
  ["StuckError", errors.StuckError],
  ["PayloadError", errors.PayloadError],
  ["DurationError", errors.DurationError],
  ["EntityError", errors.EntityError],
  ["OptionError", errors.OptionError],
  ["CrossStoreError", errors.CrossStoreError],
  ["ActivityNotFoundError", errors.ActivityNotFoundError],
  ["WorkflowTypeNotFoundError", errors.WorkflowTypeNotFoundError],
  ["DeterminismViolation", errors.DeterminismViolation],
  ["HistoryMismatchError", errors.HistoryMismatchError],
  ["ProcessExitError", errors.ProcessExitError],
  ["ConnectionError", errors.ConnectionError],
  ["SchemaError", errors.SchemaError],
  ["SearchError", errors.SearchError],
  ...BUILT_IN_CLASSES,
]);

const NAME_BY_PROTOTYPE: ReadonlyMap<object, string> = new Map(
  [...KNOWN_CLASSES].map(([name, known]) => [known.prototype, name]),
);

interface EncodeState {
  readonly budget: CopyBudget;
  failuresLeft: number;
  /** The errors on the way down from the first, to stop at a circle. */
  readonly above: object[];
}

/**
 * Writes anything that was thrown as JSON.
 *
 * @param error - An Error, or whatever else was thrown.
 * @returns Its name, message, code, stack, fields and causes, cut where they are too long.
 */
export function encodeFailure(error: unknown): FailureJson {
  const state = { budget: { bytesLeft: FAILURE_BYTES_MAX }, failuresLeft: FAILURE_COUNT_MAX, above: [] };
  return encodeThrown(error, state);
}

/**
 * Makes an Error of a recorded failure.
 *
 * @returns An instance of the class that was thrown, where the engine or JavaScript has it. What was thrown without
 *   being an Error comes back inside a `ThrownValueError`; as a cause, it comes back as it was.
 */
export function decodeFailure(json: FailureJson): Error {
  // The type may promise more than a row that somebody else wrote.
  if (!isObject(json)) return new Error(`no failure: ${errors.describeValue(json)}`);
  const name = typeof json.name === "string" ? json.name : "Error";
  const error = new Error(typeof json.message === "string" ? json.message : "");
  Object.setPrototypeOf(error, (KNOWN_CLASSES.get(json.base ?? "Error") ?? Error).prototype);
  if (name !== error.name) defineHidden(error, "name", name);
  defineHidden(error, "stack", json.stack ?? `${name}: ${error.message}`);
  if (json.code !== undefined) defineField(error, "code", json.code);
  for (const [key, value] of Object.entries(json.data ?? {})) defineField(error, key, value);
  if (json.cause !== undefined) defineHidden(error, "cause", decodeThrown(json.cause));
  if (Array.isArray(json.errors)) defineHidden(error, "errors", json.errors.map(decodeThrown));
  return error;
}

function decodeThrown(json: FailureJson): unknown {
  const wasNoError = isObject(json) && json.base === "ThrownValueError";
  return wasNoError ? json.data?.["value"] : decodeFailure(json);
}

function defineHidden(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, writable: true, configurable: true, enumerable: false });
}

function defineField(error: Error, key: string, value: Json): void {
  Object.defineProperty(error, key, { value, writable: true, configurable: true, enumerable: true });
}

function encodeThrown(thrown: unknown, state: EncodeState): FailureJson {
  state.failuresLeft -= 1;
  return isError(thrown) ? encodeError(thrown, state) : encodeValue(thrown, state.budget);
}

function isError(thrown: unknown): thrown is object {
  if (!isObject(thrown)) return false;
  try {
    return thrown instanceof Error || Object.prototype.toString.call(thrown) === "[object Error]";
  } catch {
    // A proxy that answers no question is no error to us.
    return false;
  }
}

function isObject(thrown: unknown): thrown is object {
  return typeof thrown === "object" && thrown !== null;
}

function encodeValue(thrown: unknown, budget: CopyBudget): FailureJson {
  const ownMessage = isObject(thrown) ? readProperty(thrown, "message") : thrown;
  const message = typeof ownMessage === "string" ? ownMessage : errors.describeValue(thrown);
  const value = takeShare(budget, DATA_BYTES_MAX, (share) => copyBounded(thrown, share));
  return {
    name: "ThrownValueError",
    message: cutText(message, MESSAGE_LENGTH_MAX, budget),
    base: "ThrownValueError",
    code: "THROWN_VALUE",
    ...(value === undefined ? {} : { data: { value } }),
  };
}

function encodeError(error: object, state: EncodeState): FailureJson {
  const { budget } = state;
  const name = nameOf(error);
  const base = baseOf(error, name);
  const code = readProperty(error, "code");
  const stack = readProperty(error, "stack");
  const message = readProperty(error, "message");
  state.above.push(error);
  const failure: FailureJson = {
    name: cutText(name, NAME_LENGTH_MAX, budget),
    message: cutText(typeof message === "string" ? message : "", MESSAGE_LENGTH_MAX, budget),
    ...(base === "Error" ? {} : { base }),
    ...(typeof code === "string" ? { code: cutText(code, NAME_LENGTH_MAX, budget) } : {}),
    ...(typeof code === "number" && Number.isFinite(code) ? { code } : {}),
    ...(typeof stack === "string" ? { stack: cutText(stack, STACK_LENGTH_MAX, budget) } : {}),
    ...takeShare(budget, DATA_BYTES_MAX, (share) => encodeData(error, share)),
    ...encodeCause(error, state),
    ...encodeErrors(error, base, state),
  };
  state.above.pop();
  return failure;
}

/** The error's fields that have no place of their own: `errno`, `response`, the data of our own classes. */
function encodeData(error: object, budget: CopyBudget): { readonly data?: JsonObject } {
  const entries: [string, Json][] = [];
  for (const key of readKeys(error)) {
    if (budget.bytesLeft <= 0) break;
    if (RESERVED_KEYS.has(key)) continue;
    const value = copyBounded(readProperty(error, key), budget);
    if (value !== undefined) entries.push([cutText(key, NAME_LENGTH_MAX, budget), value]);
  }
  return entries.length === 0 ? {} : { data: Object.fromEntries(entries) };
}

function encodeCause(error: object, state: EncodeState): { readonly cause?: FailureJson } {
  const cause = readProperty(error, "cause");
  const isWithinBounds = state.above.length < CAUSE_DEPTH_MAX && state.failuresLeft > 0;
  if (cause === undefined || !isWithinBounds || isAbove(cause, state)) return {};
  return { cause: encodeThrown(cause, state) };
}

function encodeErrors(
  error: object,
  base: string,
  state: EncodeState,
): { readonly errors?: readonly FailureJson[] } {
  if (base !== "AggregateError" || state.above.length >= CAUSE_DEPTH_MAX) return {};
  const failures: FailureJson[] = [];
  for (const item of readItems(readProperty(error, "errors"), FAILURE_COUNT_MAX)) {
    if (state.failuresLeft > 0 && !isAbove(item, state)) failures.push(encodeThrown(item, state));
  }
  return { errors: failures };
}

function isAbove(thrown: unknown, state: EncodeState): boolean {
  return isObject(thrown) && state.above.includes(thrown);
}

/** The error's name; the name of its class where the author of the class has set none. */
function nameOf(error: object): string {
  const name = readProperty(error, "name");
  if (typeof name !== "string" || name === "") return "Error";
  if (!BUILT_IN_CLASSES.has(name)) return name;
  const constructor = readProperty(error, "constructor");
  const className = typeof constructor === "function" ? readProperty(constructor, "name") : undefined;
  return typeof className === "string" && className !== "" ? className : name;
}

/**
 * The nearest known class. The names that begin with MemFlow are taken for their class also when another copy of this
 * package made the error: user code may bring its own, and a FatalError must stop retries all the same.
 */
function baseOf(error: object, name: string): string {
  const base = knownPrototype(error);
  return base === "Error" && name.startsWith("MemFlow") && KNOWN_CLASSES.has(name) ? name : base;
}

function knownPrototype(error: object): string {
  try {
    let prototype: object | null = Object.getPrototypeOf(error) as object | null;
    for (let depth = 0; prototype !== null && depth < 100; depth++) {
      const known = NAME_BY_PROTOTYPE.get(prototype);
      if (known !== undefined) return known;
      prototype = Object.getPrototypeOf(prototype) as object | null;
    }
  } catch {
    // A proxy that hides its prototype is an Error and nothing more.
  }
  return "Error";
}
