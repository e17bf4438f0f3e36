/** The entity's fold: what each operation does, and that no input is ever changed. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ENTITY_DEPTH_MAX, ENTITY_PATH_LENGTH_MAX } from "./entity-path.ts";
import { EMPTY_ENTITY, checkChange, cloneJson, foldChange, readPath } from "./entity-fold.ts";
import type { EntityChange } from "./entity-fold.ts";
import { EntityError } from "./errors.ts";
import type { Json, JsonObject } from "./json.ts";

type Refusal = { readonly code: string; readonly path: string };

/** What a refused change leaves: the document as it was, and why. */
function refusal(document: Json, change: EntityChange): Refusal | undefined {
  const folded = foldChange(document, change);
  if (!("error" in folded)) return undefined;
  expect(folded.document).toBe(document);
  return { code: folded.error.code, path: folded.error.path };
}

test.each<[string, Json, EntityChange, Json, Json]>([
  ["set replaces the document", { a: 1 }, { op: "set", value: { b: 2 } }, { b: 2 }, { b: 2 }],
  ["set takes any JSON", { a: 1 }, { op: "set", value: [1] }, [1], [1]],
  [
    "merge goes to every level",
    { a: { b: { c: 1, d: 2 } } },
    { op: "merge", value: { a: { b: { c: 99 } } } },
    { a: { b: { c: 99, d: 2 } } },
    { a: { b: { c: 99, d: 2 } } },
  ],
  ["merge replaces arrays", { a: [1, 2] }, { op: "merge", value: { a: [3] } }, { a: [3] }, { a: [3] }],
  ["merge stores null", { a: { b: 1 } }, { op: "merge", value: { a: null } }, { a: null }, { a: null }],
  [
    "merge replaces a scalar by an object",
    { a: 1 },
    { op: "merge", value: { a: { b: 1 } } },
    { a: { b: 1 } },
    { a: { b: 1 } },
  ],
  [
    "merge replaces an object by a scalar",
    { a: { b: 1 } },
    { op: "merge", value: { a: 1 } },
    { a: 1 },
    { a: 1 },
  ],
  [
    "merge into a document that is no object starts anew",
    [1],
    { op: "merge", value: { a: 1 } },
    { a: 1 },
    { a: 1 },
  ],
  ["merge of nothing changes nothing", { a: 1 }, { op: "merge", value: {} }, { a: 1 }, { a: 1 }],
  ["append adds one item", { a: [1] }, { op: "append", path: "a", value: [2] }, { a: [1, [2]] }, [1, [2]]],
  ["prepend adds in front", { a: [1] }, { op: "prepend", path: "a", value: 0 }, { a: [0, 1] }, [0, 1]],
  [
    "append makes the array and its parents",
    {},
    { op: "append", path: "a.b.c", value: 1 },
    { a: { b: { c: [1] } } },
    [1],
  ],
  ["append takes null for nothing", { a: null }, { op: "append", path: "a", value: 1 }, { a: [1] }, [1]],
  [
    "append makes a scalar the first item",
    { a: "x" },
    { op: "append", path: "a", value: 1 },
    { a: ["x", 1] },
    ["x", 1],
  ],
  [
    "prepend makes a scalar the last item",
    { a: false },
    { op: "prepend", path: "a", value: 1 },
    { a: [1, false] },
    [1, false],
  ],
  [
    "append reaches into an array",
    { a: [[1]] },
    { op: "append", path: "a.0", value: 2 },
    { a: [[1, 2]] },
    [1, 2],
  ],
  [
    "append may name the end of an array",
    { a: [1] },
    { op: "append", path: "a.1", value: 2 },
    { a: [1, [2]] },
    [2],
  ],
  [
    "remove takes one item out",
    { a: [1, 2, 3] },
    { op: "remove", path: "a", index: 1 },
    { a: [1, 3] },
    [1, 3],
  ],
  [
    "remove of the last item leaves []",
    { a: [1], b: 2 },
    { op: "remove", path: "a", index: 0 },
    { a: [], b: 2 },
    [],
  ],
  ["remove beyond the end does nothing", { a: [1] }, { op: "remove", path: "a", index: 1 }, { a: [1] }, [1]],
  [
    "remove before the start does nothing",
    { a: [1] },
    { op: "remove", path: "a", index: -1 },
    { a: [1] },
    [1],
  ],
  ["remove from nothing makes nothing", {}, { op: "remove", path: "a.b", index: 0 }, {}, []],
  ["remove from null does nothing", { a: null }, { op: "remove", path: "a", index: 0 }, { a: null }, []],
  ["increment adds", { a: { b: 1.5 } }, { op: "increment", path: "a.b", by: 2 }, { a: { b: 3.5 } }, 3.5],
  [
    "increment by less than nothing subtracts",
    { a: 1 },
    { op: "increment", path: "a", by: -3 },
    { a: -2 },
    -2,
  ],
  [
    "increment starts at 0 and makes the parents",
    {},
    { op: "increment", path: "a.b", by: 1 },
    { a: { b: 1 } },
    1,
  ],
  ["increment takes null for 0", { a: null }, { op: "increment", path: "a", by: 1 }, { a: 1 }, 1],
  ["toggle turns true to false", { a: true }, { op: "toggle", path: "a" }, { a: false }, false],
  ["toggle turns nothing to true", {}, { op: "toggle", path: "a.b" }, { a: { b: true } }, true],
  [
    "setIfNotExists sets what is missing",
    {},
    { op: "setIfNotExists", path: "a.b", value: 1 },
    { a: { b: 1 } },
    1,
  ],
  [
    "setIfNotExists keeps what is there",
    { a: 1 },
    { op: "setIfNotExists", path: "a", value: 2 },
    { a: 1 },
    1,
  ],
  [
    "setIfNotExists keeps a stored null",
    { a: null },
    { op: "setIfNotExists", path: "a", value: 2 },
    { a: null },
    null,
  ],
  [
    "a parent that is null becomes an object",
    { a: null },
    { op: "setIfNotExists", path: "a.b", value: 1 },
    { a: { b: 1 } },
    1,
  ],
  [
    "a document that is null becomes an object",
    null,
    { op: "setIfNotExists", path: "a", value: 1 },
    { a: 1 },
    1,
  ],
  [
    "a missing parent is an object, also for a number",
    {},
    { op: "append", path: "a.0", value: 1 },
    { a: { 0: [1] } },
    [1],
  ],
  [
    "delete takes a member out",
    { a: { b: 1, c: 2 } },
    { op: "delete", path: "a.b" },
    { a: { c: 2 } },
    { a: { c: 2 } },
  ],
  ["delete takes an item out", { a: [1, 2] }, { op: "delete", path: "a.0" }, { a: [2] }, { a: [2] }],
  ["delete of nothing does nothing", { a: 1 }, { op: "delete", path: "b.c" }, { a: 1 }, { a: 1 }],
  [
    "a name of Object.prototype is a name",
    {},
    { op: "append", path: "toString", value: 1 },
    { toString: [1] },
    [1],
  ],
])("%s", (_, document, change, after, value) => {
  expect(foldChange(document, change)).toEqual({ document: after, value });
  expect(() => checkChange(change)).not.toThrow();
});

