/** Retry policies: MemFlow's defaults, typed refusals, delays and what is never tried again. */
import fc from "fast-check";
import { expect, test } from "vitest";
import * as errors from "./errors.ts";
import { encodeFailure } from "./failure.ts";
import type { FailureJson } from "./failure.ts";
import {
  UNLIMITED_ATTEMPTS,
  finalFailure,
  isRetryable,
  normalizeRetryPolicy,
  retryDelayMs,
} from "./retry-policy.ts";
import type { RetryPolicyOptions } from "./retry-policy.ts";

const DEFAULTS = {
  maximumAttempts: 3,
  backoffCoefficient: 10,
  maximumIntervalMs: 120_000,
  throwOnError: true,
};
const normalize = (options?: RetryPolicyOptions): ReturnType<typeof normalizeRetryPolicy> =>
  normalizeRetryPolicy(options, "retryPolicy");

test("the defaults are MemFlow's", () => {
  expect(normalize()).toEqual(DEFAULTS);
  expect(normalize({})).toEqual(DEFAULTS);
  expect(normalize({ maximumAttempts: undefined, nonRetryableErrorTypes: undefined })).toEqual(DEFAULTS);
});

test("every option is taken over", () => {
  const options = {
    maximumAttempts: 7,
    backoffCoefficient: 1.5,
    maximumInterval: "5m",
    initialInterval: 100,
    nonRetryableErrorTypes: ["CardDeclined"],
    throwOnError: false,
  };
  expect(normalize(options)).toEqual({
    maximumAttempts: 7,
    backoffCoefficient: 1.5,
    maximumIntervalMs: 300_000,
    initialIntervalMs: 100,
    nonRetryableErrorTypes: ["CardDeclined"],
    throwOnError: false,
  });
});

test("a policy survives JSON, also without a limit of attempts", () => {
  const policy = normalize({ maximumAttempts: Infinity, initialInterval: "1s" });
  expect(policy.maximumAttempts).toBe(UNLIMITED_ATTEMPTS);
  expect(JSON.parse(JSON.stringify(policy))).toEqual(policy);
});

test("a first delay beyond the default maximum raises it", () => {
  expect(normalize({ initialInterval: "5m" }).maximumIntervalMs).toBe(300_000);
  expect(normalize({ initialInterval: "1s" }).maximumIntervalMs).toBe(120_000);
});

test.each([
  ["maximumAttempts", 0],
  ["maximumAttempts", 1.5],
  ["maximumAttempts", -Infinity],
  ["maximumAttempts", "3"],
  ["backoffCoefficient", 0.5],
  ["backoffCoefficient", Infinity],
  ["backoffCoefficient", "2"],
  ["nonRetryableErrorTypes", "CardDeclined"],
  ["nonRetryableErrorTypes", [7]],
  ["throwOnError", "no"],
])("%s: %j is refused by name", (member, value) => {
  expect(() => normalize({ [member]: value })).toThrow(
    expect.objectContaining({ code: "BAD_OPTION", field: `retryPolicy.${member}`, value }),
  );
});

test("a maximum below the first delay is refused", () => {
  expect(() => normalize({ initialInterval: "2m", maximumInterval: "1m" })).toThrow(errors.OptionError);
});

test.each(["initialInterval", "maximumInterval"])("a bad %s is refused by name", (member) => {
  expect(() => normalize({ [member]: "soon" })).toThrow(
    expect.objectContaining({ code: "BAD_DURATION", field: `retryPolicy.${member}` }),
  );
});

test.each([[null], [[]], ["fast"], [3]])("the policy %j is refused", (options) => {
  expect(() => normalize(options as unknown as RetryPolicyOptions)).toThrow(
    expect.objectContaining({ code: "BAD_OPTION", field: "retryPolicy" }),
  );
});

test("MemFlow's delay is the coefficient to the power of the attempt, in seconds, up to the maximum", () => {
  expect([1, 2, 3, 4].map((attempt) => retryDelayMs(normalize(), attempt))).toEqual([
    10_000, 100_000, 120_000, 120_000,
  ]);
  expect([1, 2, 3].map((attempt) => retryDelayMs(normalize({ backoffCoefficient: 2 }), attempt))).toEqual([
    2000, 4000, 8000,
  ]);
});

