/**
 * Commits whose acknowledgement is lost: nothing is done twice and nothing fails, at every kind of flush, also when
 * everything that follows from the commit has happened before the retry.
 */
import { resolveConnection } from "@memflow/engine";
import type { EngineWorker } from "@memflow/engine";
import { MeddledSource, checkStore, eventually, testSource } from "@memflow/engine/testing";
import { MemFlow, PayloadError, WorkflowClient } from "@memflow/sdk";
import type { WorkflowFunction, WorkflowHandle } from "@memflow/sdk";
import { expect, test } from "vitest";
import { recorded, setup } from "./setup.ts";
import type { TestStore } from "./setup.ts";

const QUEUE = "acknowledged";
const REMOTE_QUEUE = "acknowledged-remote";
const ONCE = { maximumAttempts: 1 } as const;

/** When the acknowledgement is lost: at once, or when all that follows from the commit has happened. */
const MOMENTS = ["at once", "after the end"] as const;

let executions = 0;
let gate = Promise.withResolvers<void>();

async function waitAtGate(): Promise<string> {
  executions += 1;
  await gate.promise;
  return "let go";
}
const activities = {
  count: async (): Promise<number> => (executions += 1),
  hold: waitAtGate,
  twoHalves: async (index: number): Promise<string> => (index === 42 ? "a\0b" : `a${index}b`),
};
const { count, hold, twoHalves } = MemFlow.workflow.proxyActivities<typeof activities>({
  activities,
  retryPolicy: ONCE,
});
const { holdAgain } = MemFlow.workflow.proxyActivities<{ holdAgain: typeof waitAtGate }>({
  activities: { holdAgain: waitAtGate },
  retryPolicy: { maximumAttempts: 2 },
});
const remote = MemFlow.workflow.proxyActivities<{ elsewhere(): Promise<number> }>({
  activities: { elsewhere: async () => (executions += 1) },
  taskQueue: REMOTE_QUEUE,
  retryPolicy: ONCE,
});

const { workflow } = MemFlow;
const WORKFLOWS = {
  echo: async (value: unknown) => value,
  wait: async () => await workflow.waitFor("go"),
  tell: async () => {
    await workflow.signal("go", "told");
    return "has told";
  },
  holding: async () => await hold(),
  holdingAgain: async () => await holdAgain(),
  halving: async (index: number) => await twoHalves(index),
  asking: async () => await remote.elsewhere(),
  parent: async () => {
    try {
      await workflow.execHook({ taskQueue: QUEUE, workflowName: "wait", args: [], signalId: "never" });
    } catch (error) {
      return error instanceof Error ? error.name : error;
    }
    return "the hook was not stopped";
  },
  everything: async () => {
    const memory = await workflow.entity();
    const first = await count();
    await memory.set({ first });
    const child = await workflow.execChild({ taskQueue: QUEUE, workflowName: "echo", args: ["child"] });
    await workflow.sleepFor("10 milliseconds");
    const signal = await workflow.waitFor("go");
    return [first, child, signal, await memory.get("first")];
  },
  reachingOut: async () => {
    const hooked = await workflow.hook({
      taskQueue: QUEUE,
      workflowName: "tell",
      args: [],
      workflowId: "hooked",
    });
    await workflow.emit({ reached: hooked });
    const interrupted = await workflow.interrupt("interrupted");
    const refused = await workflow.interrupt("nobody").catch((error: unknown) => (error as Error).name);
    return [await workflow.isSideEffectAllowed("effect"), interrupted, refused];
  },
} satisfies Record<string, WorkflowFunction>;

/** A store with a worker whose connections are sound, and a source whose answers can be lost. */
async function lossy(): Promise<{
  readonly store: TestStore;
  readonly meddled: MeddledSource;
  /** A client whose answers can be lost. */
  readonly client: WorkflowClient;
  start(name: keyof typeof WORKFLOWS, args?: readonly unknown[]): Promise<WorkflowHandle>;
  serve(source?: "sound" | "meddled", taskQueue?: string): Promise<EngineWorker>;
}> {
  const store = await setup();
  const meddled = new MeddledSource(resolveConnection(store.url));
  executions = 0;
  gate = Promise.withResolvers<void>();
  return {
    store,
    meddled,
    client: new WorkflowClient(meddled.source, store.namespace),
    start: async (workflowName, args = []) =>
      await store.client.workflow.start({ taskQueue: QUEUE, workflowName, args: [...args], config: ONCE }),
    serve: async (source = "sound", taskQueue = QUEUE) =>
      await store.engine({
        taskQueue,
        workflows: taskQueue === QUEUE ? WORKFLOWS : {},
        ...(source === "sound" ? {} : { tuning: { source: meddled.source } }),
      }),
  };
}

