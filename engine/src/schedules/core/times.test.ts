/** Cron, intervals, clock changes and jitter. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalCron } from "./cron-expression.ts";
import type { ScheduleWhen } from "./definition.ts";
import { dueMs, timesOf } from "./times.ts";

const WHEN: ScheduleWhen = {
  cron: [],
  everyMs: null,
  offsetMs: 0,
  timeZone: "UTC",
  jitterMs: 0,
  startAtMs: null,
  endAtMs: null,
};
const HOUR_MS = 3_600_000;

/** The next times after a moment, as texts. */
function next(count: number, after: string, when: Partial<ScheduleWhen>): string[] {
  const times = timesOf({ ...WHEN, ...when });
  const found: string[] = [];
  let ms: number | undefined = Date.parse(after);
  while (found.length < count) {
    ms = times.after(ms);
    if (ms === undefined) break;
    found.push(new Date(ms).toISOString().replace(":00.000Z", "Z"));
  }
  return found;
}

describe("clock changes", () => {
  test.each([
    {
      what: "Berlin goes forward: what is skipped fires when the gap is over",
      timeZone: "Europe/Berlin",
      cron: "30 2 * * *",
      after: "2026-03-28T12:00Z",
      times: ["2026-03-29T01:00Z", "2026-03-30T00:30Z"],
    },
    {
      what: "Berlin goes back: what comes twice fires at the first",
      timeZone: "Europe/Berlin",
      cron: "30 2 * * *",
      after: "2026-10-24T12:00Z",
      times: ["2026-10-25T00:30Z", "2026-10-26T01:30Z"],
    },
    {
      what: "New York goes forward: what is skipped fires when the gap is over",
      timeZone: "America/New_York",
      cron: "30 2 * * *",
      after: "2026-03-07T12:00Z",
      times: ["2026-03-08T07:00Z", "2026-03-09T06:30Z"],
    },
    {
      what: "New York goes back: what comes twice fires at the first",
      timeZone: "America/New_York",
      cron: "30 1 * * *",
      after: "2026-10-31T12:00Z",
      times: ["2026-11-01T05:30Z", "2026-11-02T06:30Z"],
    },
    {
      what: "a list of hours keeps each of its times in the gap",
      timeZone: "America/New_York",
      cron: "30 2,3 * * *",
      after: "2026-03-07T12:00Z",
      times: ["2026-03-08T07:00Z", "2026-03-08T07:30Z", "2026-03-09T06:30Z"],
    },
    {
      what: "every hour stays every hour when Berlin goes forward",
      timeZone: "Europe/Berlin",
      cron: "0 * * * *",
      after: "2026-03-28T23:30Z",
      times: ["2026-03-29T00:00Z", "2026-03-29T01:00Z", "2026-03-29T02:00Z"],
    },
    {
      what: "every hour stays every hour when New York goes back",
      timeZone: "America/New_York",
      cron: "0 * * * *",
      after: "2026-11-01T04:30Z",
      times: ["2026-11-01T05:00Z", "2026-11-01T06:00Z", "2026-11-01T07:00Z"],
    },
    {
      what: "a half hour's change",
      timeZone: "Australia/Lord_Howe",
      cron: "15 2 * * *",
      after: "2026-10-02T16:00Z",
      times: ["2026-10-03T15:30Z", "2026-10-04T15:15Z"],
    },
  ])("$what", ({ timeZone, cron, after, times }) => {
    expect(next(times.length, after, { cron: [cron], timeZone })).toEqual(times);
  });

  test("an interval doesn't know clocks", () => {
    const when = { everyMs: 12 * HOUR_MS, offsetMs: HOUR_MS, timeZone: "Europe/Berlin" };
    expect(next(3, "2026-03-28T14:00Z", when)).toEqual([
      "2026-03-29T01:00Z",
      "2026-03-29T13:00Z",
      "2026-03-30T01:00Z",
    ]);
  });
});

