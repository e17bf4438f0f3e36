/**
 * What workflows do to the outside: topics, spans, interrupts, effects of their own. Once, however often they are replayed.
 */
import { trace as otel } from "@opentelemetry/api";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import { MemFlow } from "@memflow/sdk";
import type { WorkflowOptions } from "@memflow/sdk";
import { checkStore, testSource } from "@memflow/engine/testing";
import { afterAll, beforeEach, expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";
import type { TestStore } from "./setup.ts";

const QUEUE = "effects";
const { workflow: wf } = MemFlow;
const ONCE = { maximumAttempts: 1 };

const exporter = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
otel.setGlobalTracerProvider(provider);
afterAll(async () => {
  otel.disable();
  await provider.shutdown();
});
beforeEach(() => {
  exporter.reset();
  effects = [];
});

let effects: unknown[] = [];
const big = "x".repeat(50_000);

const workflow = {
  emits: async () => {
    const told = await wf.emit({ "order.paid": { cents: 1200 }, "order.any": [null] });
    await wf.emit({ "order.any": "second" });
    return told;
  },
  emitsBig: async () => await wf.emit({ big: { big }, nothing: undefined }),
  emitsUnawaited: async () => {
    void wf.emit({ "order.any": "unawaited" });
    return await Promise.resolve("ended");
  },
  everything: async () => {
    await wf.emit({ once: "o" });
    await wf.emit({ again: "a" }, { once: false });
    await wf.trace({ name: "once", cents: 12, rush: true });
    await wf.trace({ name: "again" }, { once: false });
    if (await wf.isSideEffectAllowed("effect")) effects.push("allowed");
    if (await wf.isSideEffectAllowed({ hotMesh: true }, "effect of HotMesh's form")) effects.push("allowed");
    effects.push(await wf.didRun("place"));
    await wf.waitFor("go");
    return "done";
  },
  traces: async () => await wf.trace({ "order.cents": 7 }),
  waits: async () => await wf.waitFor("never"),
  parent: async (id: string) => await wf.execChild({ workflowName: "waits", workflowId: id }),
  interrupts: async (id: string, options: object) => {
    const told = await wf.interrupt(id, options);
    return { told };
  },
  interruptsOnce: async (id: string) => {
    const told = await wf.interrupt(id, { throw: false });
    await wf.waitFor("go");
    return told;
  },
  catches: async (id: string) => {
    try {
      return await wf.interrupt(id);
    } catch (error) {
      const { name, code } = error as Error & { code: string };
      return { name, code };
    }
  },
  calls: async (call: "emit" | "trace" | "interrupt", ...args: never[]) =>
    await (wf[call] as (...given: never[]) => Promise<unknown>)(...args),
};

async function served() {
  const store = await setup();
  const first = await store.worker({ taskQueue: QUEUE, workflow, options: { paranoid: true } });
  const start = (workflowName: string, args: readonly unknown[] = [], more: WorkflowOptions = {}) =>
    store.client.workflow.start({ taskQueue: QUEUE, workflowName, args, config: ONCE, ...more });
  return { ...store, first, start };
}

/** Collects what is emitted on topics. */
async function heard(
  store: TestStore,
  ...topics: readonly string[]
): Promise<(readonly [string, unknown])[]> {
  const list: (readonly [string, unknown])[] = [];
  for (const topic of topics)
    await store.client.workflow.subscribe(topic, (name, data) => list.push([name, data]));
  return list;
}

function spans(name?: string): ReadableSpan[] {
  const all = exporter.getFinishedSpans();
  return name === undefined ? all : all.filter(({ attributes }) => attributes["name"] === name);
}

test("emit publishes its data by topic, in order, to all who listen", async () => {
  const { start, ...store } = await served();
  const [one, other] = [await heard(store, "order.paid", "order.any"), await heard(store, "order.any")];
  expect(await (await start("emits")).result()).toBe(true);
  await eventually("all of it is heard", () => one.length === 3 && other.length === 2);
  expect(one.filter(([topic]) => topic === "order.paid")).toEqual([["order.paid", { cents: 1200 }]]);
  expect(other).toEqual([
    ["order.any", [null]],
    ["order.any", "second"],
  ]);
});

test("data that is longer than a notification may be is heard whole, and undefined stays undefined", async () => {
  const { start, ...store } = await served();
  const list = await heard(store, "big", "nothing");
  await (await start("emitsBig")).result();
  await eventually("both are heard", () => list.length === 2);
  expect(new Map(list)).toEqual(
    new Map<string, unknown>([
      ["big", { big }],
      ["nothing", undefined],
    ]),
  );
});

test("an emit that nobody awaits is published with the end of its run", async () => {
  const { start, ...store } = await served();
  const list = await heard(store, "order.any");
  expect(await (await start("emitsUnawaited")).result()).toBe("ended");
  await eventually("it is heard", () => list.length === 1);
  expect(list).toEqual([["order.any", "unawaited"]]);
});

test("who unsubscribes hears no more, and another namespace hears nothing", async () => {
  const { start, ...store } = await served();
  const elsewhere: unknown[] = [];
  await store.client.workflow.subscribe("order.any", (_topic, data) => elsewhere.push(data), {
    namespace: `${store.namespace}_other`,
  });
  const list: unknown[] = [];
  const unsubscribe = await store.client.workflow.subscribe("order.any", (_topic, data) => list.push(data));
  await unsubscribe();
  const other = await heard(store, "order.any");
  await (await start("emits")).result();
  await eventually("the other hears it", () => other.length === 2);
  expect([list, elsewhere]).toEqual([[], []]);
  await store.query(`drop schema ${store.namespace}_other cascade`);
});

test("a subscription needs a listener, a topic and LISTEN", async () => {
  const { client, url, namespace } = await served();
  await expect(client.workflow.subscribe("", () => undefined)).rejects.toMatchObject({ name: "OptionError" });
  await expect(client.workflow.subscribe("t", "no function" as never)).rejects.toMatchObject({
    field: "listener",
  });
  const polling = new MemFlow.Client({ connection: { connectionString: url, polling: true }, namespace });
  await expect(polling.workflow.subscribe("t", () => undefined)).rejects.toMatchObject({
    name: "ConnectionError",
    code: "LISTEN_UNAVAILABLE",
  });
});

test("trace exports a span of the run's trace with its attributes", async () => {
  const { start } = await served();
  const trace = { workflowTrace: "4bf92f3577b34da6a3ce929d0e0e4736", workflowSpan: "00f067aa0ba902b7" };
  const handle = await start("traces", [], { workflowId: "traced", ...trace });
  expect(await handle.result()).toBe(true);
  const [span] = spans();
  expect(span?.name).toBe("trace traces");
  expect(span?.attributes).toEqual({
    "order.cents": 7,
    "memflow.run.id": handle.runId,
    "memflow.workflow.id": "traced",
    "memflow.workflow.name": "traces",
    "memflow.position": 0,
  });
  expect(span?.spanContext().traceId).toBe(trace.workflowTrace);
  expect(span?.parentSpanContext?.spanId).toBe(trace.workflowSpan);
});

test.each(["handed over", "killed"])(
  "when its worker is %s, a run repeats nothing but what was asked for with once: false",
  async (how) => {
    const store = await setup();
    const list = await heard(store, "once", "again");
    const serving = { taskQueue: QUEUE, workflows: workflow };
    const first = await store.engine(serving);
    const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "everything" });
    await eventually("it waits", async () => (await store.query("select from waits")).length === 1);
    await eventually("both topics are heard", () => list.length === 2);
    if (how === "killed") {
      first.crash();
      await store.bury(first.status.workerId);
    } else await first.shutdown();
    await store.engine(serving);
    await handle.signal("go");
    expect(await handle.result()).toBe("done");
    await eventually("one is heard again", () => list.length === 3);
    expect(list.toSorted(([a], [b]) => a.localeCompare(b))).toEqual([
      ["again", "a"],
      ["again", "a"],
      ["once", "o"],
    ]);
    expect([spans("once").length, spans("again").length]).toEqual([1, 2]);
    expect(effects).toEqual(["allowed", "allowed", [false, 6], [true, 6]]);
    const kinds = (await handle.history()).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "emitted" || kind === "traced")).toHaveLength(4);
  },
);

