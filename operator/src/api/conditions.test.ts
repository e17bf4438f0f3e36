/** When a condition began to hold, and whether it still speaks of the spec. */
import { CONDITION_MESSAGE_MAX } from "@memflow/crds";
import { expect, test } from "vitest";
import { conditionsOf, holds } from "./conditions.ts";

const READY = { type: "Ready", status: "True", reason: "Serving", message: "all is well" } as const;
const THEN = "2026-01-01T00:00:00Z";
const NOW = "2026-01-02T00:00:00Z";

test("the time of a condition moves with its status, not with its reason", () => {
  const [first] = conditionsOf([READY], undefined, { generation: 1, now: THEN });
  const before = first === undefined ? [] : [first];
  const reworded = conditionsOf([{ ...READY, reason: "ScaledToZero" }], before, { generation: 2, now: NOW });
  expect(reworded[0]).toMatchObject({
    lastTransitionTime: THEN,
    reason: "ScaledToZero",
    observedGeneration: 2,
  });
  const turned = conditionsOf([{ ...READY, status: "False" }], before, { generation: 2, now: NOW });
  expect(turned[0]?.lastTransitionTime).toBe(NOW);
});

test("a message is cut to what the schema takes", () => {
  const [long] = conditionsOf([{ ...READY, message: "x".repeat(9_999) }], undefined, {
    generation: 1,
    now: NOW,
  });
  expect(long?.message).toHaveLength(CONDITION_MESSAGE_MAX);
});

test("a condition of an older generation does not hold", () => {
  const conditions = conditionsOf([READY], undefined, { generation: 1, now: NOW });
  expect(holds({ metadata: { generation: 1 }, status: { conditions } }, "Ready")).toBe(true);
  expect(holds({ metadata: { generation: 2 }, status: { conditions } }, "Ready")).toBe(false);
  expect(holds({ metadata: { generation: 1 } }, "Ready")).toBe(false);
});
