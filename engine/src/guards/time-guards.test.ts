import { execFileSync } from "node:child_process";
import { hrtime } from "node:process";
import { isDate } from "node:util/types";
import { expect, test } from "vitest";
import { GuardedRun } from "../testing/guarded-run.ts";

const NativeDate = Date;

test("every clock shows the run's time inside a run", () => {
  const run = new GuardedRun();
  run.timeMs = 1_000_000_000_123;
  const shown = run.enter(() => ({
    now: Date.now(),
    date: new Date().getTime(),
    text: Date(),
    reflected: (Reflect.construct(Date, []) as Date).getTime(),
    performance: performance.now(),
    hrtime: process.hrtime(),
    bigint: process.hrtime.bigint(),
    imported: hrtime.bigint(),
  }));
  expect(shown).toEqual({
    now: 1_000_000_000_123,
    date: 1_000_000_000_123,
    text: new NativeDate(1_000_000_000_123).toString(),
    reflected: 1_000_000_000_123,
    performance: 1_000_000_000_123,
    hrtime: [1_000_000_000, 123_000_000],
    bigint: 1_000_000_000_123_000_000n,
    imported: 1_000_000_000_123_000_000n,
  });
});

test("clocks move with the run and differences are right", () => {
  const run = new GuardedRun();
  const [before, start, startMs] = run.enter(() => [
    process.hrtime(),
    process.hrtime.bigint(),
    performance.now(),
  ]);
  run.timeMs += 1_234.5;
  const [elapsed, passed, passedMs] = run.enter(() => [
    process.hrtime(before),
    process.hrtime.bigint() - start,
    performance.now() - startMs,
  ]);
  expect(elapsed).toEqual([1, 234_500_000]);
  expect(passed).toBe(1_234_500_000n);
  expect(passedMs).toBe(1_234.5);
});

test("a date of a run holds whole milliseconds", () => {
  const run = new GuardedRun();
  run.timeMs = 1_000.75;
  expect(run.enter(() => [Date.now(), new Date().getTime()])).toEqual([1_000, 1_000]);
});

test("clocks are real outside runs", () => {
  const run = new GuardedRun();
  const before = Date.now();
  expect(before).toBeGreaterThan(run.timeMs);
  expect(new Date().getTime()).toBeGreaterThanOrEqual(before);
  expect(performance.now()).toBeLessThan(run.timeMs);
  expect(Date()).not.toBe(run.enter(() => Date()));
  expect(process.hrtime.bigint()).toBeGreaterThan(0n);
});

test("a clock that was taken before the guards came tells the run's time by now()", () => {
  const run = new GuardedRun();
  expect(run.enter(() => NativeDate.now())).toBe(run.timeMs);
});

test("there is one Date, inside and outside", () => {
  const run = new GuardedRun();
  const outside = new Date();
  run.enter(() => {
    const inside = new Date();
    expect(inside).toBeInstanceOf(Date);
    expect(outside).toBeInstanceOf(Date);
    expect(inside.constructor).toBe(Date);
    expect(isDate(inside)).toBe(true);
    expect(Object.prototype.toString.call(inside)).toBe("[object Date]");
    expect(structuredClone(inside)).toEqual(inside);
  });
  expect([Date.name, Date.length]).toEqual(["Date", 7]);
  expect(Date.prototype).toBe(NativeDate.prototype);
  expect(outside.constructor).toBe(Date);
});

test("dates with arguments are the same inside and outside", () => {
  const make = (): unknown[] => [
    new Date(5).getTime(),
    new Date("2020-02-03T04:05:06Z").getTime(),
    new Date(2020, 1, 3, 4, 5, 6, 7).getTime(),
    new Date(new Date(9)).getTime(),
    new Date(Number.NaN).getTime(),
    Date.UTC(2020, 1),
    Date.parse("2020-02-03"),
  ];
  expect(new GuardedRun().enter(make)).toEqual(make());
});

test("a subclass of Date shows the run's time and keeps its class", () => {
  class Stamp extends Date {
    label(): string {
      return `at ${this.getTime()}`;
    }
  }
  const run = new GuardedRun();
  const stamp = run.enter(() => new Stamp());
  expect(stamp).toBeInstanceOf(Stamp);
  expect(stamp.label()).toBe(`at ${run.timeMs}`);
  expect(new Stamp(7).label()).toBe("at 7");
});

test("Temporal.Now shows the run's time", () => {
  const script = `
    import { GuardedRun } from ${JSON.stringify(new URL("../testing/guarded-run.ts", import.meta.url).href)};
    const run = new GuardedRun();
    const real = Temporal.Now.instant().epochMilliseconds;
    console.log(JSON.stringify(run.enter(() => ({
      isReal: real > run.timeMs,
      instant: Temporal.Now.instant().epochMilliseconds,
      zoned: Temporal.Now.zonedDateTimeISO("UTC").epochMilliseconds,
      dateTime: Temporal.Now.plainDateTimeISO("UTC"),
      date: Temporal.Now.plainDateISO("UTC"),
      time: Temporal.Now.plainTimeISO("UTC"),
      local: Temporal.Now.plainDateTimeISO(),
    }))));`;
  // Node 24 has Temporal behind this flag only.
  const flags = ["--harmony-temporal", "--input-type=module", "--eval", script];
  const output = execFileSync(process.execPath, flags, {
    encoding: "utf8",
    env: { ...process.env, TZ: "UTC" },
  });
  expect(JSON.parse(output)).toEqual({
    isReal: true,
    instant: 1_000_000_000_000,
    zoned: 1_000_000_000_000,
    dateTime: "2001-09-09T01:46:40",
    date: "2001-09-09",
    time: "01:46:40",
    local: "2001-09-09T01:46:40",
  });
});
