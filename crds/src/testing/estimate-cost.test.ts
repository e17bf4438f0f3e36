/** No definition is refused for what its rules cost, with room to spare. */
import { expect, test } from "vitest";
import { customResourceDefinition } from "../generate/custom-resource-definition.ts";
import type { StructuralSchema } from "../generate/structural-schema.ts";
import { KINDS } from "../kinds.ts";
import { DEFINITION_COST_MAX, estimateCosts, RULE_COST_MAX } from "./estimate-cost.ts";

/** Other versions of Kubernetes price a little differently. */
const ROOM = 3;

function costs(rule: string, schema: StructuralSchema): number[] {
  return estimateCosts({ ...schema, "x-kubernetes-validations": [{ rule, message: "must hold" }] }).map(
    ({ cost }) => cost,
  );
}

test.each(KINDS)(
  "every rule of $kind, and all of them, cost less than an API server allows",
  (definition) => {
    const [version] = customResourceDefinition(definition).spec.versions;
    const all = estimateCosts(version.schema.openAPIV3Schema);
    expect(all.length).toBeGreaterThan(5);
    expect(all.filter(({ cost }) => cost * ROOM > RULE_COST_MAX)).toEqual([]);
    expect(all.reduce((sum, { cost }) => sum + cost, 0) * ROOM).toBeLessThan(DEFINITION_COST_MAX);
  },
);

// The figures are those that Kubernetes 1.34 gives for the same rules and bounds.
test("the estimate is what an API server charges for our commonest rules", () => {
  const label = "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')";
  expect(costs(label, { type: "string", maxLength: 63 })).toEqual([209]);
  const bounds = { a: { type: "integer" }, b: { type: "integer" } } as const;
  expect(costs("self.a <= self.b", { type: "object", properties: bounds })).toEqual([5]);
});

test("a rule inside lists costs as often as it can run, and without bounds too much", () => {
  const text: StructuralSchema = {
    type: "string",
    maxLength: 63,
    "x-kubernetes-validations": [
      { rule: "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')", message: "must hold" },
    ],
  };
  expect(estimateCosts({ type: "array", maxItems: 10, items: text }).map(({ cost }) => cost)).toEqual([
    2_090,
  ]);
  const [unbounded] = estimateCosts({ type: "array", items: text });
  expect(unbounded?.cost).toBeGreaterThan(RULE_COST_MAX);
});

test("an expression that the estimate does not know is an error, not free", () => {
  expect(() => costs("{'a': 1}.size() == 1", { type: "object" })).toThrow("structExpr");
});
