/**
 * What a step costs in statements: HotMesh 0.9.1 sends 191 statements in 25 transactions for each further activity.
 */
import { MemFlow } from "@memflow/sdk";
import pg from "pg";
import { expect, test, vi } from "vitest";
import { setup } from "../setup.ts";
import { QUEUE } from "./serving.ts";

const STEP_COUNT = 100;
/** One flush for each step, and as many again for claims, looks and beats that fall into the time. */
const STATEMENTS_PER_STEP_MAX = 2;

const { next } = MemFlow.workflow.proxyActivities({
  activities: { next: (value: number): number => value + 1 },
});

async function steps(): Promise<number> {
  let value = 0;
  while (value < STEP_COUNT) value = await next(value);
  return value;
}

test("a step of a run alone costs one statement, and hardly more with all that the worker does beside it", async () => {
  const { client, worker } = await setup();
  await worker({ taskQueue: QUEUE, workflow: steps });
  // The first run opens the connections.
  await client.workflow.execute({ taskQueue: QUEUE, workflowName: "steps" });
  const sent = vi.spyOn(pg.Client.prototype, "query");
  expect(await client.workflow.execute({ taskQueue: QUEUE, workflowName: "steps" })).toBe(STEP_COUNT);
  const count = sent.mock.calls.length;
  sent.mockRestore();
  expect(count).toBeGreaterThanOrEqual(STEP_COUNT / 2);
  expect(count).toBeLessThanOrEqual(STEP_COUNT * STATEMENTS_PER_STEP_MAX);
});