/** The kinds of a run's events, in order. */
async function kinds(handle: WorkflowHandle): Promise<string[]> {
  return (await handle.history()).map(({ kind }) => kind);
}

/** Nothing is under way any more, and every promise of the store holds. */
async function expectSettled(store: TestStore, runCount: number): Promise<void> {
  const [row] = await store.query(`
    select (select count(*)::integer from runs) as runs, (select count(*)::integer from workflow_ids) as ids,
      (select count(*)::integer from inbox) as inbox, (select count(*)::integer from activities) as activities,
      (select count(*)::integer from waits) as waits, (select count(*)::integer from stray_signals) as strays,
      (select count(*)::integer from runs where status = 'running') as running`);
  expect(row).toEqual({
    runs: runCount,
    ids: runCount,
    inbox: 0,
    activities: 0,
    waits: 0,
    strays: 0,
    running: 0,
  });
  expect(await checkStore({ source: testSource(), schema: store.namespace })).toEqual([]);
}

test.each(MOMENTS)("a start whose acknowledgement is lost %s starts one run", async (moment) => {
  const { store, meddled, client, serve } = await lossy();
  await serve();
  await client.list();
  const answer = meddled.holdNext("memflow_startRuns");
  const starting = client.start({ taskQueue: QUEUE, workflowName: "echo", args: [7], workflowId: "one" });
  await answer.answered;
  if (moment === "after the end") await (await store.client.workflow.getHandle("one")).result();
  answer.lose();
  const handle = await starting;
  expect(await handle.result()).toBe(7);
  await expectSettled(store, 1);
});

test.each(MOMENTS)("a signal whose acknowledgement is lost %s is received once", async (moment) => {
  const { store, meddled, client, start, serve } = await lossy();
  await serve();
  const handle = await start("wait");
  const lossyHandle = await client.getRun(handle.runId);
  const answer = meddled.holdNext("memflow_sendSignals");
  const signaling = lossyHandle.signal("go", 1);
  await answer.answered;
  if (moment === "after the end") await handle.result();
  answer.lose();
  await signaling;
  expect(await handle.result()).toBe(1);
  expect(await kinds(handle)).toEqual(["signal_received"]);
  await expectSettled(store, 1);
});

test.each(MOMENTS)(
  "a signal without an address whose acknowledgement is lost %s is kept once",
  async (moment) => {
    const { store, meddled, client, start, serve } = await lossy();
    await serve();
    await client.list();
    const answer = meddled.holdNext("memflow_sendSignals");
    const signaling = client.signal("go", "kept");
    await answer.answered;
    expect(await store.query("select 1 from stray_signals")).toHaveLength(1);
    const early = moment === "after the end" ? await start("wait") : undefined;
    await early?.result();
    answer.lose();
    expect(await signaling).toMatchObject({ runId: null });
    const handle = early ?? (await start("wait"));
    expect(await handle.result()).toBe("kept");
    expect(await kinds(handle)).toEqual(["signal_received"]);
    await expectSettled(store, 1);
  },
);

test.each(MOMENTS)("a stop whose acknowledgement is lost %s is told once", async (moment) => {
  const { store, meddled, client, start, serve } = await lossy();
  await serve();
  const parent = await start("parent");
  await recorded(parent, "hook_started");
  const [hook] = await store.query<{ run_id: string }>("select run_id from runs where hook");
  const lossyHook = await client.getRun(hook?.run_id ?? "");
  const answer = meddled.holdNext("memflow_stopRuns");
  const stopping = lossyHook.cancel();
  await answer.answered;
  if (moment === "after the end") await parent.result();
  answer.lose();
  await stopping;
  expect(await parent.result()).toBe("InterruptedError");
  expect((await kinds(parent)).filter((kind) => kind === "hook_failed")).toHaveLength(1);
  expect((await lossyHook.describe()).status).toBe("canceled");
  await expectSettled(store, 2);
});

