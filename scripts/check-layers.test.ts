import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished, expect, test } from "vitest";
import { checkImport, PACKAGE_RULES } from "./layers.ts";

const CHECK = join(import.meta.dirname, "check-layers.ts");

/** A workspace of the given files in a folder of its own, and what the check says of it. */
function checkTree(files: Readonly<Record<string, string>>): { status: number | null; output: string } {
  const root = mkdtempSync(join(tmpdir(), "memflow-layers-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries({ "package.json": '{"workspaces":["*"]}', ...files })) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  const { status, stdout, stderr } = spawnSync(process.execPath, [CHECK, root], { encoding: "utf8" });
  return { status, output: stdout + stderr };
}

test.each([
  ["sdk/src/client.ts", "@memflow/engine"],
  ["sdk/src/client.ts", "pg"],
  ["engine/src/store/session.ts", "../core/errors.ts"],
  ["engine/src/worker/owner.ts", "../guards/sync-drain.ts"],
  ["engine/src/worker/owner.ts", "../crash-points.ts"],
  ["engine/src/index.ts", "./worker/owner.ts"],
  ["engine/src/core/duration.ts", "ms"],
  ["engine/src/core/duration.test.ts", "node:fs"],
  ["engine/src/store/runs.test.ts", "../testing/schema.ts"],
  ["kubectl-memflow/src/dev/database.ts", "@memflow/engine"],
  ["operator/src/store.ts", "@memflow/engine/provision"],
  ["operator/src/store.test.ts", "@memflow/engine/testing/scratch-store"],
  ["e2e/agent.test.ts", "@memflow/worker-runtime"],
  ["scripts/layers.ts", "node:path"],
])("%s may import %s", (file, specifier) => {
  expect(checkImport({ file, specifier })).toBeUndefined();
});

test.each([
  ["engine/src/worker/owner.ts", "@memflow/sdk", "@memflow/engine may not import @memflow/sdk"],
  ["sdk/src/client.ts", "@memflow/migrations", "here it may import @memflow/engine"],
  ["sdk/src/client.ts", "../../engine/src/index.ts", "import another package by its name"],
  ["crds/src/store.ts", "@memflow/engine", "here it may import nothing of ours"],
  ["kubectl-memflow/src/main.ts", "@memflow/engine", "@memflow/cli may not import @memflow/engine"],
  ["operator/src/store.ts", "@memflow/engine", "@memflow/operator may not import @memflow/engine"],
  ["operator/src/store.ts", "@memflow/engine/testing", "may not import @memflow/engine/testing"],
  ["engine/src/core/history.ts", "../store/session.ts", "engine/src/core/ may not import engine/src/store"],
  ["engine/src/core/history.ts", "../index.ts", "engine/src/core/ may not import engine/src/index.ts"],
  ["engine/src/store/session.ts", "../worker/owner.ts", "besides itself it may import core"],
  ["engine/src/client/start.ts", "../worker/owner.ts", "besides itself it may import core, store"],
  ["engine/src/replay/machine.ts", "../store/session.ts", "besides itself it may import core, guards"],
  ["engine/src/worker/owner.ts", "../index.ts", "engine/src/worker/ may not import engine/src/index.ts"],
  ["engine/src/store/session.ts", "../testing/schema.ts", "engine/src/store/ may not import"],
  ["engine/src/misc/a.ts", "../core/errors.ts", "has no row in the import table"],
  ["engine/src/core/history.ts", "node:fs", "engine/src/core/ is pure and may not import node:fs"],
  ["engine/src/core/nested/a.ts", "timers", "engine/src/core/ is pure and may not import timers"],
  ["engine/src/core/history.ts", "pg", "engine/src/core/ is pure and may not import pg"],
  ["operator/src/plan/desired.ts", "node:net", "operator/src/plan/ is pure and may not import node:net"],
])("%s may not import %s", (file, specifier, reason) => {
  expect(checkImport({ file, specifier })).toContain(reason);
});

test("every package has one row", () => {
  expect(new Set(PACKAGE_RULES.map((rule) => rule.folder)).size).toBe(PACKAGE_RULES.length);
  expect(new Set(PACKAGE_RULES.map((rule) => rule.name)).size).toBe(PACKAGE_RULES.length);
});

test("a planted violation fails the check with its file, line and remedy, in every form of import", () => {
  const { status, output } = checkTree({
    "engine/src/core/a.ts":
      'import type { A } from "./b.ts";\nimport { readFile } from "node:fs/promises";\n',
    "engine/src/core/b.ts": 'export * from "../store/c.ts";\n',
    "crds/src/d.ts": 'const sdk = await import("@memflow/sdk");\n',
    "crds/dist/e.ts": 'import "@memflow/sdk";\n',
  });
  expect(output).toContain("engine/src/core/a.ts:2: engine/src/core/ is pure");
  expect(output).toContain("engine/src/core/b.ts:1: engine/src/core/ may not import engine/src/store;");
  expect(output).toContain("crds/src/d.ts:1: @memflow/crds may not import @memflow/sdk");
  expect(output).toContain("layers: 3 files checked, 3 faults");
  expect(status).toBe(1);
});

test("a package that the table does not know fails the check", () => {
  const { status, output } = checkTree({ "engine/src/a.ts": "export {};\n", "misc/package.json": "{}\n" });
  expect(output).toContain("misc/package.json: this package has no row in the table");
  expect(status).toBe(1);
});

test("a tree that keeps the table passes, and an empty one does not", () => {
  expect(checkTree({ "sdk/src/a.ts": 'import "@memflow/engine";\n' }).status).toBe(0);
  expect(checkTree({}).status).not.toBe(0);
});
