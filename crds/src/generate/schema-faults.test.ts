/** A field that a cluster would refuse, or that nothing bounds, is named before it is applied. */
import { expect, test } from "vitest";
import { z } from "zod";
import { findSchemaFaults } from "./schema-faults.ts";
import { structuralSchema } from "./structural-schema.ts";

function faultsOf(field: z.ZodType, open: readonly string[] = []): string[] {
  const schema = structuralSchema(z.strictObject({ field: field.describe("A field.") }).describe("A kind."));
  return findSchemaFaults(schema, "Kind", new Set(open));
}

test("an unbounded text, list, map or number is refused by its path", () => {
  expect(faultsOf(z.string())).toEqual(["Kind.field: has no maxLength"]);
  expect(faultsOf(z.array(z.string().max(3)))).toEqual(["Kind.field: has no maxItems"]);
  expect(faultsOf(z.record(z.string(), z.string().max(3)))).toEqual(["Kind.field: has no maxProperties"]);
  expect(faultsOf(z.number().min(0))).toEqual(["Kind.field: has no minimum or no maximum"]);
});

test("what is inside lists, maps and objects is looked at too", () => {
  expect(faultsOf(z.array(z.array(z.string())).max(2))).toEqual([
    "Kind.field[]: has no maxItems",
    "Kind.field[][]: has no maxLength",
  ]);
  expect(faultsOf(z.record(z.string(), z.string()).meta({ maxProperties: 2 }))).toEqual([
    "Kind.field{}: has no maxLength",
  ]);
  expect(faultsOf(z.strictObject({ inner: z.string().max(3) }))).toEqual([
    "Kind.field.inner: has no description",
  ]);
});

test("bounded fields, words of a list, times and switches have no fault", () => {
  const fields = [
    z.string().max(3),
    z.enum(["A", "B"]),
    z.boolean(),
    z.int().min(0).max(3),
    z.array(z.boolean()).max(1),
  ];
  for (const field of fields) expect(faultsOf(field)).toEqual([]);
});

test("a value of any form has to be allowed by its path", () => {
  const open = z.unknown().meta({ "x-kubernetes-preserve-unknown-fields": true });
  expect(faultsOf(open)).toEqual([
    "Kind.field: keeps unknown fields, which nothing bounds; describe its fields",
  ]);
  expect(faultsOf(open, ["Kind.field"])).toEqual([]);
  expect(faultsOf(z.unknown())).toEqual(["Kind.field: has no type"]);
});

test("the key of a list's entries must be required", () => {
  const list = z.array(z.strictObject({ name: z.string().max(3).optional().describe("Name.") })).max(3);
  const keyed = list.meta({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"] });
  expect(faultsOf(keyed)).toEqual(["Kind.field: has the key name, which is not required"]);
});
