/** An input is good or its faults are named before a run is started. */
import { expect, test } from "vitest";
import { findInputFaults } from "./check-input.ts";
import { parseManifests } from "./parse-manifests.ts";
import type { Workflow } from "./kinds/workflow.ts";

function workflowWith(schema: string): Workflow {
  const text = `
apiVersion: memflow.io/v1alpha1
kind: Store
metadata: {name: main}
spec: {connection: {secretRef: {name: s}}}
---
apiVersion: memflow.io/v1alpha1
kind: TaskQueue
metadata: {name: q}
spec: {storeRef: {name: main}, workers: {source: {image: {ref: i}}}}
---
apiVersion: memflow.io/v1alpha1
kind: Workflow
metadata: {name: w}
spec:
  taskQueueRef: {name: q}
${schema}`;
  const [placed] = parseManifests([{ path: "w.yaml", text }]).workflows;
  if (placed === undefined) throw new Error("no workflow was read");
  return placed.resource;
}

const SCHEMA = `  input:
    schema:
      type: object
      required: [question]
      additionalProperties: false
      properties:
        question: {type: string, minLength: 1}
        findingsMax: {type: integer, minimum: 1, default: 12}
`;

test("a good input has no fault, and a Workflow without a schema takes anything", () => {
  expect(findInputFaults(workflowWith(SCHEMA), { question: "why" })).toEqual([]);
  expect(findInputFaults(workflowWith(""), 42)).toEqual([]);
});

test("every fault of an input is named", () => {
  expect(findInputFaults(workflowWith(SCHEMA), { findingsMax: 0, depth: 1 })).toEqual([
    "question: is missing",
    "findingsMax: got 0, must be >= 1",
    "depth: unknown field",
  ]);
  expect(findInputFaults(workflowWith(SCHEMA), "why")).toEqual(['got "why", must be a map']);
});

test("a schema that can't be read is a fault of the manifest, with its line", () => {
  expect(() => workflowWith("  input:\n    schema: {type: sandwich}\n")).toThrow(
    /w\.yaml:18: spec\.input\.schema: /u,
  );
});
