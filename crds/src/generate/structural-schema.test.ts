/** What zod says becomes what a cluster takes, or an error. */
import { expect, test } from "vitest";
import { z } from "zod";
import { withRules } from "../rules.ts";
import { structuralSchema } from "./structural-schema.ts";

test("the default of a map has the defaults of all fields inside it", () => {
  const inner = z.strictObject({ a: z.int().min(0).max(9).default(1), b: z.string().max(3).optional() });
  const outer = z.strictObject({ inner: inner.prefault({}), c: z.boolean().default(true) });
  const schema = structuralSchema(z.strictObject({ outer: outer.prefault({ c: false }) }));
  expect(schema.properties?.["outer"]?.default).toEqual({ inner: { a: 1 }, c: false });
  expect(schema.properties?.["outer"]?.properties?.["inner"]?.default).toEqual({ a: 1 });
});

test("keywords that a cluster forbids are left out, and what they said is said otherwise", () => {
  const loose = z.looseObject({ a: z.boolean().optional() });
  const mixed = z
    .union([z.int(), z.string().max(8)])
    .meta({ "x-kubernetes-int-or-string": true, maxLength: 8 });
  expect(structuralSchema(z.strictObject({ loose, mixed }))).toEqual({
    type: "object",
    required: ["loose", "mixed"],
    properties: {
      loose: {
        type: "object",
        properties: { a: { type: "boolean" } },
        "x-kubernetes-preserve-unknown-fields": true,
      },
      mixed: {
        anyOf: [{ type: "integer" }, { type: "string" }],
        maxLength: 8,
        "x-kubernetes-int-or-string": true,
      },
    },
  });
});

test("a rule keeps its text, its message and the path of its field", () => {
  const schema = withRules(z.strictObject({ a: z.boolean() }), [
    { cel: "self.a", message: "must be true", field: ["a"], holds: (self) => self.a },
  ]);
  expect(structuralSchema(schema)["x-kubernetes-validations"]).toEqual([
    { rule: "self.a", message: "must be true", fieldPath: ".a" },
  ]);
});

test("a form without a counterpart is an error that names the field", () => {
  const union = z.union([z.strictObject({ a: z.boolean() }), z.strictObject({ b: z.boolean() })]);
  expect(() => structuralSchema(z.strictObject({ choice: union }))).toThrow(/\$\.choice: .* no anyOf/u);
  expect(() => structuralSchema(z.strictObject({ word: z.literal("a") }))).not.toThrow();
});
