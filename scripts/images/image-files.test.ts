import { expect, test } from "vitest";
import { builtFileOf, isNeededOfExample, isNeededOfOthers, neverRuns } from "./image-files.ts";

test.each([
  ["main.ts", "main.js"],
  ["kube/reflector.ts", "kube/reflector.js"],
  ["kube/reflector.test.ts", undefined],
  ["testing/index.ts", undefined],
  ["scaling/testing/observations.ts", undefined],
  ["schema.json", undefined],
])("of our source %s the image has %s", (source, built) => {
  expect(builtFileOf(source)).toBe(built);
});

test.each([
  ["lib/index.js", true],
  ["package.json", true],
  ["LICENSE.md", true],
  ["licence", true],
  ["README.md", false],
  ["lib/index.d.ts", false],
  ["lib/index.js.map", false],
  ["node_modules/inner/index.js", false],
  ["docs/page.js", false],
])("of a package from npm, %s is needed: %s", (path, isNeeded) => {
  expect(isNeededOfOthers(path)).toBe(isNeeded);
});

test("packages of types alone, or for another runtime, stay out", () => {
  expect(neverRuns("node_modules/@types/node")).toBe(true);
  expect(neverRuns("node_modules/bare-fs")).toBe(true);
  expect(neverRuns("node_modules/pg-types")).toBe(false);
});

test.each([
  ["package.json", true],
  ["workflows.ts", true],
  ["research/corpus.ts", true],
  ["research/corpus.test.ts", false],
  ["dist/workflows.ts", false],
  ["store.yaml", false],
])("of an example, %s is needed: %s", (path, isNeeded) => {
  expect(isNeededOfExample(path)).toBe(isNeeded);
});
