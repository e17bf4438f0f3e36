/**
 * Where signals go: each run gets its own, each once, in order, whether it waits already or not.
 */
import { RunClosedError } from "@memflow/sdk";
import type { WorkflowHandle } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, recorded, setup } from "./setup.ts";
import type { TestStore } from "./setup.ts";
import * as workflows from "./signal-workflows.ts";
import { QUEUE } from "./signal-workflows.ts";

const AGENT_COUNT = 20;
const PROCESS_COUNT = 4;
const SEED_MODULE = new URL("seed-workflows.ts", import.meta.url).href;
const SIGNAL_MODULE = new URL("signal-workflows.ts", import.meta.url).href;

const processes = (store: TestStore, module: string, taskQueue: string): Promise<unknown> =>
  Promise.all(Array.from({ length: PROCESS_COUNT }, () => store.workerProcess({ module, taskQueue })));

const start = (store: TestStore, workflowName: string, ...args: unknown[]): Promise<WorkflowHandle> =>
  store.client.workflow.start({ taskQueue: QUEUE, workflowName, args });

/** A bundle with a worker in this process. */
async function served(): Promise<TestStore> {
  const store = await setup();
  await store.worker({ taskQueue: QUEUE, workflow: workflows });
  return store;
}

/** Waits until as many runs are known to wait for the id. */
async function waiting(store: TestStore, signalId: string, count: number): Promise<void> {
  await eventually(`${count} waiting for "${signalId}"`, async () => {
    const rows = await store.query("select from waits where signal_id = $1", [signalId]);
    return rows.length === count;
  });
}

test("20 of the seed's agent at once on 4 processes, with the same signal ids, each get their own payloads", async () => {
  const store = await setup();
  await processes(store, SEED_MODULE, "research");
  const queries = Array.from({ length: AGENT_COUNT }, (_, index) => `query ${index}`);
  const handles = await Promise.all(
    queries.map((query) =>
      store.client.workflow.start({ taskQueue: "research", workflowName: "researchAgent", args: [query] }),
    ),
  );
  const results = await Promise.all(handles.map((handle) => handle.result<{ views: unknown }>()));
  expect(results.map(({ views }) => views)).toEqual(
    queries.map((query) => [
      { by: "optimistic", query },
      { by: "skeptical", query },
    ]),
  );
});

test("20 at once whose hooks signal before the wait each get their own payloads", async () => {
  const store = await setup();
  await processes(store, SIGNAL_MODULE, QUEUE);
  const queries = Array.from({ length: AGENT_COUNT }, (_, index) => `query ${index}`);
  const handles = await Promise.all(queries.map((query) => start(store, "lateAgent", query)));
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(
    queries.map((query) => [
      { signalId: "first", query },
      { signalId: "second", query },
    ]),
  );
});

test("a loop over one signal id sees one sender's signals in order, none twice, also when its worker is killed", async () => {
  const store = await setup();
  const count = 60;
  const first = await store.workerProcess({
    module: SIGNAL_MODULE,
    taskQueue: QUEUE,
    options: { deadAfterMs: 1_500 },
  });
  const handle = await start(store, "collect", "tick", count);
  for (let index = 0; index < count; index += 1) {
    if (index === count / 2) {
      await recorded(handle, "signal_received", "tick");
      first.kill("SIGKILL");
    }
    await handle.signal("tick", index);
  }
  await store.workerProcess({ module: SIGNAL_MODULE, taskQueue: QUEUE });
  expect(await handle.result()).toEqual(Array.from({ length: count }, (_, index) => index));
});

test("signals of many senders at once are each seen once", async () => {
  const store = await served();
  const handle = await start(store, "collect", "tick", 200);
  await Promise.all(Array.from({ length: 200 }, (_, index) => handle.signal("tick", index)));
  const seen = await handle.result<number[]>();
  expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 200 }, (_, index) => index));
});

test("a signal without an address goes to the run that has waited longest, then to the next", async () => {
  const store = await served();
  const first = await start(store, "waitOnce", "open");
  await waiting(store, "open", 1);
  const second = await start(store, "waitOnce", "open");
  await waiting(store, "open", 2);
  expect(await store.client.workflow.signal("open", 1)).toMatchObject({
    runId: first.runId,
    keptUntil: null,
  });
  expect(await store.client.workflow.signal("open", 2)).toMatchObject({
    runId: second.runId,
    keptUntil: null,
  });
  expect([await first.result(), await second.result()]).toEqual([1, 2]);
});

test("a signal that nobody waits for is kept until one waits, and given once", async () => {
  const store = await served();
  const receipt = await store.client.workflow.signal("later", { kept: true });
  expect(receipt.runId).toBeNull();
  expect(receipt.keptUntil?.getTime()).toBeGreaterThan(Date.now());
  const first = await start(store, "waitOnce", "later");
  expect(await first.result()).toEqual({ kept: true });
  const second = await start(store, "waitOnce", "later");
  await waiting(store, "later", 1);
  await store.client.workflow.signal("later", { kept: false });
  expect(await second.result()).toEqual({ kept: false });
});