test("with a first delay, each delay is the coefficient times the last", () => {
  const policy = normalize({ initialInterval: 100, backoffCoefficient: 2, maximumInterval: 350 });
  expect([1, 2, 3].map((attempt) => retryDelayMs(policy, attempt))).toEqual([100, 200, 350]);
});

test("a delay is whole, never shrinks from one attempt to the next, and stays within the maximum", () => {
  const interval = fc.integer({ min: 0, max: 1_000_000 });
  const coefficient = fc.double({ min: 1, max: 1e6, noNaN: true });
  fc.assert(
    fc.property(
      fc.option(interval, { nil: undefined }),
      interval,
      coefficient,
      fc.integer({ min: 1, max: 100_000 }),
      (initialInterval, extraMs, backoffCoefficient, attempt) => {
        const maximumInterval = (initialInterval ?? 0) + extraMs;
        const policy = normalize({ initialInterval, maximumInterval, backoffCoefficient });
        const delayMs = retryDelayMs(policy, attempt);
        expect(Number.isSafeInteger(delayMs)).toBe(true);
        expect(delayMs).toBeLessThanOrEqual(maximumInterval);
        expect(retryDelayMs(policy, attempt + 1)).toBeGreaterThanOrEqual(delayMs);
      },
    ),
  );
});

test("final failures and misuse are never tried again", () => {
  const run = { workflowId: "w" };
  const words = { path: "a", problem: "p", remedy: "r" };
  const final = [
    new errors.FatalError("m"),
    new errors.MaxedError("m"),
    new errors.TimeoutError("m"),
    new errors.InterruptedError(run),
    new errors.InterruptedError({ ...run, code: 499 }),
    new errors.TerminatedError(run),
    new errors.CanceledError(run),
    new errors.AttemptLostError({ activityName: "a", attempt: 1 }),
    new errors.PayloadError("PAYLOAD_TOO_LARGE", { ...words, field: "args" }),
    new errors.DurationError({ field: "f", value: 1 }),
    new errors.OptionError({ field: "f", value: 1, remedy: "r" }),
    new errors.EntityError("ENTITY_BAD_PATH", words),
    new errors.DeterminismViolation({ call: "fetch", place: "" }),
    new errors.HistoryMismatchError({ position: 1, expected: "a", actual: "b", place: "" }),
    new (class CardDeclined extends errors.FatalError {})("m"),
  ];
  expect(final.filter((error) => isRetryable(encodeFailure(error), normalize()))).toEqual([]);
});

test("anything else is tried again", () => {
  const others = [
    new Error("m"),
    new TypeError("m"),
    new errors.RetryError("m"),
    new errors.ActivityNotFoundError({ activityName: "a", taskQueue: "q", known: [] }),
    Object.assign(new Error("gone"), { code: 410 }),
    "a text",
    undefined,
  ];
  expect(others.filter((error) => !isRetryable(encodeFailure(error), normalize()))).toEqual([]);
});

test("the named error types are not tried again, by the error's name or its class", () => {
  class CardDeclined extends TypeError {}
  const failure: FailureJson = encodeFailure(new CardDeclined("m"));
  const retryableWith = (...names: string[]): boolean =>
    isRetryable(failure, normalize({ nonRetryableErrorTypes: names }));
  expect(retryableWith("CardDeclined")).toBe(false);
  expect(retryableWith("TypeError")).toBe(false);
  expect(retryableWith("RangeError")).toBe(true);
  expect(
    isRetryable(encodeFailure(new Error("m")), normalize({ nonRetryableErrorTypes: ["TypeError"] })),
  ).toBe(true);
  expect(isRetryable(encodeFailure(new Error("m")), normalize({ nonRetryableErrorTypes: ["Error"] }))).toBe(
    false,
  );
});

test("a run's failure without a code gets 597 when attempts are used up, 598 when none is to be made", () => {
  const failure = encodeFailure(new RangeError("late"));
  const policy = normalize({ nonRetryableErrorTypes: ["TypeError"] });
  expect(finalFailure(failure, policy, false)).toEqual({ ...failure, code: 597 });
  expect(finalFailure(failure, policy, true)).toEqual({ ...failure, code: 598 });
  expect(finalFailure(encodeFailure(new TypeError("no")), policy, false)).toMatchObject({ code: 598 });
  const coded = encodeFailure(Object.assign(new Error("mine"), { code: "E_MINE" }));
  expect(finalFailure(coded, policy, false)).toBe(coded);
});
