/**
 * Search data: flat texts that a run shares with its hooks, seeded by its start, the same on replay.
 */
import { resolveConnection } from "@memflow/engine";
import { checkStore } from "@memflow/engine/testing";
import {
  DuplicateJobError,
  EntityError,
  MemFlow,
  OptionError,
  Search,
  WorkflowNotFoundError,
} from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";
import type { TestStore } from "./setup.ts";

const QUEUE = "search";

async function problemsOf(store: TestStore): Promise<readonly string[]> {
  return await checkStore({ source: resolveConnection(store.url), schema: store.namespace });
}

test("each operation gives what MemFlow says it gives, first and from scratch", async () => {
  const store = await setup();
  const operations = async (): Promise<unknown[]> => {
    const search = await MemFlow.workflow.search();
    return [
      await search.get("nothing"),
      await search.set({ text: "x", number: 7, flag: true }),
      await search.set("text", "x", "number", "8"),
      await search.get("number"),
      await search.mget("text", "nothing", "flag"),
      await search.incr("counter", 10),
      await search.incr("counter", 101),
      await search.mult("product", 60),
      await search.mult("product", 2),
      await search.del("text", "nothing"),
      await MemFlow.workflow.enrich({ rich: "yes" }),
      await search.mget("counter", "product", "rich", "text"),
    ];
  };
  await store.worker({ taskQueue: QUEUE, workflow: { operations }, options: { paranoid: true } });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "operations" });
  expect(await handle.result()).toEqual([
    "",
    3,
    1,
    "8",
    ["x", "", "true"],
    10,
    111,
    60,
    120,
    1,
    true,
    ["111", "120", "yes", ""],
  ]);
  expect(await Search.findAllUserData(handle.workflowId, store.client)).toEqual({
    number: "8",
    flag: "true",
    counter: "111",
    product: "120",
    rich: "yes",
  });
  expect(await problemsOf(store)).toEqual([]);
});

test("a start's search data is there at once, before any worker, and the run goes on from it", async () => {
  const store = await setup();
  const counts = async (): Promise<unknown> => {
    const search = await MemFlow.workflow.search();
    return [await search.get("from"), await search.incr("visits", 1)];
  };
  const handle = await store.client.workflow.start({
    taskQueue: QUEUE,
    workflowName: "counts",
    search: { data: { from: "the start", visits: 41 } },
  });
  expect(await Search.findAllUserData(handle.workflowId, store.client)).toEqual({
    from: "the start",
    visits: "41",
  });
  await store.worker({ taskQueue: QUEUE, workflow: { counts }, options: { paranoid: true } });
  expect(await handle.result()).toEqual(["the start", 42]);
  expect(await Search.findAllUserData(handle.workflowId, store.client)).toEqual({
    from: "the start",
    visits: "42",
  });
  expect(await problemsOf(store)).toEqual([]);
});

test("a start that is refused leaves the search data of the run that has the id", async () => {
  const store = await setup();
  const start = (visits: number) =>
    store.client.workflow.start({
      taskQueue: QUEUE,
      workflowName: "nobody",
      workflowId: "one",
      search: { data: { visits } },
    });
  await start(1);
  await expect(start(2)).rejects.toBeInstanceOf(DuplicateJobError);
  expect(await Search.findAllUserData("one", store.client)).toEqual({ visits: "1" });
  expect(await store.query("select entity_id from entities")).toHaveLength(1);
});

