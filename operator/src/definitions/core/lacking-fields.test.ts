/** Which definitions are too old. */
import { customResourceDefinition, KINDS } from "@memflow/crds";
import { expect, test } from "vitest";
import { lackingFields } from "./lacking-fields.ts";
import type { FieldSchema } from "./lacking-fields.ts";

const OURS: FieldSchema = {
  properties: {
    mode: { enum: ["Operator", "Manual"] },
    steps: { items: { properties: { percent: {} } } },
    labels: { additionalProperties: { properties: { text: {} } } },
  },
};

test.each(KINDS)("the definition of $kind lacks nothing of itself", (kind) => {
  const schema = customResourceDefinition(kind).spec.versions[0].schema.openAPIV3Schema;
  expect(lackingFields(schema, schema)).toEqual([]);
});

test("fields, items, entries and values that lack are named by their paths", () => {
  const installed: FieldSchema = {
    properties: {
      mode: { enum: ["Operator"] },
      steps: { items: { properties: {} } },
      labels: { additionalProperties: { properties: {} } },
    },
  };
  expect(lackingFields(installed, OURS)).toEqual(['mode "Manual"', "steps[].percent", "labels{}.text"]);
});

test("a field that lacks is named once, without what is below it", () => {
  expect(lackingFields({ properties: {} }, OURS)).toEqual(["mode", "steps", "labels"]);
  expect(lackingFields({ properties: { ...OURS.properties, steps: {} } }, OURS)).toEqual(["steps[]"]);
});

test("a definition that knows more lacks nothing", () => {
  const newer: FieldSchema = {
    properties: { ...OURS.properties, mode: { enum: ["Operator", "Manual", "New"] }, added: {} },
  };
  expect(lackingFields(newer, OURS)).toEqual([]);
  // Values that are not limited at all include ours, and so do entries of any form.
  expect(lackingFields({ properties: { ...OURS.properties, mode: {} } }, OURS)).toEqual([]);
  expect(
    lackingFields({ properties: { ...OURS.properties, labels: { additionalProperties: true } } }, OURS),
  ).toEqual([]);
});

test("a definition without any schema lacks everything", () => {
  expect(lackingFields(undefined, OURS)).toEqual(["(everything)"]);
});
