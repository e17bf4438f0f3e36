/**
 * Failures as plain objects: what a call gives instead of throwing when its policy says `throwOnError: false`.
 *
 * Promises JSON values alone, so that a workflow may return one, and a `code` always. Has no class: `instanceof` needs the
 * error itself.
 */
import type { FailureJson } from "./failure.ts";

/** An error as a value: its own fields stand beside these. */
export interface ErrorObject {
  readonly name: string;
  readonly message: string;
  readonly code: string | number;
  readonly stack?: string;
  readonly cause?: unknown;
  readonly [field: string]: unknown;
}

/**
 * Makes a plain object of a recorded failure.
 *
 * @param code - Its code when the error had none of its own.
 */
export function toErrorObject(failure: FailureJson, code: number): ErrorObject {
  const { name, message, stack, cause, data, errors } = failure;
  return {
    ...data,
    name,
    message,
    code: failure.code ?? code,
    ...(stack === undefined ? {} : { stack }),
    ...(cause === undefined ? {} : { cause: toThrown(cause, code) }),
    ...(errors === undefined ? {} : { errors: errors.map((error) => toThrown(error, code)) }),
  };
}

/** What was thrown without being an error stays what it was. */
function toThrown(failure: FailureJson, code: number): unknown {
  return failure.base === "ThrownValueError"
    ? (failure.data?.["value"] ?? null)
    : toErrorObject(failure, code);
}