test.each<[string, Json, EntityChange, Refusal]>([
  [
    "increment of a text",
    { a: "1" },
    { op: "increment", path: "a", by: 1 },
    { code: "ENTITY_TYPE_MISMATCH", path: "a" },
  ],
  [
    "increment beyond all numbers",
    { a: 1e308 },
    { op: "increment", path: "a", by: 1e308 },
    { code: "ENTITY_BAD_VALUE", path: "a" },
  ],
  [
    "toggle of a number",
    { a: { b: 1 } },
    { op: "toggle", path: "a.b" },
    { code: "ENTITY_TYPE_MISMATCH", path: "a.b" },
  ],
  [
    "append to an object",
    { a: {} },
    { op: "append", path: "a", value: 1 },
    { code: "ENTITY_TYPE_MISMATCH", path: "a" },
  ],
  [
    "remove from a text",
    { a: "x" },
    { op: "remove", path: "a", index: 0 },
    { code: "ENTITY_TYPE_MISMATCH", path: "a" },
  ],
  [
    "a scalar as parent",
    { a: { b: 5 } },
    { op: "append", path: "a.b.c", value: 1 },
    { code: "ENTITY_TYPE_MISMATCH", path: "a.b" },
  ],
  ["a scalar as document", 5, { op: "toggle", path: "a" }, { code: "ENTITY_TYPE_MISMATCH", path: "" }],
  [
    "a name in an array",
    { a: [] },
    { op: "toggle", path: "a.first" },
    { code: "ENTITY_TYPE_MISMATCH", path: "a" },
  ],
  [
    "an index beyond the end",
    { a: [1] },
    { op: "toggle", path: "a.2.b" },
    { code: "ENTITY_BAD_PATH", path: "a.2" },
  ],
  [
    "a forbidden key in a path",
    {},
    { op: "toggle", path: "a.__proto__.b" },
    { code: "ENTITY_FORBIDDEN_KEY", path: "a.__proto__.b" },
  ],
  [
    "a forbidden key in a merge that nobody checked",
    {},
    { op: "merge", value: JSON.parse('{"a":{"__proto__":{"admin":true}}}') as Json },
    { code: "ENTITY_FORBIDDEN_KEY", path: "__proto__" },
  ],
])("%s is refused and changes nothing", (_, document, change, expected) => {
  const before = JSON.stringify(document);
  expect(refusal(document, change)).toEqual(expected);
  expect(JSON.stringify(document)).toBe(before);
});

