/** Durations: numbers are milliseconds, texts are what `ms` reads, anything else is refused. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { DURATION_MAX_MS, parseDurationMs } from "./duration.ts";
import { DurationError } from "./errors.ts";

test.each([
  [0, 0],
  [1500, 1500],
  [0.2, 1],
  ["100", 100],
  ["100 milliseconds", 100],
  ["5 seconds", 5000],
  ["1.5h", 5_400_000],
  ["2.3h", 8_280_000],
  ["5m", 300_000],
  ["0s", 0],
  ["100 years", DURATION_MAX_MS],
])("%j is %d ms", (value, durationMs) => {
  expect(parseDurationMs(value, "sleepFor")).toBe(durationMs);
});

test.each([
  "",
  " ",
  "soon",
  "-5 seconds",
  "5 fortnights",
  "101 years",
  "1".repeat(101),
  "NaN",
  "Infinity",
  -1,
  Number.NaN,
  Infinity,
  DURATION_MAX_MS + 1,
])("%j is no duration", (value) => {
  expect(() => parseDurationMs(value, "sleepFor")).toThrow(DurationError);
});

test.each([[undefined], [null], [{}], [["5s"]], [5n], [true]])(
  "%o is no duration, whatever the types say",
  (value) => {
    expect(() => parseDurationMs(value as unknown as string, "sleepFor")).toThrow(
      expect.objectContaining({ code: "BAD_DURATION", field: "sleepFor", value }),
    );
  },
);

test("a number of milliseconds is never shortened, and by one at most prolonged", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: DURATION_MAX_MS, noNaN: true }), (value) => {
      const durationMs = parseDurationMs(value, "sleepFor");
      expect(Number.isSafeInteger(durationMs)).toBe(true);
      expect(durationMs).toBeGreaterThanOrEqual(value * (1 - Number.EPSILON));
      expect(durationMs - value).toBeLessThanOrEqual(1);
    }),
  );
});

test("any text gives a duration within the limit or the typed error", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.stringMatching(/^-?\d{0,5}\.?\d{1,5} ?(ms|s|m|h|d|w|y)$/)),
      (text) => {
        try {
          const durationMs = parseDurationMs(text, "sleepFor");
          expect(durationMs >= 0 && durationMs <= DURATION_MAX_MS).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(DurationError);
        }
      },
    ),
  );
});
