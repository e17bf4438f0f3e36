/**
 * Activities: how proxies find their functions, in this process and in pools of other processes.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemFlow, OptionError } from "@memflow/sdk";
import type { ActivityConfig } from "@memflow/sdk";
import { checkStore, testSource } from "@memflow/engine/testing";
import { expect, onTestFinished, test } from "vitest";
import * as pool from "./pool-activities.ts";
import { setup } from "./setup.ts";

const QUEUE = "callers";
const STAMPS = 60;

const pooled = MemFlow.workflow.proxyActivities<{
  stamp: typeof pool.stamp;
  seal: typeof pool.default;
  absent(): number;
}>({ taskQueue: "stamps", retry: { maximumAttempts: 1 } });
const unnamedQueue = MemFlow.workflow.proxyActivities<{ double(value: number): number }>({
  taskQueue: "memflow-activities",
});

async function greetOne(name: string): Promise<string> {
  return await Promise.resolve(`hello ${name}`);
}
const fromFunction = MemFlow.workflow.proxyActivities<{ greetOne: typeof greetOne }>({
  activities: greetOne,
});
const fromModule = MemFlow.workflow.proxyActivities<{
  default: typeof pool.default;
  seal: typeof pool.default;
}>({ activities: pool as never });
const fromRecord = MemFlow.workflow.proxyActivities({
  activities: { byKey: greetOne, notAFunction: 3 },
});

const workflow = {
  stampAll: async (file: string) =>
    await Promise.all(Array.from({ length: STAMPS }, async (_, index) => await pooled.stamp(file, index))),
  sealOne: async (file: string) => await pooled.seal(file),
  doubles: async () => await unnamedQueue.double(21),
  everyForm: async (file: string) => [
    await fromFunction.greetOne("function"),
    await fromModule.seal(file),
    await fromModule.default(file),
    await fromRecord.byKey("key"),
    await (fromRecord as unknown as { greetOne: typeof greetOne }).greetOne("own name"),
  ],
  unknownName: async () =>
    await (fromRecord as unknown as { notAFunction(): Promise<number> }).notAFunction(),
};

async function ledger(): Promise<{ readonly file: string; lines(): Promise<string[]> }> {
  const folder = await mkdtemp(join(tmpdir(), "memflow-pool-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, "ledger");
  return { file, lines: async () => (await readFile(file, "utf8")).trimEnd().split("\n") };
}

test("workers of a pool in processes of their own compete, and each attempt runs once", async () => {
  const store = await setup();
  const { file, lines } = await ledger();
  await store.worker({ taskQueue: QUEUE, workflow });
  const module = new URL("pool-activities.ts", import.meta.url).href;
  const one = {
    module,
    taskQueue: "stamps",
    serves: "activities",
    options: { maxConcurrentActivities: 2 },
  } as const;
  await Promise.all([store.workerProcess(one), store.workerProcess(one)]);
  const run = { taskQueue: QUEUE, args: [file] };
  const result = await store.client.workflow.execute({ ...run, workflowName: "stampAll" });
  expect(result).toEqual(Array.from({ length: STAMPS }, (_, index) => `${index} stamped`));
  const stamped = (await lines()).map((line) => Number(line.split(" ")[0]));
  expect(stamped.toSorted((a, b) => a - b)).toEqual(Array.from({ length: STAMPS }, (_, index) => index));
  expect(await store.client.workflow.execute({ ...run, workflowName: "sealOne" })).toBe("sealed");
  expect(await checkStore({ source: testSource(), schema: store.namespace })).toEqual([]);
});

test("a proxy takes a function, a module, a default export and a record; keys and own names both work", async () => {
  const store = await setup();
  const { file } = await ledger();
  await store.worker({ taskQueue: QUEUE, workflow, options: { paranoid: true } });
  const run = { taskQueue: QUEUE, args: [file], config: { maximumAttempts: 1 } };
  expect(await store.client.workflow.execute({ ...run, workflowName: "everyForm" })).toEqual([
    "hello function",
    "sealed",
    "sealed",
    "hello key",
    "hello own name",
  ]);
  await expect(store.client.workflow.execute({ ...run, workflowName: "unknownName" })).rejects.toMatchObject({
    name: "ActivityNotFoundError",
  });
});

test("registering a pool again gives the same worker, with the functions of both; after a shutdown a new one", async () => {
  const store = await setup();
  const config = { connection: store.connection, namespace: store.namespace, options: { pollMs: 200 } };
  const [first, second] = await Promise.all([
    MemFlow.registerActivityWorker(config, { other: () => 0 }),
    MemFlow.registerActivityWorker(config, { double: (value: number) => value * 2 }),
  ]);
  expect(second).toBe(first);
  expect(await MemFlow.registerActivityWorker(config, { other: () => 0 }, "another-pool")).not.toBe(first);
  await store.worker({ taskQueue: QUEUE, workflow });
  const run = { taskQueue: QUEUE, workflowName: "doubles" };
  expect(await store.client.workflow.execute(run)).toBe(42);
  await MemFlow.shutdown();
  const third = await MemFlow.registerActivityWorker(config, { double: (value: number) => value * 2 });
  expect(third).not.toBe(first);
  await store.worker({ taskQueue: QUEUE, workflow });
  expect(await store.client.workflow.execute(run)).toBe(42);
});

test.each([
  ["no object", null],
  ["an empty queue", { taskQueue: "" }],
  ["activities that are no functions", { activities: "greet" }],
  [
    "a function without a name",
    {
      activities: (
        () => () =>
          1
      )(),
    },
  ],
  ["no attempt at all", { retryPolicy: { maximumAttempts: 0 } }],
  ["both names of the policy", { retry: {}, retryPolicy: {} }],
  ["an option that it does not know", { heartbeat: 1 }],
])("a proxy refuses %s", (_what, config) => {
  expect(() => MemFlow.workflow.proxyActivities(config as ActivityConfig)).toThrow(OptionError);
});

test("a pool refuses activities that are no functions", async () => {
  const config = { connection: "postgresql://nowhere" };
  await expect(MemFlow.registerActivityWorker(config, 1)).rejects.toBeInstanceOf(OptionError);
});
