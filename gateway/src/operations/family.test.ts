/** A run's family: the run first, what it started after it, and nothing that the caller may not get. */
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { NAMESPACE, startTestGateway } from "../testing/test-gateway.ts";
import type { TestGateway } from "../testing/test-gateway.ts";

async function ship(): Promise<string> {
  return "shipped";
}

async function order(): Promise<string> {
  return MemFlow.workflow.execChild<string>({ workflowName: "ship", taskQueue: "queue", args: [] });
}

async function setup(): Promise<{ readonly gateway: TestGateway; readonly runId: string }> {
  const gateway = await startTestGateway({
    workflows: [
      { name: "order", taskQueue: "queue" },
      { name: "ship", taskQueue: "queue" },
    ],
    rights: { clerk: ["get workflows/runs order"] },
  });
  await gateway.work({ order, ship });
  const { body } = await gateway.as("root").call("executeRun", {
    path: { namespace: NAMESPACE },
    query: { wait: "60s" },
    body: { workflow: "order" },
  });
  return { gateway, runId: body.runId };
}

test("a child stands behind its parent and names it", async () => {
  const { gateway, runId } = await setup();
  const place = { path: { namespace: NAMESPACE, runId } };
  const { body } = await gateway.as("root").call("getFamily", place);
  expect(body.runs).toMatchObject([
    { runId, workflow: "order", parentRunId: null },
    { workflow: "ship", parentRunId: runId, status: "completed" },
  ]);
});

test("a child of a Workflow that the caller may not get is left out", async () => {
  const { gateway, runId } = await setup();
  const { body } = await gateway.as("clerk").call("getFamily", { path: { namespace: NAMESPACE, runId } });
  expect(body.runs.map(({ workflow }) => workflow)).toEqual(["order"]);
});
