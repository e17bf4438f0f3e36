/**
 * Durations, converted once at the edge: everything inside the engine is whole milliseconds.
 */
import ms from "ms";
import { DurationError } from "./errors.ts";

const YEAR_MS = 365.25 * 24 * 60 * 60 * 1000;

/** The longest duration that is taken: 100 years. Anything longer is a mistake in the unit. */
export const DURATION_MAX_MS: number = 100 * YEAR_MS;

/**
 * Reads a duration.
 *
 * @param value - A number of milliseconds, or a string that `ms` reads: `"5 seconds"`, `"1.5h"`, `"100"`.
 * @param field - The option that holds it, for the message.
 * @returns Whole milliseconds, rounded up, 0 to `DURATION_MAX_MS`.
 * @throws {DurationError} When it is negative, longer than 100 years, or no duration at all.
 *
 * @example
 * parseDurationMs("2 minutes", "sleepFor"); // 120000
 * parseDurationMs("soon", "sleepFor"); // throws DurationError
 */
export function parseDurationMs(value: string | number, field: string): number {
  const durationMs = typeof value === "string" ? parseText(value) : value;
  if (typeof durationMs !== "number" || !(durationMs >= 0 && durationMs <= DURATION_MAX_MS)) {
    throw new DurationError({ field, value });
  }
  return roundUp(durationMs);
}

/** What `ms` makes of a text, NaN where it throws (an empty text, one over 100 characters) or gives nothing. */
function parseText(text: string): number {
  if (text === "" || text.length > 100) return Number.NaN;
  return (ms as (text: string) => number | undefined)(text) ?? Number.NaN;
}

/** Rounds up, but not for the last bit that a product like 2.3 * 3600000 may be off by. */
function roundUp(durationMs: number): number {
  const nearestMs = Math.round(durationMs);
  return Math.abs(durationMs - nearestMs) <= Number.EPSILON * durationMs ? nearestMs : Math.ceil(durationMs);
}
