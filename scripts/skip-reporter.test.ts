import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

const VITEST = join(import.meta.dirname, "../node_modules/vitest/vitest.mjs");
const REPORTER = join(import.meta.dirname, "skip-reporter.ts");
const SKIPPING = 'test("one", () => {});\ntest.skip("two", () => {});';

/** Runs one test file in a folder of its own. */
function runFile(
  file: string,
  text: string,
  { mode = "required", args = [] }: { readonly mode?: string; readonly args?: readonly string[] } = {},
): { readonly status: number | null; readonly stderr: string } {
  const root = mkdtempSync(join(tmpdir(), "memflow-reporter-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, dirname(file)), { recursive: true });
  writeFileSync(join(root, file), text);
  const env = { PATH: process.env["PATH"], NO_COLOR: "1", E2E: mode };
  return spawnSync(
    process.execPath,
    [VITEST, "run", "--root", root, "--globals", `--reporter=${REPORTER}`, ...args],
    { encoding: "utf8", cwd: root, env },
  );
}

test("where all tests are required a skipped one fails the run and is named", () => {
  const { status, stderr } = runFile("a.test.ts", SKIPPING);
  expect(stderr).toContain("skipped where every test is required (E2E=required): a.test.ts > two");
  expect(status).toBe(1);
});

test("so does a test that skips itself, and one that another's `only` leaves out", () => {
  const { status, stderr } = runFile(
    "a.test.ts",
    'test.only("one", (context) => context.skip("no cluster"));\ntest("two", () => {});',
    { args: ["--allowOnly"] },
  );
  expect(stderr).toMatch(/a\.test\.ts > one\n.*a\.test\.ts > two/u);
  expect(status).toBe(1);
});

test.each([
  ["elsewhere", "a.test.ts", { mode: "" }],
  ["in a file that may skip", "sdk/test/bad-input.test.ts", {}],
  ["in a run for tests of one name", "a.test.ts", { args: ["-t", "one"] }],
])("%s a skip is no failure", (_where, file, options) => {
  expect(runFile(file, SKIPPING, options).status).toBe(0);
});
