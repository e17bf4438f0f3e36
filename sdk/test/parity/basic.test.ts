/**
 * Parity with HotMesh's `basic`: each durable call alone, after a wait, side by side, and all of them in one run.
 */
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { serving } from "./serving.ts";

const { greet } = MemFlow.workflow.proxyActivities({
  activities: { greet: (name: string): string => `hello ${name}` },
});
const { execChild, sleepFor, startChild, waitFor } = MemFlow.workflow;

const child = (name: string): Promise<string> => execChild({ workflowName: "child", args: [name] });
const started = (name: string): Promise<string> => startChild({ workflowName: "child", args: [name] });
const greetAll = (...names: string[]): Promise<string[]> => Promise.all(names.map((name) => greet(name)));

const workflow = {
  child: async (name: string) => await greet(`child ${name}`),
  randoms: async () => await Promise.resolve([MemFlow.workflow.random(), MemFlow.workflow.random()]),
  activity: async () => await greet("you"),
  sleep: async () => await sleepFor("50 milliseconds"),
  execs: async () => await child("one"),
  starts: async () => await started("one"),
  waits: async () => await waitFor("test-signal"),
  parallel: async () => await greetAll("a", "b", "c"),
  activityThenWait: async () => [await greet("first"), await waitFor("test-signal")],
  waitThenActivity: async () => [await waitFor("test-signal"), await greet("then")],
  waitThenParallel: async () => [await waitFor("test-signal"), await greetAll("a", "b")],
  waitThenExec: async () => [await waitFor("test-signal"), await child("then")],
  waitThenStart: async () => [await waitFor("test-signal"), await started("then")],
  both: async () => await Promise.all([started("left"), child("right")]),
  waitThenBoth: async () => [
    await waitFor("test-signal"),
    ...(await Promise.all([started("left"), child("right")])),
  ],
  mix: async () => {
    const random = MemFlow.workflow.random();
    const greeting = await greet("mix");
    const slept = await sleepFor("20 milliseconds");
    const fixed = await execChild<string>({
      workflowName: "child",
      workflowId: "fixed-child",
      args: ["fixed"],
    });
    const [left, right] = await Promise.all([started("left"), child("right")]);
    const payload = await waitFor("test-signal");
    const all = await greetAll("x", "y");
    return { inRange: random >= 0 && random < 1, greeting, slept, fixed, left, right, payload, all };
  },
};

const PAYLOAD = { told: ["payload", 1] };

/** Starts one of the functions and gives its result; the signal waits for its wait. */
async function resultOf(name: keyof typeof workflow, signaled = false) {
  const { start, client } = await serving(workflow);
  const handle = await start(name);
  if (signaled) await handle.signal("test-signal", PAYLOAD);
  return { result: await handle.result<unknown[]>(), client };
}

test("random gives numbers in [0, 1), each another", async () => {
  const { result } = await resultOf("randoms");
  for (const number of result) expect(Number(number) >= 0 && Number(number) < 1).toBe(true);
  expect(new Set(result).size).toBe(2);
});

test("an activity answers", async () => {
  expect((await resultOf("activity")).result).toBe("hello you");
});

test("a sleep gives the seconds that were asked for", async () => {
  expect((await resultOf("sleep")).result).toBe(0.05);
});

test("execChild gives the child's result", async () => {
  expect((await resultOf("execs")).result).toBe("hello child one");
});

test("startChild gives the id of a child that then completes by itself", async () => {
  const { result, client } = await resultOf("starts");
  const handle = await client.workflow.getHandle(String(result));
  expect(await handle.result()).toBe("hello child one");
});

test("waitFor gives what handle.signal was given", async () => {
  expect((await resultOf("waits", true)).result).toEqual(PAYLOAD);
});

test("activities side by side answer in the order of the calls", async () => {
  expect((await resultOf("parallel")).result).toEqual(["hello a", "hello b", "hello c"]);
});

test("an activity, then a wait", async () => {
  expect((await resultOf("activityThenWait", true)).result).toEqual(["hello first", PAYLOAD]);
});

test("a wait, then an activity", async () => {
  expect((await resultOf("waitThenActivity", true)).result).toEqual([PAYLOAD, "hello then"]);
});

test("a wait, then activities side by side", async () => {
  expect((await resultOf("waitThenParallel", true)).result).toEqual([PAYLOAD, ["hello a", "hello b"]]);
});

test("a wait, then execChild", async () => {
  expect((await resultOf("waitThenExec", true)).result).toEqual([PAYLOAD, "hello child then"]);
});

test("a wait, then startChild", async () => {
  const { result, client } = await resultOf("waitThenStart", true);
  expect(result[0]).toEqual(PAYLOAD);
  expect(await (await client.workflow.getHandle(String(result[1]))).result()).toBe("hello child then");
});

test("startChild and execChild side by side", async () => {
  const { result, client } = await resultOf("both");
  expect(result[1]).toBe("hello child right");
  expect(await (await client.workflow.getHandle(String(result[0]))).result()).toBe("hello child left");
});

test("a wait, then startChild and execChild side by side", async () => {
  const { result } = await resultOf("waitThenBoth", true);
  expect(result).toEqual([PAYLOAD, expect.any(String), "hello child right"]);
});

test("all of them in one run, with a child of a fixed id", async () => {
  const { result, client } = await resultOf("mix", true);
  expect(result).toEqual({
    inRange: true,
    greeting: "hello mix",
    slept: 0.02,
    fixed: "hello child fixed",
    left: expect.any(String) as string,
    right: "hello child right",
    payload: PAYLOAD,
    all: ["hello x", "hello y"],
  });
  expect(await (await client.workflow.getHandle("fixed-child")).result()).toBe("hello child fixed");
});