test("an error that is not the entity's own is not swallowed", () => {
  const broken = new Proxy(
    {},
    {
      ownKeys: () => {
        throw new Error("broken");
      },
    },
  ) as JsonObject;
  expect(() => foldChange({}, { op: "merge", value: broken })).toThrow("broken");
});

test.each<[Json, string | undefined, Json | undefined]>([
  [EMPTY_ENTITY, undefined, {}],
  [{ a: { b: [1, { c: 2 }] } }, "a.b.1.c", 2],
  [{ a: [1] }, "a.1", undefined],
  [{ a: [1] }, "a.-1", undefined],
  [{ a: [1] }, "a.00", undefined],
  [{ a: [1] }, "a.length", undefined],
  [{ a: "text" }, "a.length", undefined],
  [{ a: null }, "a.b", undefined],
  [{ a: null }, "a", null],
  [{}, "toString", undefined],
  [{ 0: "zero" }, "0", "zero"],
])("in %j, the path %j reads %j", (document, path, value) => {
  expect(readPath(document, path)).toEqual(value);
});

const deepest = Array.from({ length: ENTITY_DEPTH_MAX }, () => "k").join(".");

test.each([
  ["", "ENTITY_BAD_PATH"],
  [".", "ENTITY_BAD_PATH"],
  ["a..b", "ENTITY_BAD_PATH"],
  ["a.", "ENTITY_BAD_PATH"],
  ["a\0", "ENTITY_BAD_PATH"],
  ["a\ud800", "ENTITY_BAD_PATH"],
  ["x".repeat(ENTITY_PATH_LENGTH_MAX + 1), "ENTITY_BAD_PATH"],
  [`${deepest}.k`, "ENTITY_BAD_PATH"],
  [7 as unknown as string, "ENTITY_BAD_PATH"],
  ["__proto__", "ENTITY_FORBIDDEN_KEY"],
  ["a.prototype", "ENTITY_FORBIDDEN_KEY"],
  ["constructor.a", "ENTITY_FORBIDDEN_KEY"],
])("the path %j is refused wherever one is taken", (path, code) => {
  const changes: readonly EntityChange[] = [
    { op: "append", path, value: 1 },
    { op: "prepend", path, value: 1 },
    { op: "remove", path, index: 0 },
    { op: "increment", path, by: 1 },
    { op: "toggle", path },
    { op: "setIfNotExists", path, value: 1 },
    { op: "delete", path },
  ];
  for (const change of changes) {
    expect(() => checkChange(change)).toThrow(expect.objectContaining({ code, name: "EntityError" }));
    expect(refusal({}, change)?.code).toBe(code);
  }
  expect(() => readPath({}, path)).toThrow(EntityError);
});

