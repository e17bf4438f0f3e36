import { expect, test } from "vitest";
import { atLeast, atMost, formatTable } from "./report.ts";
import { intervals, median, percentile } from "./statistics.ts";

test("a limit that is met exactly is reached", () => {
  expect(atLeast("", 50, 50)).toMatchObject({ reached: true, missedBy: 0 });
  expect(atMost("", 10, 10)).toMatchObject({ reached: true, missedBy: 0 });
});

test("a missed limit says by which share of it", () => {
  expect(atLeast("", 40, 50)).toMatchObject({ reached: false, missedBy: 0.2 });
  expect(atMost("", 15, 10)).toMatchObject({ reached: false, missedBy: 0.5 });
});

test("a figure that was not measured never counts as reached", () => {
  const target = atMost("<= 10", Number.NaN, 10);
  expect(target.reached).toBe(false);
  expect(formatTable([{ workload: "w", figure: "f", unit: "ms", engine: Number.NaN, target }])).toContain(
    "| not measured |",
  );
});

test("the table shows the ratio of engine and raw loop and the verdict", () => {
  const target = atLeast(">= 0.5 x raw", 40, 50);
  const table = formatTable([{ workload: "w", figure: "f", unit: "1/s", raw: 100, engine: 40, target }]);
  expect(table).toMatch(
    /\| w +\| f \[1\/s\] \| 100 +\| 40\.0 +\| +\| 0\.40 +\| >= 0\.5 x raw \| missed by 20 % \|/u,
  );
});

test("percentiles are values that occurred", () => {
  const values = [5, 1, 4, 2, 3];
  expect(median(values)).toBe(3);
  expect(percentile(values, 0.99)).toBe(5);
  expect(percentile([], 0.5)).toBeNaN();
  expect(values).toEqual([5, 1, 4, 2, 3]);
});

test("intervals lie between neighbours", () => {
  expect(intervals([10, 12, 15])).toEqual([2, 3]);
  expect(intervals([10])).toEqual([]);
});
