/**
 * What goes in comes out: values survive start, activity, child, signal, hook, entity and result, live and replayed.
 */
import { MemFlow } from "@memflow/sdk";
import fc from "fast-check";
import { expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";

const QUEUE = "fidelity";

/** Values that a careless encoding changes. */
const VALUES: readonly unknown[] = [
  "",
  0,
  false,
  null,
  [],
  {},
  [null, "", 0, false, [], {}],
  { z: 1, a: { "10": 1, "9": 2, b: null, a: "" }, "": "empty key" },
  1e21,
  5e-324,
  Number.MAX_SAFE_INTEGER,
  -1.5,
  "0",
  "null",
  "undefined",
  "é à 漢字 🧑‍🚀 \u{10ffff} \u202e \ufeff",
  "line\nbreak\ttab \\ \" ' $1 {} \\u0041 \\u0000",
  "2026-01-01T00:00:00.000Z",
  { __proto__x: 1, toString: "own", length: 3 },
  Array.from({ length: 200 }, (_, index) => ({ index, half: index / 2 })),
];

const { echo } = MemFlow.workflow.proxyActivities<{ echo(value: unknown): unknown }>({
  activities: { echo: (value: unknown) => value },
});

async function carry(value: unknown): Promise<unknown> {
  return await Promise.resolve(value);
}

/** Carries a value through everything that a run can do with it. */
async function journey(value: unknown): Promise<Record<string, unknown>> {
  const child = { taskQueue: QUEUE, workflowName: "carry", args: [value] };
  const entity = await MemFlow.workflow.entity();
  const stations: Record<string, unknown> = {
    argument: value,
    activity: await echo(value),
    child: await MemFlow.workflow.execChild(child),
    hook: await MemFlow.workflow.execHook({ ...child, workflowName: "answer" }),
    ownSignal: await MemFlow.workflow.waitFor("to itself"),
    kept: await MemFlow.workflow.waitFor("kept"),
    routed: await MemFlow.workflow.waitFor("routed"),
    signal: await MemFlow.workflow.waitFor("direct"),
  };
  await entity.set({ value });
  stations["entity"] = await entity.get("value");
  return stations;
}

async function answer(value: unknown, reply: { readonly signal: string }): Promise<void> {
  await MemFlow.workflow.signal("to itself", value);
  await MemFlow.workflow.signal(reply.signal, value);
}

const workflows = { journey, carry, answer };
const STATIONS = ["argument", "activity", "child", "hook", "ownSignal", "kept", "routed", "signal", "entity"];

const everywhere = (value: unknown): Record<string, unknown> =>
  Object.fromEntries(STATIONS.map((station) => [station, value]));

/** Sends a value on its journey; half-way another worker replays what there is. */
async function travel(value: unknown): Promise<Record<string, unknown>> {
  const store = await setup();
  const first = await store.engine({ taskQueue: QUEUE, workflows });
  await store.client.workflow.signal("kept", value);
  const handle = await store.client.workflow.start({
    taskQueue: QUEUE,
    workflowName: "journey",
    args: [value],
  });
  const waits = "select from waits where signal_id = 'routed'";
  await eventually("it waits for the routed signal", async () => (await store.query(waits)).length === 1);
  await store.client.workflow.signal("routed", value);
  const last = "select from waits where signal_id = 'direct'";
  await eventually("it waits for the direct signal", async () => (await store.query(last)).length === 1);
  first.crash();
  await store.bury(first.status.workerId);
  await store.engine({ taskQueue: QUEUE, workflows });
  await handle.signal("direct", value);
  return await handle.result();
}

test("every value survives every station, also on replay, with the order of its keys", async () => {
  const carried = await travel(VALUES);
  const texts = STATIONS.map((station) => [station, JSON.stringify(carried[station])]);
  expect(texts).toEqual(STATIONS.map((station) => [station, JSON.stringify(VALUES)]));
});

test("any JSON value survives every station", async () => {
  // What an entity refuses by name has a test of its own (bad-input.test.ts).
  const allowed = (value: unknown): boolean =>
    !/"(?:__proto__|prototype|constructor)":/.test(JSON.stringify(value));
  const values = fc.jsonValue({ stringUnit: "grapheme", maxDepth: 4 }).filter(allowed);
  const anything = fc.sample(values, 200);
  const carried = await travel(anything);
  expect(carried).toEqual(everywhere(JSON.parse(JSON.stringify(anything))));
});

test.each([
  ["null", null],
  ["an empty text", ""],
  ["zero", 0],
  ["false", false],
])("%s alone is itself at every station", async (_name, value) => {
  const carried = await travel(value);
  expect(carried).toStrictEqual(everywhere(value));
});

test("undefined alone is undefined at every station that can hold it", async () => {
  const carried = await travel(undefined);
  // A hook's reply comes after its arguments: there it is null.
  expect(carried).toEqual({ hook: null, ownSignal: null });
});

test("a key `__proto__` is carried as a key, and nobody's prototype is changed", async () => {
  const store = await setup();
  await store.worker({
    taskQueue: QUEUE,
    workflow: { carryOn: async (value: unknown) => await echo(value) },
  });
  const args = [JSON.parse('{"__proto__":{"polluted":1},"a":2}')];
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "carryOn", args });
  const carried = await handle.result<object>();
  expect(JSON.stringify(carried)).toBe('{"__proto__":{"polluted":1},"a":2}');
  expect("polluted" in {}).toBe(false);
});

test("an argument that is undefined takes the default of the function, as in plain JavaScript", async () => {
  const store = await setup();
  const { count } = MemFlow.workflow.proxyActivities<{ count(...args: unknown[]): unknown }>({
    activities: {
      count: (first: unknown, second: unknown = "default", ...rest: unknown[]) => [
        first,
        second,
        rest.length,
      ],
    },
  });
  await store.worker({
    taskQueue: QUEUE,
    workflow: {
      defaults: async (first: unknown, second: unknown = "default") => [
        [first, second],
        await count(1, undefined),
        await count(undefined, undefined, undefined),
        await count(null, null),
        await MemFlow.workflow.execChild({ workflowName: "child", args: [undefined] }),
      ],
      child: async (value: unknown = "default") => await Promise.resolve(value),
    },
  });
  const handle = await store.client.workflow.start({
    taskQueue: QUEUE,
    workflowName: "defaults",
    args: [1, undefined],
  });
  expect(await handle.result()).toEqual([
    [1, "default"],
    [1, "default", 0],
    // JSON makes null of it, on its way out of the workflow.
    [null, "default", 0],
    [null, null, 0],
    "default",
  ]);
});

test("a text with half a character is carried as it is, and refused by the entity", async () => {
  const store = await setup();
  const half = "a\ud83ez";
  const forget = async (): Promise<unknown> => {
    const entity = await MemFlow.workflow.entity();
    return await entity.set({ half }).catch((error: unknown) => (error as { code: string }).code);
  };
  const relay = async (value: string): Promise<unknown> => {
    const child = await MemFlow.workflow.execChild({ workflowName: "carry", args: [value] });
    const hook = await MemFlow.workflow.execHook({ taskQueue: QUEUE, workflowName: "answer", args: [value] });
    return [value, await echo(value), child, hook, await MemFlow.workflow.waitFor("half"), await forget()];
  };
  await store.worker({ taskQueue: QUEUE, workflow: { ...workflows, relay } });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "relay", args: [half] });
  await handle.signal("half", half);
  expect(await handle.result()).toEqual([half, half, half, half, half, "ENTITY_BAD_VALUE"]);
});