/** Objects in objects. */
function nest(levels: number): Json {
  let value: Json = 7;
  for (let level = 0; level < levels; level++) value = { k: value };
  return value;
}

test("the deepest document passes, one level more is refused", () => {
  const fine: readonly EntityChange[] = [
    { op: "set", value: nest(ENTITY_DEPTH_MAX) },
    { op: "merge", value: nest(ENTITY_DEPTH_MAX) },
    { op: "setIfNotExists", path: "a.b", value: nest(ENTITY_DEPTH_MAX - 2) },
    { op: "append", path: "a.b", value: nest(ENTITY_DEPTH_MAX - 3) },
    { op: "toggle", path: deepest },
  ];
  const deeper: readonly EntityChange[] = [
    { op: "set", value: nest(ENTITY_DEPTH_MAX + 1) },
    { op: "merge", value: nest(ENTITY_DEPTH_MAX + 1) },
    { op: "setIfNotExists", path: "a.b", value: nest(ENTITY_DEPTH_MAX - 1) },
    { op: "append", path: "a.b", value: nest(ENTITY_DEPTH_MAX - 2) },
  ];
  for (const change of fine) expect(() => checkChange(change)).not.toThrow();
  for (const change of deeper) {
    expect(() => checkChange(change)).toThrow(expect.objectContaining({ code: "ENTITY_BAD_VALUE" }));
  }
});

test.each<[unknown, string, string]>([
  [{ a: { __proto__: null, constructor: 1 } }, "ENTITY_FORBIDDEN_KEY", "a.constructor"],
  [JSON.parse('[{"__proto__":1}]'), "ENTITY_FORBIDDEN_KEY", "0.__proto__"],
  [{ a: [Number.NaN] }, "ENTITY_BAD_VALUE", "a.0"],
  [{ a: undefined }, "ENTITY_BAD_VALUE", "a"],
  [{ a: 7n }, "ENTITY_BAD_VALUE", "a"],
  [{ a: new Date(0) }, "ENTITY_BAD_VALUE", "a"],
  [{ a: "x\0" }, "ENTITY_BAD_VALUE", "a"],
  [{ a: "cut \ud83d" }, "ENTITY_BAD_VALUE", "a"],
  [{ "\0": 1 }, "ENTITY_BAD_PATH", "\0"],
  [undefined, "ENTITY_BAD_VALUE", ""],
])("the value %o is refused", (value, code, path) => {
  const json = value as Json;
  expect(() => checkChange({ op: "set", value: json })).toThrow(expect.objectContaining({ code, path }));
  const at = path === "" ? "list" : `list.${path}`;
  expect(() => checkChange({ op: "append", path: "list", value: json })).toThrow(
    expect.objectContaining({ code, path: at }),
  );
});

test.each<[EntityChange]>([
  [{ op: "merge", value: [1] }],
  [{ op: "merge", value: "text" }],
  [{ op: "merge", value: null }],
  [{ op: "remove", path: "a", index: 0.5 }],
  [{ op: "increment", path: "a", by: Number.NaN }],
  [{ op: "increment", path: "a", by: "1" as unknown as number }],
])("%j is refused", (change) => {
  expect(() => checkChange(change)).toThrow(expect.objectContaining({ code: "ENTITY_BAD_VALUE" }));
});

const key = fc.constantFrom("a", "b", "c", "list", "0", "1");
const path = fc.array(key, { minLength: 1, maxLength: 3 }).map((keys) => keys.join("."));
const json = fc.letrec<{ value: Json; record: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.string(),
    fc.array(tie("value"), { maxLength: 3 }),
    tie("record"),
  ),
  record: fc.dictionary(key, tie("value"), { maxKeys: 4 }),
}));
const change: fc.Arbitrary<EntityChange> = fc.oneof(
  fc.record({ op: fc.constant("set" as const), value: json.record }),
  fc.record({ op: fc.constant("merge" as const), value: json.record }),
  fc.record({ op: fc.constantFrom("append" as const, "prepend" as const), path, value: json.value }),
  fc.record({ op: fc.constant("remove" as const), path, index: fc.integer({ min: -1, max: 3 }) }),
  fc.record({ op: fc.constant("increment" as const), path, by: fc.integer() }),
  fc.record({ op: fc.constantFrom("toggle" as const, "delete" as const), path }),
  fc.record({ op: fc.constant("setIfNotExists" as const), path, value: json.value }),
);

