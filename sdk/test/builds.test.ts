/**
 * Builds side by side, each with workers and code of its own: every run ends on the build that it began on.
 */
import { checkDepth, checkStore, testSource } from "@memflow/engine/testing";
import type { EngineWorker, WorkerOptions } from "@memflow/engine";
import { MemFlow, OptionError } from "@memflow/sdk";
import type { WorkflowFunction, WorkflowHandle, WorkflowOptions } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";
import type { TestStore } from "./setup.ts";

const QUEUE = "built";
const { workflow: wf } = MemFlow;
/** Notifications alone tell such a worker what there is to do. */
const TOLD = { pollMs: 600_000, sweepMs: 600_000 };

/** The code of one build; what it returns says whose it is. */
function codeOf(build: string): Record<string, WorkflowFunction> {
  return {
    waits: async () => {
      await wf.waitFor("go");
      return build;
    },
    says: async () => await Promise.resolve(build),
    begets: async () => {
      const parts = { args: [] };
      await wf.hook({ ...parts, workflowName: "waits" });
      await wf.startChild({ ...parts, workflowName: "waits", workflowId: "child" });
      await wf.startChild({ ...parts, workflowName: "waits", workflowId: "abroad", taskQueue: "elsewhere" });
      await wf.waitFor("go");
      return build;
    },
    asks: async (options) => await wf.execChild(options),
  };
}

interface Declared {
  readonly current: string;
  readonly ramping?: readonly [build: string, percent: number];
  readonly draining?: readonly string[];
  readonly pinning?: "Pinned" | "AutoUpgrade";
}

async function setupBuilds() {
  const store = await setup();
  let fence = 0;
  const serve = async (
    build: string,
    more: {
      readonly workflows?: Record<string, WorkflowFunction>;
      readonly tuning?: Partial<WorkerOptions>;
    } = {},
  ): Promise<EngineWorker> =>
    await store.engine({
      taskQueue: QUEUE,
      workflows: { ...codeOf(build), ...more.workflows },
      tuning: { buildId: build, ...more.tuning },
    });
  const declare = async ({
    current,
    ramping,
    draining = [],
    pinning = "Pinned",
  }: Declared): Promise<void> => {
    const builds = [
      { buildId: current, role: "Current", sharePercent: 100 - (ramping?.[1] ?? 0) },
      ...(ramping === undefined ? [] : [{ buildId: ramping[0], role: "Ramping", sharePercent: ramping[1] }]),
      ...draining.map((buildId) => ({ buildId, role: "Draining", sharePercent: 0 })),
    ];
    const values = [QUEUE, JSON.stringify({ pinning, builds }), (fence += 1)];
    await store.query("select set_queue_builds($1, $2, $3)", values);
  };
  const start = async (workflowName: string, more: Partial<WorkflowOptions> = {}): Promise<WorkflowHandle> =>
    await store.client.workflow.start({ taskQueue: QUEUE, workflowName, ...more });
  const waiting = async (): Promise<WorkflowHandle> => {
    const handle = await start("waits");
    await isWaiting(store, handle);
    return handle;
  };
  return { ...store, serve, declare, start, waiting };
}

async function isWaiting(store: TestStore, handle: WorkflowHandle): Promise<void> {
  await eventually(
    "it waits",
    async () => (await store.query("select from waits where run_id = $1", [handle.runId])).length === 1,
  );
}

async function depth(store: TestStore) {
  return await checkDepth({ source: testSource(), schema: store.namespace });
}

async function waitingFor(store: TestStore): Promise<unknown> {
  const rows = await store.query<{ waiting: readonly object[] }>(
    "select waiting from observe_load() where task_queue = $1",
    [QUEUE],
  );
  return rows[0]?.waiting ?? [];
}