test("a run whose worker hears of no commit does everything once", async () => {
  const { store, meddled, start, serve } = await lossy();
  meddled.loseEach("memflow_flushRuns");
  await serve("meddled");
  const handle = await start("everything");
  await handle.signal("go", "signal");
  expect(await handle.result()).toEqual([1, "child", "signal", 1]);
  expect(executions).toBe(1);
  expect((await kinds(handle)).toSorted()).toEqual(
    [
      "activity_completed",
      "child_completed",
      "child_started",
      "entity_changed",
      "entity_read",
      "signal_received",
      "timer_fired",
    ].toSorted(),
  );
  expect(meddled.lossCount("memflow_flushRuns")).toBeGreaterThan(5);
  await expectSettled(store, 2);
});

test("a worker whose commit is acknowledged after the receiver of its signal has ended sends the signal once", async () => {
  const { store, meddled, start, serve } = await lossy();
  await serve();
  const receiver = await start("wait");
  await eventually("the wait", async () => (await store.query("select 1 from waits")).length === 1);
  const sending = await store.engine({
    taskQueue: "senders",
    workflows: { tell: WORKFLOWS.tell },
    tuning: { source: meddled.source },
  });
  const answer = meddled.holdNext("memflow_flushRuns");
  const sender = await store.client.workflow.start({
    taskQueue: "senders",
    workflowName: "tell",
    args: [],
  });
  await answer.answered;
  expect(await receiver.result()).toBe("told");
  answer.lose();
  expect(await sender.result()).toBe("has told");
  expect(await kinds(sender)).toEqual(["signal_sent"]);
  expect(await kinds(receiver)).toEqual(["signal_received"]);
  expect(sending.status.state).toBe("running");
  await expectSettled(store, 2);
});

test("a run that ended before its worker heard of it has ended once, and the worker goes on", async () => {
  const { store, meddled, start, serve } = await lossy();
  const engine = await serve("meddled");
  const answer = meddled.holdNext("memflow_flushRuns");
  const first = await start("echo", [1]);
  await answer.answered;
  expect(await first.result()).toBe(1);
  answer.lose();
  expect(await (await start("echo", [2])).result()).toBe(2);
  expect(engine.status.state).toBe("running");
  expect(await kinds(first)).toEqual([]);
  await expectSettled(store, 2);
});

test.each(MOMENTS)("a release whose acknowledgement is lost %s lets another worker go on", async (moment) => {
  const { store, meddled, start, serve } = await lossy();
  const engine = await serve("meddled");
  const handle = await start("wait");
  await eventually("the wait", async () => (await store.query("select 1 from waits")).length === 1);
  await eventually(
    "a run at rest",
    async () => (await store.query("select 1 from runs where not busy")).length,
  );
  const answer = meddled.holdNext("memflow_flushRuns");
  const stopping = engine.shutdown({ graceMs: 10_000 });
  await answer.answered;
  await handle.signal("go", "late");
  const goOn = async (): Promise<void> => {
    await serve();
    expect(await handle.result()).toBe("late");
  };
  if (moment === "after the end") await goOn();
  answer.lose();
  await stopping;
  if (moment === "at once") await goOn();
  expect(await kinds(handle)).toEqual(["signal_received"]);
  await expectSettled(store, 1);
});

test.each(MOMENTS)("a hand-over whose acknowledgement is lost %s hands over and retires", async (moment) => {
  const { store, meddled, start, serve } = await lossy();
  const engine = await serve("meddled");
  const { workerId } = engine.status;
  const handle = await start("holdingAgain");
  await eventually("the attempt", () => executions === 1);
  const answer = meddled.holdNext("memflow_handOver");
  const stopping = engine.shutdown({ graceMs: 0 });
  await answer.answered;
  gate.resolve();
  const goOn = async (): Promise<void> => {
    await serve();
    expect(await handle.result()).toBe("let go");
  };
  if (moment === "after the end") await goOn();
  answer.lose();
  await stopping;
  const [row] = await store.query("select dead_at is not null as dead from workers where worker_id = $1", [
    workerId,
  ]);
  expect(row).toEqual({ dead: true });
  if (moment === "at once") await goOn();
  expect(await kinds(handle)).toEqual(["activity_completed"]);
  await expectSettled(store, 1);
});

