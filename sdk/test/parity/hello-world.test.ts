/**
 * Parity with HotMesh's `helloworld`: connecting, starting before any worker lives, random numbers, default exports.
 */
import { Client, Connection, MemFlow } from "@memflow/sdk";
import pg from "pg";
import { expect, test } from "vitest";
import { recorded, setup } from "../setup.ts";
import { QUEUE, serving } from "./serving.ts";

const noted: number[] = [];
interface Activities {
  greet(name: string): string;
  note(drawn: number): number;
}

/** As a module with a default export is imported. */
const imported = {
  default: function greet(name: string): string {
    return `hello ${name}`;
  },
  note: (drawn: number): number => noted.push(drawn),
};
const { greet, note } = MemFlow.workflow.proxyActivities<Activities>({
  activities: imported as object as Activities,
});

const workflow = {
  hello: async (name: string) => await greet(name),
  draws: async () => {
    const before = MemFlow.workflow.random();
    await note(before);
    const after = MemFlow.workflow.random();
    await note(after);
    await MemFlow.workflow.waitFor("go on");
    return [before, after];
  },
};

test("connecting echoes the configuration and asks no database", async () => {
  const config = { class: pg.Client, options: { connectionString: "postgresql://127.0.0.1:1/nowhere" } };
  expect(await Connection.connect(config)).toEqual(config);
});

test("a run that starts before any worker exists is completed by the worker that comes later", async () => {
  const { client, connection, namespace, worker } = await setup();
  const other = new Client({ connection: await Connection.connect(connection), namespace });
  const handle = await other.workflow.start({ taskQueue: QUEUE, workflowName: "hello", args: ["late"] });
  expect(await handle.status()).toBeGreaterThan(0);
  await worker({ taskQueue: QUEUE, workflow });
  const found = await client.workflow.getHandle(QUEUE, "hello", handle.workflowId);
  expect(await found.result()).toBe("hello late");
});

test("random numbers before and after an activity are the same when another worker replays them", async () => {
  const { client, worker } = await setup();
  const first = await worker({ taskQueue: QUEUE, workflow });
  const handle = await client.workflow.start({ taskQueue: QUEUE, workflowName: "draws" });
  await recorded(handle, "activity_completed");
  while (noted.length < 2) await recorded(handle, "activity_completed", "note");
  await first.shutdown();
  await worker({ taskQueue: QUEUE, workflow });
  await handle.signal("go on");
  const drawn = await handle.result<number[]>();
  expect(drawn).toEqual(noted);
  expect(new Set(drawn).size).toBe(2);
  for (const number of drawn) expect(number >= 0 && number < 1).toBe(true);
});

test("an activity that is a default export goes by its own name", async () => {
  const { start } = await serving(workflow);
  expect(await (await start("hello", ["default"])).result()).toBe("hello default");
});

test("a start with signalIn false is taken, and the run completes", async () => {
  const { start } = await serving(workflow);
  const handle = await start("hello", ["quiet"], { signalIn: false });
  expect(await handle.result()).toBe("hello quiet");
});
