/** Which answers become which errors. */
import { expect, test } from "vitest";
import {
  AlreadyExistsError,
  BadRequestError,
  ConflictError,
  ForbiddenError,
  GoneError,
  InvalidError,
  isTransient,
  KubeCredentialsError,
  KubeProtocolError,
  KubeTimeoutError,
  KubeUnreachableError,
  NotFoundError,
  retryAfterMsOf,
  ServerError,
  statusError,
  TooManyRequestsError,
  UnauthorizedError,
  UnexpectedStatusError,
} from "./errors.ts";

const REQUEST = "PATCH /api/v1/namespaces/a/pods/b";

test.each([
  [400, "BadRequest", BadRequestError, "KUBE_BAD_REQUEST", false],
  [401, "Unauthorized", UnauthorizedError, "KUBE_UNAUTHORIZED", true],
  [403, "Forbidden", ForbiddenError, "KUBE_FORBIDDEN", false],
  [404, "NotFound", NotFoundError, "KUBE_NOT_FOUND", false],
  [409, "AlreadyExists", AlreadyExistsError, "KUBE_ALREADY_EXISTS", false],
  [409, "Conflict", ConflictError, "KUBE_CONFLICT", false],
  [410, "Expired", GoneError, "KUBE_GONE", false],
  [415, "UnsupportedMediaType", UnexpectedStatusError, "KUBE_UNEXPECTED_STATUS", false],
  [422, "Invalid", InvalidError, "KUBE_INVALID", false],
  [429, "TooManyRequests", TooManyRequestsError, "KUBE_TOO_MANY_REQUESTS", true],
  [500, "InternalError", ServerError, "KUBE_SERVER_ERROR", true],
  [504, "Timeout", ServerError, "KUBE_SERVER_ERROR", true],
] as const)(
  "status %i with reason %s has its class, its code, and is worth another try or not",
  (status, reason, type, code, transient) => {
    const error = statusError(REQUEST, { status, reason, message: "no", retryAfterMs: 3_000 });
    expect(error).toBeInstanceOf(type);
    expect(error).toMatchObject({ code, status, reason, request: REQUEST, name: type.name });
    expect(error.message).toContain(`${REQUEST}: ${status} no`);
    expect(isTransient(error)).toBe(transient);
    expect(retryAfterMsOf(error)).toBe(3_000);
  },
);

test("whoever was not answered may try again; only an answer says when", () => {
  const cause = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
  const errors = [
    new KubeUnreachableError(REQUEST, cause),
    new KubeCredentialsError(REQUEST, cause),
    new KubeTimeoutError(REQUEST, 5),
    new KubeProtocolError(REQUEST, "cut", cause),
  ];
  expect(errors.map((error) => error.code)).toEqual([
    "KUBE_UNREACHABLE",
    "KUBE_CREDENTIALS",
    "KUBE_TIMEOUT",
    "KUBE_PROTOCOL",
  ]);
  expect(errors.every(isTransient)).toBe(true);
  expect(errors.map(retryAfterMsOf)).toEqual([undefined, undefined, undefined, undefined]);
  expect(errors[0]).toMatchObject({ cause, message: expect.stringContaining("ECONNRESET") as string });
  expect(isTransient(new TypeError("a mistake of ours"))).toBe(false);
});
