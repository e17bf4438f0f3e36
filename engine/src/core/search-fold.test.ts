/** Search data: what each operation makes of the fields, what it returns, and what it refuses. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { foldLog, foldMemory, EMPTY_MEMORY } from "./memory-fold.ts";
import { SEARCH_FIELD_LENGTH_MAX, checkSearchChange, checkSearchField } from "./search-change.ts";
import type { SearchChange } from "./search-change.ts";
import { EMPTY_SEARCH, fieldOf, foldSearch } from "./search-fold.ts";

test("set counts the fields that are new or have another text", () => {
  const first = foldSearch(EMPTY_SEARCH, { op: "search.set", fields: { a: "1", b: "2" } });
  expect(first).toEqual({ search: { a: "1", b: "2" }, value: 2 });
  const second = foldSearch(first.search, { op: "search.set", fields: { a: "1", b: "3", c: "" } });
  expect(second).toEqual({ search: { a: "1", b: "3", c: "" }, value: 2 });
});

test("del counts the fields that were there, each once", () => {
  const search = { a: "1", b: "2" };
  expect(foldSearch(search, { op: "search.del", fields: ["a", "a", "none", "toString"] })).toEqual({
    search: { b: "2" },
    value: 1,
  });
  expect(search).toEqual({ a: "1", b: "2" });
});

test("incr counts a missing field as 0, mult as 1, and both leave the number as text", () => {
  expect(foldSearch({}, { op: "search.incr", field: "n", by: -2.5 })).toEqual({
    search: { n: "-2.5" },
    value: -2.5,
  });
  expect(foldSearch({}, { op: "search.mult", field: "n", by: 4 })).toEqual({ search: { n: "4" }, value: 4 });
  expect(foldSearch({ n: "60" }, { op: "search.mult", field: "n", by: 2 })).toEqual({
    search: { n: "120" },
    value: 120,
  });
  expect(foldSearch({ n: "1e3" }, { op: "search.incr", field: "n", by: 1 })).toEqual({
    search: { n: "1001" },
    value: 1001,
  });
});

test.each(["", " ", "0x10", "many", "1,5", "Infinity", "NaN", "1 ", "--1", "."])(
  "arithmetic on the text %j is refused and changes nothing",
  (text) => {
    const search = { n: text };
    for (const op of ["search.incr", "search.mult"] as const) {
      const folded = foldSearch(search, { op, field: "n", by: 1 });
      expect(folded).toMatchObject({ search, error: { code: "ENTITY_TYPE_MISMATCH", path: "n" } });
    }
  },
);

test("arithmetic beyond what a number can hold is refused", () => {
  expect(foldSearch({ n: "1e308" }, { op: "search.mult", field: "n", by: 100 })).toMatchObject({
    search: { n: "1e308" },
    error: { code: "ENTITY_BAD_VALUE" },
  });
});

test("whatever number arithmetic makes, the next one reads it back as it was", () => {
  const numbers = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 10 });
  fc.assert(
    fc.property(numbers, (given) => {
      let search: Readonly<Record<string, string>> = {};
      let sum = 0;
      for (const by of given) {
        const folded = foldSearch(search, { op: "search.incr", field: "n", by });
        if (!Number.isFinite(sum + by)) {
          expect(folded).toHaveProperty("error");
          return;
        }
        sum += by;
        search = folded.search;
        expect(Number(fieldOf(search, "n"))).toBe(sum + 0);
      }
    }),
  );
});

test.each<[string, SearchChange]>([
  ["an empty name", { op: "search.set", fields: { "": "x" } }],
  ["a name that is too long", { op: "search.del", fields: ["x".repeat(SEARCH_FIELD_LENGTH_MAX + 1)] }],
  ["a forbidden name", { op: "search.incr", field: "__proto__", by: 1 }],
  ["half a character in a name", { op: "search.mult", field: "\ud800", by: 1 }],
  ["U+0000 in a value", { op: "search.set", fields: { a: "\0" } }],
  ["a value that is no text", { op: "search.set", fields: { a: 7 as unknown as string } }],
  ["a step that is no number", { op: "search.incr", field: "a", by: Number.NaN }],
])("%s is refused before it is recorded", (_what, change) => {
  expect(() => checkSearchChange(change)).toThrow(/^search field|^entity path/u);
});

test("what is no text is no name", () => {
  expect(() => checkSearchField(7)).toThrow(/search field "7" is no name/u);
});

test("what the check lets through can be folded", () => {
  for (const change of [
    { op: "search.set", fields: { a: "x" } },
    { op: "search.del", fields: ["a"] },
    { op: "search.incr", field: "a", by: 1 },
    { op: "search.mult", field: "a", by: 2 },
  ] as const) {
    checkSearchChange(change);
    expect(foldSearch(EMPTY_SEARCH, change)).toHaveProperty("value");
  }
});

test("a change of the search data leaves the entity alone, and the other way round", () => {
  const one = foldMemory(EMPTY_MEMORY, { op: "search.set", fields: { a: "x" } });
  const two = foldMemory(one.memory, { op: "increment", path: "n", by: 1 });
  const three = foldMemory(two.memory, { op: "increment", path: "n.m", by: 1 });
  expect(one).toEqual({ memory: { document: {}, search: { a: "x" } }, value: 1 });
  expect(two).toEqual({ memory: { document: { n: 1 }, search: { a: "x" } }, value: 1 });
  expect(three).toMatchObject({ memory: two.memory, error: { code: "ENTITY_TYPE_MISMATCH" } });
});

test("a log is folded from its texts, refused changes left out", () => {
  const log = [
    { op: "set", value: [1] },
    { op: "search.incr", field: "n", by: 2 },
    { op: "toggle", path: "0" },
  ];
  expect(
    foldLog(
      EMPTY_MEMORY,
      log.map((change) => JSON.stringify(change)),
    ),
  ).toEqual({
    document: [1],
    search: { n: "2" },
  });
});
