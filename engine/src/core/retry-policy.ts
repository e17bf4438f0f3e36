/**
 * When a failed attempt is made again, and after how long.
 *
 * Promises that a policy is plain JSON, checked once when the call is made. Does not add jitter: the delay is part of
 * what a replay must repeat.
 */
import { parseDurationMs } from "./duration.ts";
import { OptionError } from "./errors.ts";
import type { FailureJson } from "./failure.ts";

/** What users write; every member has a default. */
export interface RetryPolicyOptions {
  /** Executions, the first included: 1 or more, `Infinity` for no limit (default 3). */
  readonly maximumAttempts?: number | undefined;
  /** What the delay grows by with each attempt: 1 or more (default 10). */
  readonly backoffCoefficient?: number | undefined;
  /** The longest delay (default `"120s"`, or `initialInterval` where that is longer). */
  readonly maximumInterval?: string | number | undefined;
  /** The first delay. Without it the delay is MemFlow's: the coefficient to the power of the attempt, in seconds. */
  readonly initialInterval?: string | number | undefined;
  /** Names of errors that are not tried again. */
  readonly nonRetryableErrorTypes?: readonly string[] | undefined;
  /** False makes a final failure the call's result instead of throwing it (default true). */
  readonly throwOnError?: boolean | undefined;
}

/** A checked policy, as it is recorded. */
export type RetryPolicy = {
  readonly maximumAttempts: number;
  readonly backoffCoefficient: number;
  readonly maximumIntervalMs: number;
  readonly initialIntervalMs?: number;
  readonly nonRetryableErrorTypes?: readonly string[];
  readonly throwOnError: boolean;
};

/** How "no limit" is recorded: JSON has no Infinity. */
export const UNLIMITED_ATTEMPTS: number = Number.MAX_SAFE_INTEGER;

/** What a final failure is known by when its error has no code of its own. */
export const FATAL_CODE = 598;
const MAXED_CODE = 597;

const ATTEMPTS_DEFAULT = 3;
const COEFFICIENT_DEFAULT = 10;
const INTERVAL_DEFAULT_MS = 120_000;

/** What would end the same way each time, or must not be done again: by the class that the failure comes back as. */
const NEVER_RETRIED: ReadonlySet<string> = new Set([
  "MemFlowFatalError",
  "MemFlowMaxedError",
  "MemFlowTimeoutError",
  "InterruptedError",
  "TerminatedError",
  "CanceledError",
  "AttemptLostError",
  "PayloadError",
  "DurationError",
  "OptionError",
  "EntityError",
  "DeterminismViolation",
  "HistoryMismatchError",
]);

/**
 * Checks a retry policy and fills in MemFlow's defaults: 3 executions, after 10 and 100 seconds.
 *
 * @param options - What the user wrote.
 * @param field - The option that holds it, for the message, such as `retryPolicy`.
 * @throws {OptionError} When a member has a value that it cannot have.
 * @throws {DurationError} When an interval is no duration.
 *
 * @example
 * normalizeRetryPolicy({ maximumAttempts: 5, backoffCoefficient: 2 }, "retryPolicy");
 * normalizeRetryPolicy({ maximumAttempts: 0 }, "retryPolicy"); // throws OptionError
 */
export function normalizeRetryPolicy(options: RetryPolicyOptions | undefined, field: string): RetryPolicy {
  if (options === undefined) return normalizeRetryPolicy({}, field);
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new OptionError({ field, value: options, remedy: "give an object such as { maximumAttempts: 3 }" });
  }
  const initialIntervalMs = readInterval(options.initialInterval, `${field}.initialInterval`);
  return {
    maximumAttempts: readAttempts(options.maximumAttempts, `${field}.maximumAttempts`),
    backoffCoefficient: readCoefficient(options.backoffCoefficient, `${field}.backoffCoefficient`),
    maximumIntervalMs: readMaximum(options.maximumInterval, initialIntervalMs, `${field}.maximumInterval`),
    ...(initialIntervalMs === undefined ? {} : { initialIntervalMs }),
    ...readErrorTypes(options.nonRetryableErrorTypes, `${field}.nonRetryableErrorTypes`),
    throwOnError: readThrowOnError(options.throwOnError, `${field}.throwOnError`),
  };
}