test("a run interrupts another: it has ended then, with its children where that is asked for", async () => {
  const { start, client, namespace } = await served();
  const parent = await start("parent", ["the-child"], { workflowId: "the-parent" });
  const child = await eventually("the child", () =>
    client.workflow.getHandle("the-child").catch(() => undefined),
  );
  const options = { reason: "enough", code: 409, descend: true };
  const told = await (await start("interrupts", ["the-parent", options])).result();
  expect(told).toEqual({ told: "the-parent" });
  await expect(parent.result()).rejects.toMatchObject({ code: 409, message: "enough", job_id: "the-parent" });
  await expect(child.result()).rejects.toMatchObject({ code: 409 });
  expect(await checkStore({ source: testSource(), schema: namespace })).toEqual([]);
});

test("a parent that awaits an interrupted child learns of it; with throw: false a client gets undefined", async () => {
  const { start, client } = await served();
  const parent = await start("parent", ["the-child"]);
  await eventually("the child", () => client.workflow.getHandle("the-child").catch(() => undefined));
  await (await start("interrupts", ["the-child", {}])).result();
  await expect(parent.result()).rejects.toMatchObject({ code: 410 });
  const alone = await start("waits", [], { workflowId: "alone" });
  const waiting = alone.result();
  await (await start("interrupts", ["alone", { throw: false, expire: 60 }])).result();
  expect(await waiting).toBeUndefined();
  expect(await alone.status()).toBeLessThan(-1_000_000);
});

