import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

const VITEST = join(import.meta.dirname, "../node_modules/vitest/vitest.mjs");
const REPORTER = join(import.meta.dirname, "plain-count-reporter.ts");

/** Runs the given test files in a folder of their own, and gives the exit code and the lines of stdout. */
function runTests(files: Readonly<Record<string, string>>): {
  status: number | null;
  lines: readonly string[];
} {
  const root = mkdtempSync(join(tmpdir(), "memflow-reporter-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(root, name), text);
  const reporters = ["--reporter=default", `--reporter=${REPORTER}`];
  const { status, stdout } = spawnSync(
    process.execPath,
    [VITEST, "run", "--root", root, "--globals", ...reporters],
    { encoding: "utf8", cwd: root, env: { PATH: process.env["PATH"], NO_COLOR: "1" } },
  );
  return { status, lines: stdout.trimEnd().split("\n") };
}

test("the plain line is the last one, and every skip is named with its reason", () => {
  const { status, lines } = runTests({
    "a.test.js": [
      'test("one", () => {});',
      'test("two", (context) => context.skip("no PgBouncer here"));',
      'test.skip("three", () => {});',
    ].join("\n"),
  });
  expect(lines.slice(-3)).toEqual([
    "skipped: a.test.js > two: no PgBouncer here",
    "skipped: a.test.js > three: no reason given",
    "1 passed, 0 failed, 2 skipped",
  ]);
  expect(status).toBe(0);
});

test("a failed test, a file that does not load and an error outside tests all count as failures", () => {
  const { status, lines } = runTests({
    "a.test.js": 'test("one", () => {});\ntest("two", () => { throw new Error("no"); });',
    "b.test.js": 'throw new Error("does not load");',
    "c.test.js": 'test("three", () => {});\nPromise.reject(new Error("outside"));',
    "d.test.js":
      'describe("group", () => { beforeAll(() => { throw new Error("no"); }); test("four", () => {}); });',
  });
  expect(lines.at(-1)).toBe("2 passed, 4 failed, 1 skipped");
  expect(status).not.toBe(0);
});

test("a run that finds no test fails and says so", () => {
  const { status, lines } = runTests({});
  expect(lines.at(-1)).toBe("0 passed, 0 failed, 0 skipped");
  expect(status).not.toBe(0);
});
