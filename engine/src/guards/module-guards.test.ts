import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { GuardedRun } from "../testing/guarded-run.ts";

const require = createRequire(import.meta.url);
const folder = mkdtempSync(join(tmpdir(), "memflow-guards-"));

afterAll(() => rmSync(folder, { recursive: true }));

test("a module that is required inside a run is evaluated outside of it", () => {
  const path = join(folder, "late.cjs");
  writeFileSync(
    path,
    'exports.madeAt = Date.now(); exports.self = require("node:fs").readFileSync(__filename, "utf8");',
  );
  const run = new GuardedRun();
  const late = run.enter(() => require(path) as { readonly madeAt: number; readonly self: string });
  expect(late.madeAt).toBeGreaterThan(run.timeMs);
  expect(late.self).toContain("madeAt");
  expect(run.enter(() => require(path) as unknown)).toBe(late);
  expect(run.refused).toEqual([]);
});

test("an error of a required module reaches who required it", () => {
  const path = join(folder, "broken.cjs");
  writeFileSync(path, 'throw new Error("broken at its top level");');
  expect(() => new GuardedRun().enter(() => require(path) as unknown)).toThrow("broken at its top level");
});