test("old runs end on the old build, new ones on the new, and after a rollback the other way", async () => {
  const store = await setupBuilds();
  await store.serve("one");
  await store.declare({ current: "one" });
  const old = await store.waiting();
  await store.serve("two");
  await store.declare({ current: "two", draining: ["one"] });
  const fresh = await store.waiting();
  await old.signal("go");
  expect(await old.result()).toBe("one");
  expect(await (await store.start("says")).result()).toBe("two");

  await store.declare({ current: "one", draining: ["two"] });
  expect(await (await store.start("says")).result()).toBe("one");
  await fresh.signal("go");
  expect(await fresh.result()).toBe("two");
  expect(await checkStore({ source: testSource(), schema: store.namespace })).toEqual([]);
});

test("a pinned run of a draining build sleeps without a worker, is counted for its build alone, and wakes there", async () => {
  const store = await setupBuilds();
  const worker = await store.serve("one");
  await store.declare({ current: "one" });
  const handle = await store.waiting();
  await store.serve("two");
  await store.declare({ current: "two", draining: ["one"] });
  await worker.shutdown();
  expect(await waitingFor(store)).toEqual([]);
  const openRuns = async () =>
    await store.query("select build_id, open_runs, unowned, workers from observe_builds(10)");
  expect(await openRuns()).toEqual([{ build_id: "one", open_runs: "1", unowned: "1", workers: "0" }]);

  await handle.signal("go");
  expect(await waitingFor(store)).toMatchObject([{ buildId: "one", ready: 1, unserved: 0 }]);
  expect(await depth(store)).toEqual({ findings: [], claimable: 1 });
  // The new build has looked for work since, and left it.
  expect(await (await store.start("says")).result()).toBe("two");
  expect(await waitingFor(store)).toMatchObject([{ buildId: "one", ready: 1 }]);
  await store.serve("one");
  expect(await handle.result()).toBe("one");
  expect(await openRuns()).toEqual([]);
});

test("what a stopping worker of a build had in work is done at once by another of its build, which was told", async () => {
  const latch = Promise.withResolvers<void>();
  let attempts = 0;
  const { hold } = wf.proxyActivities({
    activities: { hold: async () => ((attempts += 1) === 1 ? await latch.promise : undefined) },
  });
  const store = await setupBuilds();
  const serve = async (build: string): Promise<EngineWorker> => {
    const holds = async (): Promise<string> => {
      await hold();
      return build;
    };
    return await store.serve(build, { workflows: { holds }, tuning: TOLD });
  };
  const first = await serve("one");
  await store.declare({ current: "one" });
  const handle = await store.start("holds");
  await eventually("the attempt runs", () => attempts === 1);
  await store.declare({ current: "two", draining: ["one"] });
  await Promise.all([serve("two"), serve("one")]);
  await first.shutdown({ graceMs: 0 });
  expect(await handle.result()).toBe("one");
  latch.resolve();
});

test("a queue that follows upgrades pins nothing: a run goes on with the current build when its worker goes", async () => {
  const store = await setupBuilds();
  const worker = await store.serve("one");
  await store.declare({ current: "one", pinning: "AutoUpgrade" });
  const handle = await store.waiting();
  await store.serve("two");
  await store.declare({ current: "two", draining: ["one"], pinning: "AutoUpgrade" });
  expect(await (await store.start("says")).result()).toBe("two");
  await worker.shutdown();
  expect(await store.query("select build_id from runs where build_id is not null")).toEqual([]);
  await handle.signal("go");
  expect(await handle.result()).toBe("two");
});

test("a start for a build waits for its workers, although others serve the queue, and needs no declaration", async () => {
  const store = await setupBuilds();
  await store.serve("one");
  await store.declare({ current: "one" });
  const gate = await store.start("says", { buildId: "two", entity: "gates" });
  expect(await (await store.start("says")).result()).toBe("one");
  expect(await waitingFor(store)).toMatchObject([{ buildId: "two", ready: 1 }]);
  await store.serve("two");
  expect(await gate.result()).toBe("two");
  expect(await (await store.start("says")).result()).toBe("one");
});

