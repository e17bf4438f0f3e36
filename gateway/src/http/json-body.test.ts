/** Levels are counted before anything is parsed. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { depthOf } from "./json-body.ts";

function levels(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(levels));
}

test("the levels of a JSON text are those of its value, whatever its strings hold", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
      expect(depthOf(JSON.stringify(value))).toBe(levels(value));
    }),
  );
});

test("quotes, brackets and backslashes in strings are no levels", () => {
  for (const value of [['[[["'], { '{"[': "\\" }, ["\\\\[", ["]"]], { a: '\\"[' }])
    expect(depthOf(JSON.stringify(value))).toBe(levels(value));
  expect(depthOf('["[[[')).toBe(1);
});