describe("expressions", () => {
  test.each([
    ["0 0 * * FRI-MON", "0 0 * * 0,1,5,6"],
    ["0 0 * * FRI-SUN", "0 0 * * 0,5,6"],
    ["0 0 * * 0-7", "0 0 * * 0,1,2,3,4,5,6"],
    ["0 0 * * 7", "0 0 * * 0"],
    ["0 22-2 * * *", "0 0,1,2,22,23 * * *"],
    ["5/20 * * * *", "5,25,45 * * * *"],
    ["*/15,7 * * * *", "*/15,7 * * * *"],
    ["*/99 */1 * * *", "0 * * * *"],
    ["0 0 1 NOV-FEB *", "0 0 1 1,2,11,12 *"],
    ["00 09 01 * *", "0 9 1 * *"],
    ["@daily", "@daily"],
  ])("%s means %s", (expression, canonical) => {
    expect(canonicalCron(expression)).toBe(canonical);
  });

  test.each(["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"])(
    "%s has times",
    (word) => {
      expect(next(1, "2026-01-01T00:00Z", { cron: [word] })).toHaveLength(1);
    },
  );

  test("days of the month and weekdays are joined by or", () => {
    const fridays13th = next(4, "2026-01-08T12:00Z", { cron: ["0 0 13 * FRI"] });
    expect(fridays13th).toEqual([
      "2026-01-09T00:00Z",
      "2026-01-13T00:00Z",
      "2026-01-16T00:00Z",
      "2026-01-23T00:00Z",
    ]);
  });

  test("a day that no month has never comes", () => {
    expect(next(1, "2026-01-01T00:00Z", { cron: ["0 0 30 2 *"] })).toEqual([]);
  });

  test("every expression that the kind takes is read, and its times fit its fields", () => {
    const names = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    const field = (least: number, most: number, word?: (value: number) => string) => {
      const value = fc.integer({ min: least, max: most }).map((found) => word?.(found) ?? String(found));
      const span = fc.oneof(
        fc.constant("*"),
        value,
        fc.tuple(value, value).map((ends) => ends.join("-")),
      );
      const item = fc
        .tuple(span, fc.option(fc.integer({ min: 1, max: 99 })))
        .map(([text, step]) => (step === null ? text : `${text}/${step}`));
      return fc.array(item, { minLength: 1, maxLength: 3 }).map((items) => items.join(","));
    };
    const expression = fc
      .tuple(
        field(0, 59),
        field(0, 23),
        fc.constant("*"),
        field(1, 12),
        field(0, 7, (day) => names[day] ?? "7"),
      )
      .map((fields) => fields.join(" "));
    const matches = (text: string, value: number, size: number, least: number): boolean =>
      text.split(",").some((item) => {
        const [span = "", step = "1"] = item.split("/");
        const numbers = span
          .split("-")
          .map((part) => (names.includes(part) ? names.indexOf(part) : Number(part)));
        const [first = 0, last = item.includes("/") ? size - 1 + least : first] =
          span === "*" ? [least, size - 1 + least] : numbers;
        const length = last >= first ? last - first : last - first + size;
        for (let offset = 0; offset <= length; offset += Number(step))
          if ((first + offset - least) % size === (value - least) % size) return true;
        return false;
      });
    fc.assert(
      fc.property(expression, fc.integer({ min: 0, max: 4_000_000 }), (text, minutes) => {
        const times = timesOf({ ...WHEN, cron: [text] });
        const fits = (ms: number): boolean => {
          const date = new Date(ms);
          const [minute = "", hour = "", , month = "", weekday = ""] = text.split(" ");
          return (
            matches(minute, date.getUTCMinutes(), 60, 0) &&
            matches(hour, date.getUTCHours(), 24, 0) &&
            matches(month, date.getUTCMonth() + 1, 12, 1) &&
            matches(weekday, date.getUTCDay(), 7, 0)
          );
        };
        const fromMs = minutes * 60_000;
        const foundMs = times.after(fromMs);
        expect(foundMs).toBeGreaterThan(fromMs);
        expect(fits(foundMs ?? 0)).toBe(true);
        // None was passed by, as far as one can look.
        for (let ms = fromMs + 60_000; ms < Math.min(foundMs ?? 0, fromMs + 600 * 60_000); ms += 60_000)
          expect(fits(ms)).toBe(false);
      }),
      { numRuns: 200 },
    );
  });
});

test("several rules give each time once", () => {
  const when = { cron: ["0 * * * *", "*/30 * * * *"], everyMs: 20 * 60_000 };
  expect(next(5, "2026-01-01T00:00Z", when)).toEqual([
    "2026-01-01T00:20Z",
    "2026-01-01T00:30Z",
    "2026-01-01T00:40Z",
    "2026-01-01T01:00Z",
    "2026-01-01T01:20Z",
  ]);
});

test("start and end are times themselves", () => {
  const when = {
    cron: ["0 * * * *"],
    startAtMs: Date.parse("2026-01-01T10:00Z"),
    endAtMs: Date.parse("2026-01-01T12:00Z"),
  };
  const times = ["2026-01-01T10:00Z", "2026-01-01T11:00Z", "2026-01-01T12:00Z"];
  expect(next(9, "2025-01-01T00:00Z", when)).toEqual(times);
});

test("jitter never changes the order, and is the same whenever one asks", () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.nat(),
      fc.integer({ min: 1, max: 10_000 }),
      fc.nat(20_000),
      (id, atMs, gapMs, jitterMs) => {
        const options = { scheduleId: id, atMs, followingMs: atMs + gapMs, jitterMs };
        const due = dueMs(options);
        expect(due).toBe(dueMs(options));
        expect(due).toBeGreaterThanOrEqual(atMs);
        expect(due).toBeLessThan(atMs + gapMs);
        expect(due - atMs).toBeLessThanOrEqual(jitterMs);
      },
    ),
  );
});

test("the last time is put off like all others", () => {
  const due = dueMs({ scheduleId: "s", atMs: 0, followingMs: undefined, jitterMs: 1_000_000 });
  expect(due).toBeGreaterThan(0);
  expect(due).toBeLessThan(1_000_000);
});