test("a start can't name a build where it has no say: of a child, of a hook, of a reserved id; nor one without a name", async () => {
  const store = await setupBuilds();
  await store.serve("one");
  const refusal = { name: "OptionError", field: "buildId" };
  const child = await store.start("asks", { args: [{ workflowName: "says", buildId: "two" }] });
  await expect(child.result()).rejects.toMatchObject({ message: expect.stringContaining("buildId") });
  const open = await store.waiting();
  const hook = store.client.workflow.hook({
    taskQueue: QUEUE,
    workflowName: "says",
    workflowId: open.workflowId,
    buildId: "two",
    args: [],
  });
  await expect(hook).rejects.toMatchObject(refusal);
  await expect(store.start("says", { buildId: "two", pending: 60 })).rejects.toMatchObject(refusal);
  await expect(store.start("says", { buildId: "" })).rejects.toMatchObject(refusal);
  await expect(
    store.worker({ taskQueue: QUEUE, workflow: codeOf("x"), options: { buildId: "" } }),
  ).rejects.toBeInstanceOf(OptionError);
});

test("children, hooks and queued attempts on a pinned run's queue are its build's; elsewhere they have none", async () => {
  const latch = Promise.withResolvers<void>();
  let running = 0;
  const { hold } = wf.proxyActivities({
    activities: {
      hold: async () => {
        running += 1;
        await latch.promise;
      },
    },
  });
  const store = await setupBuilds();
  const spreads = async (): Promise<string> => {
    await Promise.all([hold(), hold(), hold()]);
    return "one";
  };
  await store.serve("one", { workflows: { spreads }, tuning: { maxConcurrentActivities: 1 } });
  await store.declare({ current: "one" });

  const parent = await store.start("begets");
  await isWaiting(store, parent);
  const handle = await store.start("spreads");
  await eventually("one attempt runs", () => running === 1);
  await eventually("the others are queued", async () => {
    const rows = await store.query<{ build_id: string | null }>(
      "select build_id from activities where state = 'queued'",
    );
    return rows.length === 2 && rows.every(({ build_id: build }) => build === "one");
  });
  expect(
    await store.query(
      "select workflow_id = 'child' as child, hook, task_queue, build_id from runs where parent_run_id = $1 order by run_id",
      [parent.runId],
    ),
  ).toEqual([
    { child: false, hook: true, task_queue: QUEUE, build_id: "one" },
    { child: true, hook: false, task_queue: QUEUE, build_id: "one" },
    { child: false, hook: false, task_queue: "elsewhere", build_id: null },
  ]);
  latch.resolve();
  expect(await handle.result()).toBe("one");
});

test("under load the depth of each build is what its workers could claim, and its share of new runs is its own", async () => {
  const store = await setupBuilds();
  await store.serve("one");
  await store.declare({ current: "one", ramping: ["two", 30], draining: ["zero"] });
  const findings: string[] = [];
  const handles: WorkflowHandle[] = [];
  for (let round = 0; round < 4; round += 1) {
    handles.push(
      ...(await Promise.all(
        Array.from({ length: 100 }, (_, index) =>
          store.start(index % 2 === 0 ? "says" : "waits", index % 10 === 0 ? { buildId: "zero" } : {}),
        ),
      )),
    );
    findings.push(...(await depth(store)).findings);
    if (round === 1) await store.serve("two");
  }
  await store.serve("zero");
  await Promise.all(handles.filter((_, index) => index % 2 !== 0).map((handle) => handle.signal("go")));
  const results = await Promise.all(handles.map((handle) => handle.result<string>()));
  findings.push(...(await depth(store)).findings);
  expect(findings).toEqual([]);
  expect(results.map((result) => result === "zero")).toEqual(results.map((_, index) => index % 10 === 0));
  const [row] = await store.query<{ wrong: number }>(
    "select count(*)::integer as wrong from runs where build_id <> 'zero' and (run_bucket(run_id) < 30) <> (build_id = 'two')",
  );
  expect(row).toEqual({ wrong: 0 });
});