test("kept signals of one id reach the loop that waits for them, in order", async () => {
  const store = await served();
  for (const payload of [1, 2, 3]) await store.client.workflow.signal("kept", payload);
  const handle = await start(store, "collect", "kept", 3);
  expect(await handle.result()).toEqual([1, 2, 3]);
});

test("a kept signal is gone when its time is over", async () => {
  const store = await served();
  const { keptUntil } = await store.client.workflow.signal("brief", "old", undefined, { keepFor: 1 });
  await eventually("its time is over", async () => {
    const rows = await store.query("select where clock_timestamp() > $1", [keptUntil]);
    return rows.length === 1;
  });
  const handle = await start(store, "waitOnce", "brief");
  await waiting(store, "brief", 1);
  await store.client.workflow.signal("brief", "new");
  expect(await handle.result()).toBe("new");
});

test("a signal to a run is kept for its later wait, though another run waits for the id", async () => {
  const store = await served();
  const other = await start(store, "waitOnce", "mine");
  await waiting(store, "mine", 1);
  const handle = await start(store, "waitLate", "gate", "mine");
  await handle.signal("mine", "for you");
  await recorded(handle, "signal_received", "mine");
  await handle.signal("gate");
  expect(await handle.result()).toBe("for you");
  expect(await other.status()).toBe(1);
});

test("a hook's signal goes to its own run, though another has waited longer", async () => {
  const store = await served();
  const other = await start(store, "waitOnce", "first");
  await waiting(store, "first", 1);
  const agent = await start(store, "lateAgent", "q");
  expect(await agent.result()).toEqual([
    { signalId: "first", query: "q" },
    { signalId: "second", query: "q" },
  ]);
  expect(await other.status()).toBe(1);
});

test.each([0, 1, 2])(
  "a child's signal goes up to the one that waits, %i runs between them",
  async (levels) => {
    const store = await served();
    const stranger = await start(store, "waitOnce", "done");
    await waiting(store, "done", 1);
    const handle = await start(store, "ancestor", "done", { levels }, levels);
    await waiting(store, "done", 2);
    await handle.signal("ancestor waits");
    expect(await handle.result()).toEqual({ levels });
    expect(await stranger.status()).toBe(1);
  },
);

test("a run's signal reaches its own hook first", async () => {
  const store = await served();
  const stranger = await start(store, "waitOnce", "tell");
  await waiting(store, "tell", 1);
  const handle = await start(store, "tellHook", "told by its run");
  await waiting(store, "tell", 2);
  await handle.signal("hook waits");
  expect(await handle.result()).toBe("told by its run");
  expect(await stranger.status()).toBe(1);
});

test("a run's signal that no relative waits for goes to the one that has waited longest, else it is kept", async () => {
  const store = await served();
  const stranger = await start(store, "waitOnce", "anyone");
  await waiting(store, "anyone", 1);
  await (await start(store, "send", "anyone", 1)).result();
  expect(await stranger.result()).toBe(1);
  await (await start(store, "send", "anyone", 2)).result();
  expect(await (await start(store, "waitOnce", "anyone")).result()).toBe(2);
});

test("execHook takes what its own hook sends; it is left for one later waitFor", async () => {
  const store = await served();
  const handle = await start(store, "askHook", "answer", 2);
  await waiting(store, "tell", 1);
  await store.client.workflow.signal("tell", "from the hook");
  await recorded(handle, "signal_received", "answer");
  await handle.signal("answer", "from outside");
  expect(await handle.result()).toEqual(["from the hook", "from the hook", "from outside"]);
});

test("execHook takes a signal from outside when it comes before its hook's", async () => {
  const store = await served();
  const handle = await start(store, "askHook", "answer", 2);
  await waiting(store, "tell", 1);
  await handle.signal("answer", "from outside");
  await recorded(handle, "signal_received", "answer");
  await store.client.workflow.signal("tell", "from the hook");
  expect(await handle.result()).toEqual(["from outside", "from outside", "from the hook"]);
});

test("execHook is a wait like any other for a signal without an address", async () => {
  const store = await served();
  const handle = await start(store, "askHook", "approval", 0);
  await waiting(store, "approval", 1);
  expect(await store.client.workflow.signal("approval", "granted")).toMatchObject({ runId: handle.runId });
  expect(await handle.result()).toEqual(["granted"]);
});

test("execHook takes what a hook returns that never signals", async () => {
  const store = await served();
  expect(await (await start(store, "askSilentHook")).result()).toBe(8);
});

test("a run that has ended refuses signals with a typed error", async () => {
  const store = await served();
  const handle = await start(store, "send", "nobody", 1);
  await handle.result();
  const refusal = handle.signal("late", 1);
  await expect(refusal).rejects.toBeInstanceOf(RunClosedError);
  await expect(refusal).rejects.toMatchObject({
    code: "RUN_CLOSED",
    runId: handle.runId,
    status: "completed",
  });
});
