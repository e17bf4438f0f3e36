import { existsSync, realpathSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { findRuntimePackages } from "./runtime-packages.ts";

const ROOT = realpathSync(path.resolve(import.meta.dirname, "../.."));

function namesOf(workspace: string): readonly string[] {
  return findRuntimePackages(ROOT, workspace, () => false).map(({ name }) => name);
}

test("a workspace runs on its packages and on theirs, and on none that only develops it", () => {
  const names = namesOf("worker-runtime");
  expect(names).toEqual(expect.arrayContaining(["@memflow/sdk", "@memflow/migrations", "pg", "pg-protocol"]));
  expect(names.filter((name) => ["vitest", "typescript", "oxlint"].includes(name))).toEqual([]);
});

test("every package is found where it is installed, ours in their own folders", () => {
  const found = findRuntimePackages(ROOT, "operator", () => false);
  expect(found.filter(({ folder }) => !existsSync(path.join(ROOT, folder, "package.json")))).toEqual([]);
  expect(found.find(({ name }) => name === "@memflow/crds")).toEqual({
    name: "@memflow/crds",
    folder: "crds",
    isOurs: true,
  });
});

test("what is left out is not looked into", () => {
  const found = findRuntimePackages(ROOT, "examples/research-agent", ({ name }) => name === "@memflow/sdk");
  expect(found.map(({ name }) => name)).toContain("minisearch");
  expect(found.map(({ name }) => name)).not.toContain("@memflow/engine");
});
