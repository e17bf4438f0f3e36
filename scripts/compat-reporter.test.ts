import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

const VITEST = join(import.meta.dirname, "../node_modules/vitest/vitest.mjs");
const REPORTERS = ["compat-reporter.ts", "plain-count-reporter.ts"].map(
  (file) => `--reporter=${join(import.meta.dirname, file)}`,
);

const PASSING = 'test("one", () => {});\ndescribe("group", () => test("two | `three`", () => {}));';
const ROW_ONE = "| start | starts | same | `a.test.js > one` |";
const ROW_TWO =
  "| stop | hangs | differs: it ends | `a.test.js > one`<br>`` a.test.js > group > two \\| `three` `` |";

interface Run {
  readonly tests?: string;
  readonly rows?: readonly string[];
  /** Undefined: there is none. */
  readonly page?: string | undefined;
  readonly filters?: readonly string[];
}

/** A whole run of vitest in a folder of its own, with a table of these rows. */
function run({ tests = PASSING, rows = [ROW_ONE, ROW_TWO], filters = [], ...more }: Run) {
  const root = mkdtempSync(join(tmpdir(), "memflow-compat-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const table = ["| what | HotMesh | MemFlow | tests |", "| --- | --- | --- | --- |", ...rows].join("\n");
  const files = {
    "a.test.js": tests,
    "b.test.js": 'test("another", () => {});',
    "docs/memflow-compat.md":
      "page" in more ? more.page : `# Page\n\n| other | table |\n| - | - |\n| not | read |\n\n${table}\n`,
  };
  for (const [name, text] of Object.entries(files)) {
    if (text === undefined) continue;
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [VITEST, "run", "--root", root, "--globals", ...REPORTERS, ...filters],
    { encoding: "utf8", cwd: root, env: { PATH: process.env["PATH"], NO_COLOR: "1" } },
  );
  const faults = stderr.split("\n").filter((line) => line.startsWith("docs/memflow-compat.md, "));
  return {
    status,
    faults: faults.map((line) => line.replace("docs/memflow-compat.md, ", "")),
    lines: stdout.trimEnd().split("\n"),
  };
}

test("a table whose tests all passed lets the run pass", () => {
  const { status, faults, lines } = run({});
  expect(faults).toEqual([]);
  expect(lines).toContain("docs/memflow-compat.md checked: 2 rows, 0 faults");
  expect(status).toBe(0);
});

test.each([
  ["missing", { rows: [ROW_ONE, "| stop | hangs | same | |"] }, 'line 10, row "stop": names no test'],
  [
    "failed",
    { tests: PASSING.replace("() => {}", "() => { throw new Error('no'); }"), rows: [ROW_ONE] },
    'line 9, row "start": names a test that failed: a.test.js > one',
  ],
  [
    "skipped",
    { tests: PASSING.replace("test(", "test.skip("), rows: [ROW_ONE] },
    'line 9, row "start": names a test that was skipped: a.test.js > one',
  ],
  [
    "renamed",
    { tests: PASSING.replace('"one"', '"One"'), rows: [ROW_ONE] },
    'line 9, row "start": names a test that did not run: a.test.js > one',
  ],
  [
    "moved",
    { rows: [ROW_ONE.replace("a.test.js", "b.test.js")] },
    'line 9, row "start": names a test that did not run: b.test.js > one',
  ],
  [
    "left out by another's only",
    { tests: `${PASSING}\ntest.only("other", () => {});`, rows: [ROW_ONE] },
    'line 9, row "start": names a test that was skipped: a.test.js > one',
  ],
  [
    "once passed and once failed",
    { tests: `${PASSING}\ntest("one", () => { throw new Error("no"); });`, rows: [ROW_ONE] },
    'line 9, row "start": names a test that failed: a.test.js > one',
  ],
] as const)("a test that is %s fails the run, which names the row", (_how, given, fault) => {
  const { status, faults, lines } = run(given);
  expect(faults).toEqual([fault]);
  expect(status).not.toBe(0);
  expect(lines.at(-1)).not.toContain(" 0 failed");
});

test("a page without rows and one that is not there fail the run", () => {
  expect(run({ rows: [] }).faults).toEqual(["the table has no rows"]);
  const { status, lines } = run({ page: undefined });
  expect(status).not.toBe(0);
  expect(lines.at(-1)).not.toContain(" 0 failed");
});

test.each([
  ["a file", ["a.test.js"], "a filter: 1 of 2 test files"],
  ["a test name", ["-t", "one"], "the test name pattern /one/"],
  ["a shard", ["--shard=1/2"], "a shard"],
  ["an exclusion", ["--exclude=b.test.js"], "an exclusion"],
])("a run that is narrowed by %s says that it has not checked", (_what, filters, said) => {
  const { status, faults, lines } = run({ rows: ["| start | starts | missing: not built | |"], filters });
  expect(faults).toEqual([]);
  expect(lines).toContain(`docs/memflow-compat.md not checked: this run is narrowed by ${said}`);
  expect(status).toBe(0);
});
