/** Conditions on entities: what is understood, and what is refused by name. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { CONDITIONS_MAX, CONDITION_VALUES_MAX, parseCondition, parseConditions } from "./entity-condition.ts";
import { EntityError } from "./errors.ts";

test("a field equals a value, or compares by operators that must all hold", () => {
  expect(parseConditions({ status: "open", "a.b": { $gte: 3, $lt: "10" }, gone: null })).toEqual([
    { path: ["status"], operator: "$eq", value: "open" },
    { path: ["a", "b"], operator: "$gte", value: 3 },
    { path: ["a", "b"], operator: "$lt", value: "10" },
    { path: ["gone"], operator: "$eq", value: null },
  ]);
});

test("an object without operators is a value", () => {
  expect(parseConditions({ a: { b: [1, { c: true }] }, e: {} })).toEqual([
    { path: ["a"], operator: "$eq", value: { b: [1, { c: true }] } },
    { path: ["e"], operator: "$eq", value: {} },
  ]);
});

test.each([
  ["=", "$eq", 1],
  ["!=", "$ne", 1],
  [">", "$gt", 1],
  [">=", "$gte", 1],
  ["<", "$lt", 1],
  ["<=", "$lte", 1],
  ["in", "$in", [1]],
  ["LIKE", "$like", "a%"],
  ["$like", "$like", "\\\\"],
])("%s is %s", (written, operator, value) => {
  expect(parseCondition("a", written, value)).toEqual({ path: ["a"], operator, value });
});

test.each<[string, () => unknown, string]>([
  ["conditions that are no object", () => parseConditions([]), "ENTITY_BAD_CONDITION"],
  ["conditions of a class", () => parseConditions(new Date()), "ENTITY_BAD_CONDITION"],
  ["no conditions", () => parseConditions(null), "ENTITY_BAD_CONDITION"],
  [
    "too many conditions",
    () =>
      parseConditions(
        Object.fromEntries(Array.from({ length: CONDITIONS_MAX + 1 }, (_, index) => [`f${index}`, 1])),
      ),
    "ENTITY_BAD_CONDITION",
  ],
  ["an unknown operator", () => parseConditions({ a: { $eq: 1, b: 2 } }), "ENTITY_BAD_CONDITION"],
  ["an operator of Object.prototype", () => parseCondition("a", "toString", 1), "ENTITY_BAD_CONDITION"],
  ["an operator that is no text", () => parseCondition("a", 7, 1), "ENTITY_BAD_CONDITION"],
  ["an order of booleans", () => parseCondition("a", ">", true), "ENTITY_BAD_CONDITION"],
  ["an order of NaN", () => parseCondition("a", ">", Number.NaN), "ENTITY_BAD_CONDITION"],
  ["a list that is none", () => parseCondition("a", "IN", "x"), "ENTITY_BAD_CONDITION"],
  [
    "a list that is too long",
    () => parseCondition("a", "IN", Array(CONDITION_VALUES_MAX + 1).fill(1)),
    "ENTITY_BAD_CONDITION",
  ],
  ["a pattern that is no text", () => parseCondition("a", "LIKE", 7), "ENTITY_BAD_CONDITION"],
  ["a pattern that ends in the middle", () => parseCondition("a", "LIKE", "x\\\\\\"), "ENTITY_BAD_CONDITION"],
  ["a pattern that Postgres can't hold", () => parseCondition("a", "LIKE", "\0"), "ENTITY_BAD_CONDITION"],
  ["nothing to compare with", () => parseConditions({ a: undefined }), "ENTITY_BAD_CONDITION"],
  ["a date", () => parseConditions({ a: new Date(0) }), "ENTITY_BAD_CONDITION"],
  ["an endless number inside", () => parseConditions({ a: [{ b: Infinity }] }), "ENTITY_BAD_CONDITION"],
  [
    "a forbidden key inside",
    () => parseConditions({ a: JSON.parse('{"__proto__":1}') as unknown }),
    "ENTITY_FORBIDDEN_KEY",
  ],
  ["an empty field", () => parseConditions({ "": 1 }), "ENTITY_BAD_PATH"],
  ["a forbidden field", () => parseConditions({ "a.constructor": 1 }), "ENTITY_FORBIDDEN_KEY"],
])("%s: refused", (_what, parse, code) => {
  expect(parse).toThrow(expect.objectContaining({ name: "EntityError", code }) as Error);
});

test("what nests too deeply is refused, not overflowed", () => {
  let deep: unknown = 1;
  for (let level = 0; level < 10_000; level += 1) deep = [deep];
  expect(() => parseConditions({ a: deep })).toThrow(EntityError);
});

test("anything at all is parsed, or refused by an EntityError", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.anything(), fc.anything(), (field, operator, value) => {
      try {
        parseCondition(field, operator, value);
        parseConditions({ [field]: value });
      } catch (error) {
        expect(error).toBeInstanceOf(EntityError);
      }
    }),
  );
});
