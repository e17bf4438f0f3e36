/** Stores that are named: any Postgres, without a cluster. */
import { newId } from "@memflow/engine";
import { resolveConnection } from "@memflow/engine";
import { makeScratchStore } from "@memflow/engine/testing/scratch-store";
import { expect, onTestFinished, test } from "vitest";
import { UnavailableError } from "../auth/index.ts";
import { StoreNotFoundError } from "./index.ts";
import { StaticStores } from "./static-stores.ts";

const log = (): void => {};

test("a Store is reached by its connection, with the definitions that its database has", async () => {
  const { place, sql } = await makeScratchStore();
  const definition = { input: { type: "object" }, timeouts: { executionMs: 1_000 }, defaultArgs: [1] };
  const rows = [
    { taskQueue: "queue", workflowName: "work", resource: "default/job", suspended: true, definition },
  ];
  await sql("select :schema.set_workflow_definitions($1, 1)", [JSON.stringify(rows)]);
  const stores = new StaticStores([{ name: "dev", schema: place.schema, source: place.source }], log);
  onTestFinished(() => stores.close());
  const entry = await stores.resolve("default");
  const runId = newId();
  const request = {
    runId,
    workflowId: "a",
    workflowName: "work",
    taskQueue: "queue",
    input: null,
    options: null,
  };
  expect(await entry.client.start({ ...request, delayMs: 0, retentionSeconds: null })).toBe(runId);
  expect(entry.workflowOf("work")).toEqual({
    name: "job",
    workflowName: "work",
    taskQueue: "queue",
    suspended: true,
    inputSchema: { type: "object" },
    outputSchema: undefined,
    timeouts: { executionMs: 1_000 },
    defaultArgs: [1],
  });
  expect(entry.queues()).toEqual([{ name: "queue", taskQueue: "queue" }]);
  await expect(stores.resolve("other")).rejects.toBeInstanceOf(StoreNotFoundError);
});

test("a Store whose database is away is not ready, and is tried anew by the next who asks", async () => {
  const source = resolveConnection("postgres://nobody:secret@127.0.0.1:1/none");
  const stores = new StaticStores([{ name: "dev", schema: "memflow", source }], log);
  onTestFinished(() => stores.close());
  for (let time = 0; time < 2; time += 1) {
    const error: unknown = await stores.resolve("default").catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(UnavailableError);
    expect((error as Error).message).toBe('store "dev" is not ready: its database can\'t be used');
  }
  expect(await stores.list("default")).toEqual([]);
});
