/**
 * The memory of a run: every operation counts once, for the run and all its hooks, and says the same on replay.
 */
import { resolveConnection } from "@memflow/engine";
import { checkStore } from "@memflow/engine/testing";
import { EntityError, MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { QUEUE } from "./entity-workflows.ts";
import { eventually, setup } from "./setup.ts";

const MODULE = new URL("entity-workflows.ts", import.meta.url).href;
const HOOK_COUNT = 6;
const ROUND_COUNT = 15;

interface Counted {
  readonly total: number;
  readonly lists: Readonly<Record<string, number[]>>;
  readonly common: readonly { readonly who: number; readonly number: number }[];
}

test("a run and its hooks on several processes lose no update, also when one of them is killed", async () => {
  const store = await setup();
  const serve = () =>
    store.workerProcess({ module: MODULE, taskQueue: QUEUE, options: { deadAfterMs: 1_500 } });
  const [first] = await Promise.all([serve(), serve(), serve()]);
  const handle = await store.client.workflow.start({
    taskQueue: QUEUE,
    workflowName: "countTogether",
    args: [HOOK_COUNT, ROUND_COUNT],
  });
  await eventually("all are counting", async () => {
    const events = await handle.history({ descend: true });
    return events.length >= HOOK_COUNT * 4;
  });
  first.kill("SIGKILL");
  const told = await handle.result<number[][]>();
  const total = (HOOK_COUNT + 1) * ROUND_COUNT;
  expect(told.flat().toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: total }, (_, index) => index + 1),
  );
  const memory = await handle.entity<Counted>();
  expect(memory.total).toBe(total);
  expect(memory.common).toHaveLength(total);
  // Own first, then the hooks: each list holds what its counter was told, in that order.
  const lists = [HOOK_COUNT, ...Array.from({ length: HOOK_COUNT }, (_, index) => index)];
  expect(told).toEqual(lists.map((who) => memory.lists[who]));
  expect(await checkStore({ source: resolveConnection(store.url), schema: store.namespace })).toEqual([]);
});

test("a memory that is null at the run's end is kept as it is", async () => {
  const store = await setup();
  const forget = async (): Promise<unknown> => await (await MemFlow.workflow.entity()).set(null);
  await store.engine({ taskQueue: QUEUE, workflows: { forget } });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "forget" });
  expect(await handle.result()).toBeNull();
  expect(await handle.entity()).toBeNull();
  expect(await store.query("select snapshot from entities")).toEqual([{ snapshot: null }]);
});

test("each operation gives what MemFlow says it gives", async () => {
  const store = await setup();
  const operations = async (): Promise<unknown[]> => {
    const memory = await MemFlow.workflow.entity();
    return [
      await memory.get(),
      await memory.set({ a: { b: { c: 1, d: 2 } }, list: [1], gone: null }),
      await memory.merge({ a: { b: { c: 99 } }, list: [2, 3], gone: { back: true } }),
      await memory.append("list", [4]),
      await memory.prepend("list", 0),
      await memory.remove("list", 1),
      await memory.append("made.on.the.way", "x"),
      await memory.increment("count"),
      await memory.increment("count", -2.5),
      await memory.toggle("flag"),
      await memory.toggle("flag"),
      await memory.setIfNotExists("flag", true),
      await memory.setIfNotExists("fresh", { deep: [1] }),
      await memory.get("a.b"),
      await memory.get("list.2.0"),
      (await memory.get("nowhere.at.all")) === undefined,
      await memory.delete("a"),
      await memory.get("made.on.the.way.0"),
    ];
  };
  await store.worker({ taskQueue: QUEUE, workflow: { operations }, options: { paranoid: true } });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "operations" });
  expect(await handle.result()).toEqual([
    {},
    { a: { b: { c: 1, d: 2 } }, list: [1], gone: null },
    { a: { b: { c: 99, d: 2 } }, list: [2, 3], gone: { back: true } },
    [2, 3, [4]],
    [0, 2, 3, [4]],
    [0, 3, [4]],
    ["x"],
    1,
    -1.5,
    true,
    false,
    false,
    { deep: [1] },
    { c: 99, d: 2 },
    4,
    true,
    {
      list: [0, 3, [4]],
      gone: { back: true },
      made: { on: { the: { way: ["x"] } } },
      count: -1.5,
      flag: false,
      fresh: { deep: [1] },
    },
    "x",
  ]);
});

test("what user code does to a value that it got changes neither the memory nor a later value", async () => {
  const store = await setup();
  const meddles = async (): Promise<unknown> => {
    const memory = await MemFlow.workflow.entity();
    const given = { list: [1] };
    const taken = await memory.set(given);
    given.list.push(2);
    taken.list.push(3);
    const again = await memory.append<number>("list", 4);
    again.push(5);
    return await memory.get();
  };
  await store.worker({ taskQueue: QUEUE, workflow: { meddles } });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "meddles" });
  expect(await handle.result()).toEqual({ list: [1, 4] });
});

test("an operation that the document refuses throws, changes nothing, and throws again on replay", async () => {
  const store = await setup();
  const refused = async (): Promise<unknown[]> => {
    const memory = await MemFlow.workflow.entity();
    await memory.set({ text: "x", object: {} });
    const codes: unknown[] = [];
    const attempts = [
      () => memory.increment("text"),
      () => memory.append("object", 1),
      () => memory.toggle("text"),
      () => memory.remove("object", 0),
    ];
    for (const attempt of attempts) {
      await attempt().catch((error: unknown) => codes.push(error instanceof EntityError && error.code));
    }
    await MemFlow.workflow.waitFor("go on");
    return [...codes, await memory.get()];
  };
  const first = await store.engine({ taskQueue: QUEUE, workflows: { refused } });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "refused" });
  await eventually("it waits", async () => (await store.query("select from waits")).length === 1);
  first.crash();
  await store.bury(first.status.workerId);
  await store.engine({ taskQueue: QUEUE, workflows: { refused } });
  await handle.signal("go on");
  const mismatch = "ENTITY_TYPE_MISMATCH";
  expect(await handle.result()).toEqual([mismatch, mismatch, mismatch, mismatch, { text: "x", object: {} }]);
});
