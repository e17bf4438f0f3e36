/** What the database is told. */
import { API_VERSION, workflowSchema } from "@memflow/crds";
import type { Workflow } from "@memflow/crds";
import { expect, test } from "vitest";
import { definitionRow, elderOf } from "./definition.ts";

function workflow(spec: object, metadata: object = {}): Workflow {
  return workflowSchema.parse({
    apiVersion: API_VERSION,
    kind: "Workflow",
    metadata: { name: "order", namespace: "shop", ...metadata },
    spec: { taskQueueRef: { name: "mail" }, ...spec },
  });
}

test("a plain Workflow is its name and nothing more", () => {
  expect(definitionRow(workflow({}), "mail")).toEqual({
    taskQueue: "mail",
    workflowName: "order",
    resource: "shop/order",
    suspended: false,
    definition: {},
  });
});

test("durations become milliseconds, what is left out stays out", () => {
  const row = definitionRow(
    workflow({
      workflowName: "placeOrder",
      suspend: true,
      input: { schema: { type: "object" } },
      timeouts: { run: "90s" },
      retry: { maximumAttempts: 3 },
      retention: { failed: "2h" },
      searchAttributes: { customer: "Keyword" },
      defaultArgs: [{ a: 1 }],
    }),
    "mail",
  );
  expect(row).toEqual({
    taskQueue: "mail",
    workflowName: "placeOrder",
    resource: "shop/order",
    suspended: true,
    definition: {
      input: { type: "object" },
      timeouts: { runMs: 90_000 },
      retry: {
        maximumAttempts: 3,
        backoffCoefficient: 2,
        initialIntervalMs: 1_000,
        maximumIntervalMs: 120_000,
      },
      retention: { failedMs: 7_200_000 },
      searchAttributes: { customer: "Keyword" },
      defaultArgs: [{ a: 1 }],
    },
  });
});

test("of several that want a name the oldest has it; of two of one second always the same", () => {
  const older = workflow({}, { name: "b", creationTimestamp: "2026-01-01T00:00:00Z", uid: "2" });
  const newer = workflow({}, { name: "a", creationTimestamp: "2026-01-02T00:00:00Z", uid: "1" });
  const twin = workflow({}, { name: "c", creationTimestamp: "2026-01-01T00:00:00Z", uid: "3" });
  expect(elderOf([newer, twin, older])).toBe(older);
  expect(elderOf([older, twin, newer])).toBe(older);
});
