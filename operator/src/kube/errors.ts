/**
 * What can go wrong between us and the API server: one class and one stable code for each case that callers tell apart.
 *
 * An answer of the server becomes a `KubeStatusError` through `statusError`; an answer that did not come, or could not be
 * read, is one of the others. `isTransient` says which are worth another try.
 */

/** What all of them have. */
export abstract class KubeError extends Error {
  abstract readonly code: string;
  /** Method and path, as in `GET /api/v1/namespaces/default/pods`. */
  readonly request: string;

  constructor(request: string, message: string, cause?: unknown) {
    super(`${request}: ${message}`, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.request = request;
  }
}

/** Nobody answered: refused, reset, no route, no TLS. A write may have been carried out. */
export class KubeUnreachableError extends KubeError {
  readonly code = "KUBE_UNREACHABLE";

  constructor(request: string, cause: unknown) {
    super(request, `the API server can't be reached (${reasonOf(cause)})`, cause);
  }
}

/** The answer was not complete in time. A write may have been carried out. */
export class KubeTimeoutError extends KubeError {
  readonly code = "KUBE_TIMEOUT";
  readonly timeoutMs: number;

  constructor(request: string, timeoutMs: number) {
    super(request, `no complete answer within ${timeoutMs} ms`);
    this.timeoutMs = timeoutMs;
  }
}

/** The credentials of the kubeconfig could not be had: its command failed, its file is gone. Nothing was sent. */
export class KubeCredentialsError extends KubeError {
  readonly code = "KUBE_CREDENTIALS";

  constructor(request: string, cause: unknown) {
    super(request, `the kubeconfig gives no access (${reasonOf(cause)}); check its user and cluster`, cause);
  }
}

/** What came is not what the API promises: broken JSON, a cut line, a line without end. */
export class KubeProtocolError extends KubeError {
  readonly code = "KUBE_PROTOCOL";
}

/** The server answered with a status other than 2xx. */
export abstract class KubeStatusError extends KubeError {
  readonly status: number;
  /** The `reason` of the Status object, as in `AlreadyExists`; empty when the answer had none. */
  readonly reason: string;
  /** From the Retry-After header or the Status object. */
  readonly retryAfterMs: number | undefined;

  constructor(request: string, answer: StatusAnswer, remedy?: string) {
    const said = answer.message === "" ? answer.reason : answer.message;
    super(request, `${answer.status} ${said}${remedy === undefined ? "" : `; ${remedy}`}`);
    this.status = answer.status;
    this.reason = answer.reason;
    this.retryAfterMs = answer.retryAfterMs;
  }
}

/** An answer other than 2xx, or an ERROR of a watch, in parts. */
export interface StatusAnswer {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
  readonly retryAfterMs: number | undefined;
}

export class BadRequestError extends KubeStatusError {
  readonly code = "KUBE_BAD_REQUEST";
}

/** 401: the credentials are wrong or have run out. */
export class UnauthorizedError extends KubeStatusError {
  readonly code = "KUBE_UNAUTHORIZED";
}

/** 403: the role lacks a rule, or admission refused. */
export class ForbiddenError extends KubeStatusError {
  readonly code = "KUBE_FORBIDDEN";
}

/** 404: the object, or its kind, is not there. */
export class NotFoundError extends KubeStatusError {
  readonly code = "KUBE_NOT_FOUND";
}

/** 409 on a create: the name is taken. */
export class AlreadyExistsError extends KubeStatusError {
  readonly code = "KUBE_ALREADY_EXISTS";
}

/** 409: somebody else changed the object since it was read, or owns a field that was applied. */
export class ConflictError extends KubeStatusError {
  readonly code = "KUBE_CONFLICT";
}

/** 410: the resource version, or the token of the next page, is too old. */
export class GoneError extends KubeStatusError {
  readonly code = "KUBE_GONE";
}

/** 422: a rule of the schema or a CEL rule was broken. */
export class InvalidError extends KubeStatusError {
  readonly code = "KUBE_INVALID";
}

/** 429: refused before anything was done. */
export class TooManyRequestsError extends KubeStatusError {
  readonly code = "KUBE_TOO_MANY_REQUESTS";
}

/** 5xx: a write may have been carried out. */
export class ServerError extends KubeStatusError {
  readonly code = "KUBE_SERVER_ERROR";
}

/** Any other status. */
export class UnexpectedStatusError extends KubeStatusError {
  readonly code = "KUBE_UNEXPECTED_STATUS";
}

/** Turns an answer other than 2xx into its class. */
export function statusError(request: string, answer: StatusAnswer): KubeStatusError {
  switch (answer.status) {
    case 400:
      return new BadRequestError(request, answer);
    case 401:
      return new UnauthorizedError(request, answer, "renew the credentials of the kubeconfig");
    case 403:
      return new ForbiddenError(
        request,
        answer,
        "grant the verb to the account, or see which policy refused",
      );
    case 404:
      return new NotFoundError(request, answer);
    case 409:
      return answer.reason === "AlreadyExists"
        ? new AlreadyExistsError(request, answer)
        : new ConflictError(request, answer);
    case 410:
      return new GoneError(request, answer);
    case 422:
      return new InvalidError(request, answer);
    case 429:
      return new TooManyRequestsError(request, answer);
    default:
      return answer.status >= 500
        ? new ServerError(request, answer)
        : new UnexpectedStatusError(request, answer);
  }
}

/** Whether the same request may succeed later without anybody changing anything. */
export function isTransient(error: unknown): boolean {
  return (
    error instanceof KubeUnreachableError ||
    error instanceof KubeTimeoutError ||
    error instanceof KubeCredentialsError ||
    error instanceof KubeProtocolError ||
    error instanceof UnauthorizedError ||
    error instanceof TooManyRequestsError ||
    error instanceof ServerError
  );
}

/** What the server asked for, if the error is an answer that says it. */
export function retryAfterMsOf(error: unknown): number | undefined {
  return error instanceof KubeStatusError ? error.retryAfterMs : undefined;
}

function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const { code } = cause as NodeJS.ErrnoException;
  return code === undefined ? cause.message : `${code}: ${cause.message}`;
}
