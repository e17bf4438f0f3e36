import { expect, test } from "vitest";
import { LoopWatch } from "./loop-watch.ts";
import type { LoopVerdict } from "./loop-watch.ts";

const LIMITS = { watchMs: 500, reportMs: 2_000, killMs: 30_000 };

/** Looks `count` times, `elapsedMs` apart, at a loop that shows `turnCount`. */
function lookTimes(
  watch: LoopWatch,
  count: number,
  turnCount: number,
  elapsedMs = LIMITS.watchMs,
): LoopVerdict[] {
  return Array.from({ length: count }, () => watch.look(turnCount, elapsedMs));
}

test("a loop that turns is fine for ever", () => {
  const watch = new LoopWatch(LIMITS);
  for (let turnCount = 0; turnCount < 1_000; turnCount += 1) expect(watch.look(turnCount, 500)).toBe("fine");
  expect(watch.blockedMs).toBe(0);
});

test("a blocked loop is reported once and killed once, each beyond its limit", () => {
  const watch = new LoopWatch(LIMITS);
  const verdicts = lookTimes(watch, 100, 1);
  expect(verdicts.indexOf("report")).toBe(5);
  expect(verdicts.indexOf("kill")).toBe(61);
  expect(verdicts.filter((verdict) => verdict !== "fine")).toEqual(["report", "kill"]);
});

test("a loop that turns again in time is not killed, and the next blockage is reported anew", () => {
  const watch = new LoopWatch(LIMITS);
  lookTimes(watch, 60, 1);
  expect(watch.blockedMs).toBe(29_500);
  expect(watch.look(2, 500)).toBe("fine");
  expect(watch.blockedMs).toBe(0);
  const verdicts = lookTimes(watch, 60, 2);
  expect(verdicts.filter((verdict) => verdict !== "fine")).toEqual(["report"]);
});

test("time in which the whole process stood still is no blockage", () => {
  const watch = new LoopWatch(LIMITS);
  watch.look(1, 500);
  expect(watch.look(1, 3_600_000)).toBe("fine");
  expect(watch.blockedMs).toBe(1_000);
});

test("when a report was never due, the kill still is", () => {
  const watch = new LoopWatch({ watchMs: 500, reportMs: 60_000, killMs: 1_000 });
  expect(lookTimes(watch, 5, 1)).toEqual(["fine", "fine", "fine", "kill", "fine"]);
});
