import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";

const PRINT_ENTRY = 'console.log(import.meta.resolve("@memflow/engine"))';

test("tests and the processes that they start run on Node 24 or newer", () => {
  const child = execFileSync("node", ["--version"], { encoding: "utf8" });
  expect(Number(process.versions.node.split(".")[0])).toBeGreaterThanOrEqual(24);
  expect(child.trim()).toBe(process.version);
});

test("tests and the processes that they start run our packages from sources, whatever was built", () => {
  const child = execFileSync("node", ["--input-type=module", "-e", PRINT_ENTRY], {
    cwd: import.meta.dirname,
    encoding: "utf8",
  });
  expect(import.meta.resolve("@memflow/engine")).toMatch(/engine\/src\/index\.ts$/u);
  expect(child.trim()).toMatch(/engine\/src\/index\.ts$/u);
});
