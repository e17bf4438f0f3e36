/**
 * Results that nobody can have any more.
 */
import { WorkflowNotFoundError } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";

test("who waits for a run that is removed before it hears of its end is told so", async () => {
  const store = await setup();
  const handle = await store.client.workflow.start({ taskQueue: "nobody", workflowName: "gone", args: [] });
  const result = handle.result();
  await Promise.all([
    expect(result).rejects.toBeInstanceOf(WorkflowNotFoundError),
    // What a short retention does while the client's connection is away.
    eventually(
      "the run is there",
      async () => (await store.query("delete from runs returning run_id")).length,
    ),
  ]);
});

test("who waits for a result learns when its store is gone", async () => {
  const store = await setup();
  const handle = await store.client.workflow.start({ taskQueue: "nobody", workflowName: "gone", args: [] });
  const result = handle.result();
  await Promise.all([
    expect(result).rejects.toMatchObject({ code: "SCHEMA_MISSING" }),
    store.query(`drop schema ${store.namespace} cascade`),
  ]);
});

test("the channels of clients that have gone do not pile up on a run that stays open", async () => {
  const store = await setup();
  const handle = await store.client.workflow.start({ taskQueue: "nobody", workflowName: "open", args: [] });
  for (let client = 1; client <= 120; client += 1)
    await store.query("select watch_runs(array[$1::uuid], $2)", [handle.runId, `client ${client}`]);
  const [row] = await store.query<{ watchers: string[] }>("select watchers from runs");
  expect(row?.watchers).toHaveLength(100);
  expect(row?.watchers.at(-1)).toBe("client 120");
});
