/**
 * Durations as manifests write them: "250ms", "30s", "1h30m".
 *
 * Promises that every accepted text is read alike by an API server's `duration()` and by `durationMs`, and never overflows
 * either: units go from large to small, each at most once, with so many digits.
 */
import { z } from "zod";
import { celText } from "./patterns.ts";
import { withRules } from "./rules.ts";
import type { Rule } from "./rules.ts";

const DURATION = /^([0-9]{1,5}h)?([0-9]{1,7}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?$/u;
const DURATION_LENGTH_MIN = 2;
const DURATION_LENGTH_MAX = 20;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/**
 * Reads a duration of a manifest: the one place where it becomes a number.
 *
 * @param value - Text that a `duration` field accepts.
 * @returns Milliseconds.
 */
export function durationMs(value: string): number {
  let totalMs = 0;
  for (const [, amount, unit] of value.matchAll(/([0-9]+)(ms|s|m|h)/gu)) {
    totalMs += Number(amount) * (UNIT_MS[unit ?? ""] ?? 0);
  }
  return totalMs;
}

/** A duration from `least` to `most`, both included. */
export function duration(least: string, most: string): z.ZodString {
  return withRules(z.string().min(DURATION_LENGTH_MIN).max(DURATION_LENGTH_MAX), [
    {
      cel:
        `${wellFormed("self")} && duration(self) >= duration('${least}') ` +
        `&& duration(self) <= duration('${most}')`,
      message: `must be a duration from ${least} to ${most}, like "250ms", "30s" or "1h30m"`,
      holds: (self) =>
        DURATION.test(self) && durationMs(self) >= durationMs(least) && durationMs(self) <= durationMs(most),
    },
  ]);
}

/** Two duration fields of one object; either may be absent. */
type Durations<Lesser extends string, Greater extends string> = Readonly<
  Partial<Record<Lesser | Greater, string | undefined>>
>;

/** One duration of an object is not longer than another. */
export function notLonger<Lesser extends string, Greater extends string>(
  lesser: Lesser,
  greater: Greater,
): Rule<Durations<Lesser, Greater>> {
  return comparison(lesser, "<=", greater);
}

/** One duration of an object is shorter than another. */
export function shorter<Lesser extends string, Greater extends string>(
  lesser: Lesser,
  greater: Greater,
): Rule<Durations<Lesser, Greater>> {
  return comparison(lesser, "<", greater);
}

/** Says nothing while a field is absent, or no duration, which is that field's own fault. */
function comparison<Lesser extends string, Greater extends string>(
  lesser: Lesser,
  sign: "<" | "<=",
  greater: Greater,
): Rule<Durations<Lesser, Greater>> {
  const [low, high] = [`self.${lesser}`, `self.${greater}`];
  return {
    cel:
      `!has(${low}) || !has(${high}) || !${wellFormed(low)} || !${wellFormed(high)} ` +
      `|| duration(${low}) ${sign} duration(${high})`,
    message: `must be ${sign} ${greater}`,
    field: [lesser],
    holds: (self) => {
      const [least, most] = [self[lesser], self[greater]];
      if (least === undefined || most === undefined || !DURATION.test(least) || !DURATION.test(most))
        return true;
      return (
        durationMs(least) < durationMs(most) || (sign === "<=" && durationMs(least) === durationMs(most))
      );
    },
  };
}

function wellFormed(expression: string): string {
  return `${expression}.matches(${celText(DURATION.source)})`;
}