function freeze(value: Json): Json {
  if (typeof value === "object" && value !== null) Object.values(value).forEach((member) => freeze(member));
  return Object.freeze(value);
}

test("a log folds to the same document again, through JSON too, and changes none of its inputs", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (log) => {
      let live: Json = EMPTY_ENTITY;
      let replayed: Json = {};
      for (const one of log) {
        checkChange(one);
        const recorded = JSON.parse(JSON.stringify(one)) as EntityChange;
        // In strict mode a write to a frozen object throws.
        if ("value" in one) freeze(one.value);
        const folded = foldChange(freeze(live), one);
        const again = foldChange(replayed, recorded);
        // As text: the order of keys is the same, too.
        expect(JSON.stringify(again)).toBe(JSON.stringify(folded));
        live = folded.document;
        replayed = JSON.parse(JSON.stringify(again.document)) as Json;
      }
    }),
    { numRuns: 500 },
  );
});

test("what an operation returns is what a read finds", () => {
  fc.assert(
    fc.property(json.record, change, (document, one) => {
      const folded = foldChange(document, one);
      if ("error" in folded) return;
      const found = readPath(folded.document, "path" in one && one.op !== "delete" ? one.path : undefined);
      expect(folded.value).toEqual(one.op === "remove" ? (found ?? []) : found);
    }),
  );
});

/** The merge of RFC 7396, but for null, which it stores. */
function mergePatch(target: Json | undefined, patch: Json): Json {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const isMergeable = typeof target === "object" && target !== null && !Array.isArray(target);
  const merged = new Map(Object.entries(isMergeable ? (target as JsonObject) : {}));
  for (const [name, value] of Object.entries(patch as JsonObject))
    merged.set(name, mergePatch(merged.get(name), value));
  return Object.fromEntries(merged);
}

test("merge is the JSON merge patch, with null stored", () => {
  fc.assert(
    fc.property(json.value, json.record, (document, value) => {
      expect(foldChange(document, { op: "merge", value })).toMatchObject({
        value: mergePatch(document, value),
      });
    }),
  );
});

test("what an operation does not touch is shared, not copied", () => {
  const document = { list: [{ a: 1 }, { a: 2 }], other: { b: [1] } };
  const folded = foldChange(document, { op: "append", path: "list", value: { a: 3 } });
  const after = folded.document as typeof document;
  expect(after.other).toBe(document.other);
  expect(after.list[0]).toBe(document.list[0]);
  expect(foldChange(document, { op: "delete", path: "gone" }).document).toBe(document);
  expect(foldChange(document, { op: "setIfNotExists", path: "list", value: 1 }).document).toBe(document);
});

test("a clone is equal and shares nothing", () => {
  fc.assert(
    fc.property(json.value, (value) => {
      const frozen = freeze(value);
      const clone = cloneJson(frozen);
      expect(clone).toEqual(frozen);
      expect(JSON.stringify(clone)).toBe(JSON.stringify(frozen));
      if (typeof clone === "object" && clone !== null) {
        expect(clone).not.toBe(frozen);
        for (const [name, member] of Object.entries(clone)) {
          if (typeof member === "object" && member !== null)
            expect(member).not.toBe(Reflect.get(frozen as object, name));
        }
      }
    }),
  );
});

test("a clone keeps an own key __proto__ as a key", () => {
  const clone = cloneJson(JSON.parse('{"__proto__":{"admin":true},"a":1}') as JsonObject);
  expect(JSON.stringify(clone)).toBe('{"__proto__":{"admin":true},"a":1}');
  expect(Object.getPrototypeOf(clone)).toBe(Object.prototype);
});