test.each(MOMENTS)(
  "an outcome from another queue whose acknowledgement is lost %s comes once",
  async (moment) => {
    const { store, meddled, start, serve } = await lossy();
    const remoteEngine = await serve("meddled", REMOTE_QUEUE);
    await serve();
    const answer = meddled.holdNext("memflow_settleActivities");
    const handle = await start("asking");
    await answer.answered;
    if (moment === "after the end") await handle.result();
    answer.lose();
    expect(await handle.result()).toBe(1);
    expect(await (await start("asking")).result()).toBe(2);
    expect(executions).toBe(2);
    expect(remoteEngine.status.state).toBe("running");
    expect(await kinds(handle)).toEqual(["activity_completed"]);
    await expectSettled(store, 2);
  },
);

test("of 100 runs at once, the one whose activity's result Postgres can't hold fails alone", async () => {
  const { store, start, serve } = await lossy();
  const handles = await Promise.all(Array.from({ length: 100 }, (_, index) => start("halving", [index])));
  await serve();
  const results = await Promise.allSettled(handles.map((handle) => handle.result()));
  const failed = results.flatMap((result) =>
    result.status === "rejected" ? [result.reason as unknown] : [],
  );
  expect(failed).toHaveLength(1);
  expect(failed[0]).toBeInstanceOf(PayloadError);
  expect(results.map((result) => (result.status === "fulfilled" ? result.value : "failed"))).toEqual(
    results.map((_, index) => (index === 42 ? "failed" : `a${index}b`)),
  );
  const rows = await store.query<{ word: string; count: number }>(`
    select k.word, count(*)::integer from events e join event_kinds k using (kind) group by k.word order by k.word`);
  expect(rows).toEqual([
    { word: "activity_completed", count: 99 },
    { word: "activity_failed", count: 1 },
  ]);
  await expectSettled(store, 100);
});

test("an activity with one attempt that a crash ends in the middle is not run again", async () => {
  const { store, start, serve } = await lossy();
  const engine = await serve();
  const handle = await start("holding");
  await eventually("the attempt", () => executions === 1);
  engine.crash();
  await store.bury(engine.status.workerId);
  await serve();
  await expect(handle.result()).rejects.toMatchObject({ name: "AttemptLostError", code: "ATTEMPT_LOST" });
  gate.resolve();
  expect(executions).toBe(1);
  expect(await kinds(handle)).toEqual(["activity_failed"]);
  await expectSettled(store, 1);
});

test("hooks into other runs, interrupts and topics happen once when each acknowledgement is lost", async () => {
  const { store, meddled, start, serve } = await lossy();
  meddled.loseEach("memflow_flushRuns");
  await serve("meddled");
  const heard: unknown[] = [];
  await store.client.workflow.subscribe("reached", (_topic, data) => heard.push(data));
  const wait = { taskQueue: QUEUE, workflowName: "wait" };
  const hooked = await store.client.workflow.start({ ...wait, workflowId: "hooked" });
  const interrupted = await store.client.workflow.start({ ...wait, workflowId: "interrupted" });
  const handle = await start("reachingOut");
  expect(await handle.result()).toEqual([true, "interrupted", "WorkflowNotFoundError"]);
  expect(await hooked.result()).toBe("told");
  await expect(interrupted.result()).rejects.toMatchObject({ code: 410 });
  expect((await kinds(handle)).filter((kind) => !kind.startsWith("timer"))).toEqual([
    "hook_started",
    "emitted",
    "interrupt_sent",
    "interrupt_refused",
    "side_effect_marked",
  ]);
  await eventually("it is heard", () => heard.length > 0);
  expect(heard).toHaveLength(1);
  expect(meddled.lossCount("memflow_flushRuns")).toBeGreaterThan(5);
  await expectSettled(store, 4);
});