test("a run that is not open is refused by name, or passed over with suppress", async () => {
  const { start } = await served();
  const ended = await start("emits", [], { workflowId: "ended" });
  await ended.result();
  expect(await (await start("catches", ["ended"])).result()).toEqual({
    name: "RunClosedError",
    code: "RUN_CLOSED",
  });
  expect(await (await start("catches", ["nobody"])).result()).toEqual({
    name: "WorkflowNotFoundError",
    code: "WORKFLOW_NOT_FOUND",
  });
  expect(await (await start("interrupts", ["nobody", { suppress: true }])).result()).toEqual({});
});

test("an interrupt happens once: the next run of that id is left alone by the replay", async () => {
  const { start, first, worker, query } = await served();
  await start("waits", [], { workflowId: "reused" });
  const handle = await start("interruptsOnce", ["reused"]);
  await eventually("it waits", async () =>
    (await query("select from waits where signal_id = 'go'")).length === 1 ? true : undefined,
  );
  const second = await start("waits", [], { workflowId: "reused" });
  await first.shutdown();
  await worker({ taskQueue: QUEUE, workflow });
  await handle.signal("go");
  expect(await handle.result()).toBe("reused");
  expect(await second.status()).toBe(1);
});

test("a run that interrupts itself has ended", async () => {
  const { start } = await served();
  const handle = await start("interrupts", ["itself", { reason: "of my own" }], { workflowId: "itself" });
  await expect(handle.result()).rejects.toMatchObject({ code: 410, message: "of my own" });
});

test.each([
  ["emit", "no topic", [{}]],
  ["emit", "an empty topic", [{ "": 1 }]],
  ["emit", "a list", [["a"]]],
  ["emit", "once that is no boolean", [{ a: 1 }, { once: "no" }]],
  ["trace", "an attribute that is an object", [{ a: {} }]],
  ["trace", "no attribute", [null]],
  ["interrupt", "no id", [""]],
  ["interrupt", "a code that is no number", ["id", { code: "410" }]],
  ["interrupt", "a negative time", ["id", { expire: -1 }]],
])("%s refuses %s", async (call, _what, args) => {
  const { start } = await served();
  await expect((await start("calls", [call, ...args])).result()).rejects.toMatchObject({
    name: "OptionError",
  });
});