test("hooks on several engines change the same search data and lose nothing; a child has its own", async () => {
  const store = await setup();
  const parent = async (): Promise<unknown> => {
    const search = await MemFlow.workflow.search();
    await search.set({ total: 0 });
    const hooks = Array.from({ length: 5 }, (_, who) =>
      MemFlow.workflow.execHook({
        taskQueue: QUEUE,
        workflowName: "adds",
        args: [10],
        search: { data: { [`hook-${who}`]: "seeded" } },
      }),
    );
    await MemFlow.workflow.hook({
      taskQueue: QUEUE,
      workflowName: "adds",
      args: [0],
      search: { data: { free: 1 } },
    });
    const child = MemFlow.workflow.execChild({
      taskQueue: QUEUE,
      workflowName: "child",
      args: [],
      search: { data: { own: "child's" } },
    });
    await Promise.all(hooks);
    return [await child, await search.mget("total", "hook-0", "hook-4", "free", "own")];
  };
  const adds = async (times: number): Promise<void> => {
    const search = await MemFlow.workflow.search();
    for (let time = 0; time < times; time += 1) await search.incr("total", 1);
  };
  const child = async (): Promise<unknown> => {
    const search = await MemFlow.workflow.search();
    return await search.mget("own", "total");
  };
  const workflows = { parent, adds, child };
  await Promise.all(
    [1, 2].map(() => store.engine({ taskQueue: QUEUE, workflows, tuning: { paranoid: true } })),
  );
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "parent" });
  expect(await handle.result()).toEqual([
    ["child's", ""],
    ["50", "seeded", "seeded", "1", ""],
  ]);
  expect(await problemsOf(store)).toEqual([]);
});

test("after a takeover every operation gives what it gave before", async () => {
  const store = await setup();
  const told: unknown[][] = [];
  const remembers = async (): Promise<unknown> => {
    const search = await MemFlow.workflow.search();
    const seen: unknown[] = [];
    told.push(seen);
    seen.push(
      await search.get("seed"),
      await search.set("a", 1),
      await search.incr("a", 1),
      await search.del("b"),
    );
    await search
      .incr("seed", 1)
      .catch((error: unknown) => seen.push(error instanceof EntityError && error.code));
    seen.push(await search.mget("a", "seed"));
    await MemFlow.workflow.waitFor("go on");
    return seen;
  };
  const first = await store.engine({ taskQueue: QUEUE, workflows: { remembers } });
  const handle = await store.client.workflow.start({
    taskQueue: QUEUE,
    workflowName: "remembers",
    search: { data: { seed: "sown" } },
  });
  await eventually("it waits", async () => (await store.query("select from waits")).length === 1);
  first.crash();
  await store.bury(first.status.workerId);
  await store.engine({ taskQueue: QUEUE, workflows: { remembers } });
  await handle.signal("go on");
  expect(await handle.result()).toEqual(["sown", 1, 2, 0, "ENTITY_TYPE_MISMATCH", ["2", "sown"]]);
  expect(told).toHaveLength(2);
  expect(told[1]).toEqual(told[0]);
});

test("search data that is not flat, or has bad names, is refused by name before anything is recorded", async () => {
  const store = await setup();
  const start = (search: unknown) =>
    store.client.workflow.start({ taskQueue: QUEUE, workflowName: "never", search: search as never });
  await expect(start("text")).rejects.toMatchObject({ code: "BAD_OPTION", field: "search" });
  await expect(start({ data: [] })).rejects.toBeInstanceOf(OptionError);
  await expect(start({ data: { deep: {} } })).rejects.toMatchObject({ field: "search.data.deep" });
  await expect(start({ data: { "": "x" } })).rejects.toMatchObject({ code: "ENTITY_BAD_PATH" });
  await expect(start({ data: { x: "\0" } })).rejects.toMatchObject({ code: "ENTITY_BAD_VALUE" });
  const forbidden = JSON.parse('{"data":{"__proto__":"x"}}') as unknown;
  await expect(start(forbidden)).rejects.toMatchObject({ code: "ENTITY_FORBIDDEN_KEY" });
  expect(await store.client.workflow.list()).toEqual([]);
});

test("the static calls name what they can't take", async () => {
  const store = await setup();
  const client = await store.client.getHotMeshClient();
  await expect(Search.findAllUserData("nobody", client)).rejects.toBeInstanceOf(WorkflowNotFoundError);
  await expect(Search.findAllUserData("nobody", undefined as never)).rejects.toMatchObject({
    field: "client",
  });
  expect(await Search.listSearchIndexes(client)).toEqual([]);
  await Search.configureSearchIndex(client, { index: "a", prefix: "b", schema: {} });
});
