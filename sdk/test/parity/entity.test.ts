/**
 * Parity with HotMesh's `entity`: one memory for a run and its hooks, and finding runs by what is in it.
 */
import { Entity, MemFlow } from "@memflow/sdk";
import type { Json } from "@memflow/sdk";
import { expect, test } from "vitest";
import { QUEUE, serving } from "./serving.ts";

interface Reply {
  readonly signal: string;
}

const workflow = {
  /** Two hooks side by side, waits for both, and a merge. */
  research: async (query: string) => {
    const memory = await MemFlow.workflow.entity();
    await memory.set({ query, findings: [], log: ["begun"], count: 0, active: false });
    const hook = (workflowName: string, signalId: string): Promise<string> =>
      MemFlow.workflow.hook({ taskQueue: QUEUE, workflowName, args: [query, { signal: signalId }] });
    await Promise.all([hook("notes", "notes-done"), hook("counts", "counts-done")]);
    await Promise.all([MemFlow.workflow.waitFor("notes-done"), MemFlow.workflow.waitFor("counts-done")]);
    await memory.merge({ status: "done" });
    return await memory.get();
  },
  notes: async (query: string, reply: Reply) => {
    const memory = await MemFlow.workflow.entity();
    await memory.append("findings", { about: query });
    await memory.prepend("log", "noted");
    await MemFlow.workflow.signal(reply.signal, {});
  },
  counts: async (_query: string, reply: Reply) => {
    const memory = await MemFlow.workflow.entity();
    await memory.increment("count", 5);
    await memory.toggle("active");
    await memory.setIfNotExists("owner", "nobody");
    await memory.setIfNotExists("owner", "somebody");
    await MemFlow.workflow.signal(reply.signal, await memory.get("count"));
  },
  loops: async () => {
    try {
      return await MemFlow.workflow.hook({ args: [] });
    } catch (error) {
      return (error as Error).message;
    }
  },
  answers: async (query: string, reply: Reply & { readonly $memflow: boolean }) => {
    await MemFlow.workflow.signal(reply.signal, { query, injected: reply.$memflow });
  },
  asks: async () =>
    await MemFlow.workflow.execHook({
      taskQueue: QUEUE,
      workflowName: "answers",
      args: ["why?"],
      signalId: "answered",
    }),
  /** A child with an entity type of its own. */
  parent: async () => {
    const memory = await MemFlow.workflow.entity();
    await memory.set({ kind: "parent" });
    const child = await MemFlow.workflow.execChild<string>({
      entity: "product",
      taskQueue: QUEUE,
      workflowName: "product",
      workflowId: "child-product",
      args: [{ name: "of parent" }],
    });
    await memory.merge({ child });
    return await memory.get();
  },
  product: async (value: object) => {
    const memory = await MemFlow.workflow.entity();
    await memory.set(value);
    return MemFlow.workflow.workflowInfo().workflowId;
  },
};

test("hooks side by side share the run's memory: append, prepend, increment, toggle, setIfNotExists, get and merge", async () => {
  const { start } = await serving(workflow);
  const handle = await start("research", ["rain"]);
  const memory = {
    query: "rain",
    findings: [{ about: "rain" }],
    log: ["noted", "begun"],
    count: 5,
    active: true,
    owner: "nobody",
    status: "done",
  };
  expect(await handle.result()).toEqual(memory);
  expect(await handle.entity()).toEqual(memory);
});

test("a hook without queue and entity that would start its own function is refused as an infinite loop", async () => {
  const { start } = await serving(workflow);
  expect(await (await start("loops")).result()).toMatch(/infinite loop/iu);
});

test("execHook gives its hook the signal id as the last argument", async () => {
  const { start } = await serving(workflow);
  expect(await (await start("asks")).result()).toEqual({ query: "why?", injected: true });
});

test("a child has an entity of its own type; the parent merges the child's id into its own", async () => {
  const { start, client, namespace } = await serving(workflow);
  expect(await (await start("parent")).result()).toEqual({ kind: "parent", child: "child-product" });
  const engine = await client.getHotMeshClient(null, namespace);
  expect(await Entity.find("product", {}, engine)).toMatchObject([{ context: { name: "of parent" } }]);
});

/** Ten products and one of another type, all ended. */
async function shelved() {
  const served = await serving(workflow);
  const products = Array.from({ length: 10 }, (_, index) => ({
    name: `product ${index}`,
    category: index % 2 === 0 ? "even" : "odd",
    price: index * 10,
    details: { rank: index },
  }));
  for (const [index, product] of products.entries()) {
    await served.client.workflow.execute({
      taskQueue: QUEUE,
      workflowName: "product",
      entity: "product",
      workflowId: `product-${index}`,
      args: [product],
    });
  }
  await served.client.workflow.execute({
    taskQueue: QUEUE,
    workflowName: "product",
    entity: "supplier",
    workflowId: "supplier-0",
    args: [{ name: "product 1", price: 10 }],
  });
  const engine = await served.client.getHotMeshClient(QUEUE, served.namespace);
  const names = (rows: readonly { readonly context: unknown }[]): unknown[] =>
    rows.map(({ context }) => (context as { name: string }).name);
  return { ...served, engine, names };
}

test("find gives the runs of a type that match: by text, by number, by none", async () => {
  const { engine, names } = await shelved();
  expect(names(await Entity.find("product", { name: "product 1" }, engine))).toEqual(["product 1"]);
  expect(names(await Entity.find("product", { price: 30 }, engine))).toEqual(["product 3"]);
  expect(names(await Entity.find("product", { price: { $gte: 80 } }, engine))).toEqual([
    "product 9",
    "product 8",
  ]);
  expect(names(await Entity.find("product", { "details.rank": 2 }, engine))).toEqual(["product 2"]);
  expect(await Entity.find("product", { name: "none" }, engine)).toEqual([]);
});

test("findById gives the run's key, memory and status, and null for one that is not there", async () => {
  const { engine } = await shelved();
  expect(await Entity.findById("product", "product-4", engine)).toMatchObject({
    key: expect.stringContaining("product-4") as string,
    context: { name: "product 4" },
    status: 0,
  });
  expect(await Entity.findById("product", "nobody", engine)).toBeNull();
});

test("findByCondition compares by =, >, LIKE and IN, a page at a time", async () => {
  const { engine, names } = await shelved();
  const find = async (field: string, value: Json, operator?: "=" | ">" | "LIKE" | "IN", page = {}) =>
    names(await Entity.findByCondition("product", field, value, operator, engine, page));
  expect(await find("category", "odd", "=", { limit: 2 })).toEqual(["product 9", "product 7"]);
  expect(await find("category", "odd", undefined, { limit: 2, offset: 2 })).toEqual([
    "product 5",
    "product 3",
  ]);
  expect(await find("price", 70, ">")).toEqual(["product 9", "product 8"]);
  expect(await find("name", "product _", "LIKE", { limit: 1 })).toEqual(["product 9"]);
  expect(await find("name", ["product 1", "product 2"], "IN")).toEqual(["product 2", "product 1"]);
});

test("a type finds its own runs alone, and its index may be created again", async () => {
  const { engine, names } = await shelved();
  expect(names(await Entity.find("supplier", {}, engine))).toEqual(["product 1"]);
  await Entity.createIndex("product", "price", engine);
  await Entity.createIndex("product", "price", engine);
  expect(names(await Entity.find("product", { price: 30 }, engine))).toEqual(["product 3"]);
});