/**
 * How long to wait after a failed attempt.
 *
 * @param attempt - The attempt that failed, counted from 1.
 * @returns Whole milliseconds, at most `maximumIntervalMs`.
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number): number {
  const { backoffCoefficient, initialIntervalMs, maximumIntervalMs } = policy;
  // A large power is Infinity, and 0 * Infinity is NaN.
  const power = (exponent: number): number => Math.min(backoffCoefficient ** exponent, Number.MAX_VALUE);
  const delayMs =
    initialIntervalMs === undefined ? power(attempt) * 1000 : power(attempt - 1) * initialIntervalMs;
  return Math.ceil(Math.min(delayMs, maximumIntervalMs));
}

/**
 * Tells whether a failure may be tried again; whether attempts are left is the caller's to ask.
 *
 * @returns False for MemFlow's final failures, for misuse that would end the same way each time, and for the names
 *   in `nonRetryableErrorTypes`.
 */
export function isRetryable(failure: FailureJson, policy: RetryPolicy): boolean {
  if (failure.base !== undefined && NEVER_RETRIED.has(failure.base)) return false;
  const refused = policy.nonRetryableErrorTypes;
  return (
    refused === undefined || !(refused.includes(failure.name) || refused.includes(failure.base ?? "Error"))
  );
}

/**
 * The failure that a run ends with: one without a code gets 597 when the policy allowed no further attempt, else 598.
 *
 * @param final - True when the error came from an activity, child or hook whose own policy was used up.
 */
export function finalFailure(failure: FailureJson, policy: RetryPolicy, final: boolean): FailureJson {
  if (failure.code !== undefined) return failure;
  return { ...failure, code: !final && isRetryable(failure, policy) ? MAXED_CODE : FATAL_CODE };
}

function readAttempts(value: number | undefined, field: string): number {
  if (value === undefined) return ATTEMPTS_DEFAULT;
  if (value === Infinity) return UNLIMITED_ATTEMPTS;
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new OptionError({ field, value, remedy: "give a whole number of executions from 1, or Infinity" });
}

function readCoefficient(value: number | undefined, field: string): number {
  if (value === undefined) return COEFFICIENT_DEFAULT;
  if (Number.isFinite(value) && value >= 1) return value;
  throw new OptionError({ field, value, remedy: "give a number from 1" });
}

function readInterval(value: string | number | undefined, field: string): number | undefined {
  return value === undefined ? undefined : parseDurationMs(value, field);
}

function readMaximum(
  value: string | number | undefined,
  initialIntervalMs: number | undefined,
  field: string,
): number {
  const maximumMs = readInterval(value, field);
  if (maximumMs === undefined) return Math.max(INTERVAL_DEFAULT_MS, initialIntervalMs ?? 0);
  if (maximumMs >= (initialIntervalMs ?? 0)) return maximumMs;
  throw new OptionError({ field, value, remedy: "give no less than initialInterval" });
}

function readErrorTypes(
  value: readonly string[] | undefined,
  field: string,
): Pick<RetryPolicy, "nonRetryableErrorTypes"> {
  if (value === undefined) return {};
  if (Array.isArray(value) && value.every((name) => typeof name === "string")) {
    return { nonRetryableErrorTypes: [...value] };
  }
  throw new OptionError({ field, value, remedy: "give an array of error names" });
}

function readThrowOnError(value: boolean | undefined, field: string): boolean {
  if (value === undefined) return true;
  if (typeof value === "boolean") return value;
  throw new OptionError({ field, value, remedy: "give true or false" });
}
