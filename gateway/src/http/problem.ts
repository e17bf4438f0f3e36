/**
 * Problems as they are thrown, and as they are answered.
 *
 * Every error that the engine or the SDK throws on purpose has its problem here; what has none is the gateway's own fault, and
 * its text stays in the log.
 */
import {
  ConnectionError,
  DuplicateJobError,
  DurationError,
  EntityError,
  IdempotencyKeyReusedError,
  OptionError,
  PayloadError,
  RunClosedError,
  SchemaError,
  SearchError,
  WorkflowNotFoundError,
} from "@memflow/engine";
import { PROBLEM_TYPE_PREFIX, PROBLEMS } from "../api/index.ts";
import type { ProblemBody, ProblemCode } from "../api/index.ts";
import { ForbiddenError, UnauthenticatedError, UnavailableError } from "../auth/index.ts";
import { StoreAmbiguousError, StoreNotFoundError } from "../stores/index.ts";

/** A fault of one field. */
export interface FieldProblem {
  /** Such as `body.input.question`. */
  readonly path: string;
  readonly message: string;
}

/** What a problem may say besides its detail. */
export interface ProblemExtras extends Partial<
  Pick<ProblemBody, "remedy" | "runId" | "runStatus" | "stores">
> {
  readonly errors?: readonly FieldProblem[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** A problem on its way to the answer. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly code: ProblemCode;
  readonly extras: ProblemExtras;

  constructor(code: ProblemCode, detail: string, extras: ProblemExtras = {}) {
    super(detail, "cause" in extras ? { cause: extras.cause } : undefined);
    this.code = code;
    this.extras = extras;
  }
}

/** What a field's fault makes of a whole request. */
export function invalid(errors: readonly FieldProblem[]): ProblemError {
  const [first] = errors;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : "";
  return new ProblemError(
    "Invalid",
    first === undefined ? "not valid" : `${first.path}: ${first.message}${more}`,
    {
      errors,
    },
  );
}

/** Seconds after which a database that is away may be there again. */
const RETRY_SECONDS = 1;

/** The problem of whatever was thrown. */
export function toProblem(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  return (
    authProblem(error) ?? storeProblem(error) ?? runProblem(error) ?? inputProblem(error) ?? internal(error)
  );
}

function authProblem(error: unknown): ProblemError | undefined {
  if (error instanceof UnauthenticatedError)
    return new ProblemError("Unauthenticated", error.message, {
      headers: { "WWW-Authenticate": error.challenge },
      cause: error,
    });
  if (error instanceof ForbiddenError) return new ProblemError("Forbidden", error.message, { cause: error });
  if (error instanceof UnavailableError)
    return new ProblemError("Unavailable", error.message, {
      headers: { "Retry-After": String(error.retryAfterSeconds) },
      cause: error,
    });
  return undefined;
}

function storeProblem(error: unknown): ProblemError | undefined {
  if (error instanceof StoreNotFoundError) return new ProblemError("StoreNotFound", error.message);
  if (error instanceof StoreAmbiguousError)
    return new ProblemError("StoreAmbiguous", error.message, {
      stores: [...error.stores],
      remedy: "name one with ?store=",
    });
  if (error instanceof ConnectionError || error instanceof SchemaError || isClosedSession(error))
    return new ProblemError("Unavailable", "the Store's database can't be used now", {
      headers: { "Retry-After": String(RETRY_SECONDS) },
      cause: error,
    });
  return undefined;
}

function isClosedSession(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "SESSION_CLOSED";
}

function runProblem(error: unknown): ProblemError | undefined {
  if (error instanceof DuplicateJobError) {
    const { workflowId, runId } = error;
    return new ProblemError("WorkflowAlreadyOpen", `an open run has the workflow id "${workflowId}"`, {
      ...(runId === undefined ? {} : { runId }),
      remedy: "wait for it, end it, or take another workflow id",
    });
  }
  if (error instanceof RunClosedError)
    return new ProblemError("RunClosed", `run "${error.runId}" has ended (${error.status})`, {
      runId: error.runId,
      runStatus: error.status,
    });
  if (error instanceof IdempotencyKeyReusedError)
    return new ProblemError("IdempotencyKeyReused", error.message);
  if (error instanceof WorkflowNotFoundError) return runNotFound(error.runId ?? error.workflowId);
  if (error instanceof SearchError)
    return new ProblemError("TooExpensive", error.message, { remedy: "narrow the list", cause: error });
  return undefined;
}

/** There is no such run. */
export function runNotFound(runId: string): ProblemError {
  return new ProblemError("RunNotFound", `run "${runId}" not found`, {
    remedy: "check the id, the namespace and the Store; its retention may be over",
  });
}

/** What the engine refuses of what a caller sent. */
function inputProblem(error: unknown): ProblemError | undefined {
  if (error instanceof PayloadError) return invalid([{ path: `body.${error.path}`, message: error.message }]);
  if (error instanceof OptionError || error instanceof DurationError)
    return invalid([{ path: `body.${error.field}`, message: error.message }]);
  if (error instanceof EntityError) return invalid([{ path: "body.search", message: error.message }]);
  if (hasSqlState(error, "22"))
    return invalid([{ path: "body", message: "holds a value that Postgres refuses" }]);
  return undefined;
}

function hasSqlState(error: unknown, kind: string): boolean {
  if (!(error instanceof Error)) return false;
  const code = (error as { readonly code?: unknown }).code;
  if (typeof code === "string" && code.length === 5 && code.startsWith(kind)) return true;
  return error.cause !== undefined && hasSqlState(error.cause, kind);
}

function internal(error: unknown): ProblemError {
  return new ProblemError("Internal", "the gateway failed; its log has the request id", { cause: error });
}

/** The body of a problem's answer. */
export function problemBody(problem: ProblemError, requestId: string): ProblemBody {
  const { status, title } = PROBLEMS[problem.code];
  const { headers: _, cause: __, errors, ...extras } = problem.extras;
  return {
    type: `${PROBLEM_TYPE_PREFIX}${problem.code}`,
    title,
    status,
    detail: problem.message,
    instance: requestId,
    code: problem.code,
    ...(errors === undefined ? {} : { errors: [...errors] }),
    ...extras,
  };
}
