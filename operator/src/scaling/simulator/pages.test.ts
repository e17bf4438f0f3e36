/**
 * The committed page and pictures are what the script makes; and what the page claims of the figures is so.
 */
import { readFileSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { fillRegions, markdownTable } from "./markdown.ts";
import { pageRegions, pictures, playAll } from "./pages.ts";
import type { Outcome } from "./simulate.ts";

const DOCS = new URL("../../../../docs/", import.meta.url);
const played = playAll();

function outcome(trace: string, rule: string): Outcome {
  const found = played.find((one) => one.trace.name === trace)?.outcomes.get(rule);
  if (found === undefined) throw new Error(`nobody played "${trace}" under "${rule}"`);
  return found;
}

test("scaling.md is up to date; run npm run simulate:scaling", () => {
  const page = readFileSync(new URL("scaling.md", DOCS), "utf8");
  expect(fillRegions(page, pageRegions(played))).toBe(page);
});

test("every picture is up to date, and there is no other; run npm run simulate:scaling", () => {
  const made = pictures(played);
  expect(
    readdirSync(new URL("scaling/", DOCS))
      .map((name) => `scaling/${name}`)
      .toSorted(),
  ).toEqual([...made.keys()].toSorted());
  for (const [path, svg] of made) expect(readFileSync(new URL(path, DOCS), "utf8")).toBe(svg);
});

test("our rule cuts off no task, under any load", () => {
  for (const { outcomes } of played) expect(outcomes.get("memflow")?.interruptedCount).toBe(0);
});

test("long activities survive every scale-in of ours; those that don't know of running ones cut them off", () => {
  expect(outcome("long-activities", "memflow").lostMs).toBe(0);
  expect(outcome("long-activities", "keda-ready").interruptedCount).toBeGreaterThan(0);
  expect(outcome("long-activities", "keda-all").interruptedCount).toBeGreaterThan(0);
});

test("work at zero waits for a pod's start, not for a poll", () => {
  const { waitP99Ms } = outcome("constant", "memflow");
  expect(waitP99Ms).toBeLessThan(outcome("constant", "keda-all").waitP99Ms / 2);
});

test("an outage takes no replica away", () => {
  const { desired } = outcome("outage", "memflow");
  const during = desired.filter(({ atMs }) => atMs >= 20 * 60_000 && atMs < 30 * 60_000);
  expect(during).toEqual([]);
});

test("everything that ended was at zero in the end, and nothing was left waiting", () => {
  for (const { outcomes } of played) {
    expect(outcomes.get("memflow")?.unstartedCount).toBe(0);
    expect(outcomes.get("memflow")?.desired.at(-1)?.replicas).toBe(0);
  }
});

test("a page that lacks a region, or has one that nobody makes, is refused", () => {
  const page = "<!-- made: here -->\nold\n<!-- end -->\n";
  expect(fillRegions(page, new Map([["here", "new"]]))).toBe("<!-- made: here -->\n\nnew\n\n<!-- end -->\n");
  expect(() => fillRegions(page, new Map())).toThrow('a region "here" that nobody makes');
  expect(() => fillRegions("", new Map([["gone", "x"]]))).toThrow("lacks the regions gone");
});

test("a table is padded, numbers to the right", () => {
  expect(markdownTable(["name", ">n"], [["a", "10"]])).toBe("| name |   n |\n| ---- | --: |\n| a    |  10 |");
});
