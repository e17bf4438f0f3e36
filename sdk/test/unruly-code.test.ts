/**
 * Code that blocks, ends or litters its process: the runs beside it end as if alone, and the guilty one is told apart.
 */
import { MemFlow, ProcessExitError } from "@memflow/sdk";
import type { WorkflowHandle } from "@memflow/sdk";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { databaseUrl, eventually, setup } from "./setup.ts";
import type { TestStore, WorkerProcess } from "./setup.ts";
import { QUEUE } from "./unruly-workflows.ts";

const MODULE = new URL("unruly-workflows.ts", import.meta.url).href;
const RUN_COUNT = 100;
const STEP_COUNT = 5;

const start = (store: TestStore, workflowName: string, ...args: unknown[]): Promise<WorkflowHandle> =>
  store.client.workflow.start({ taskQueue: QUEUE, workflowName, args, config: { maximumAttempts: 1 } });

const startMany = (store: TestStore): Promise<readonly WorkflowHandle[]> =>
  Promise.all(Array.from({ length: RUN_COUNT }, () => start(store, "behaves", STEP_COUNT)));

async function expectAllBehaved(handles: readonly WorkflowHandle[]): Promise<void> {
  const expected = Array.from({ length: STEP_COUNT }, (_, index) => index);
  const results = await Promise.all(handles.map((handle) => handle.result()));
  expect(results).toEqual(handles.map(() => expected));
  for (const handle of handles) {
    const positions = (await handle.history()).map(({ position }) => position);
    expect(positions).toEqual(Array.from({ length: STEP_COUNT * 2 }, (_, index) => index));
  }
}

/** Keeps a worker process alive, as an operator would, until the test has finished; counts its deaths. */
async function keepWorkerAlive(store: TestStore): Promise<() => number> {
  let deaths = 0;
  let finished = false;
  const startOne = (): Promise<WorkerProcess> =>
    store.workerProcess({
      module: MODULE,
      taskQueue: QUEUE,
      options: { blockedLoopKillMs: 1_000, deadAfterMs: 5_000 },
    });
  const follow = async (worker: WorkerProcess): Promise<void> => {
    await worker.ended();
    if (finished) return;
    deaths += 1;
    await follow(await startOne());
  };
  const following = follow(await startOne());
  onTestFinished(async () => {
    finished = true;
    await Promise.race([following, Promise.resolve()]);
  });
  return () => deaths;
}

test.each(["spinsInWorkflow", "spinsInActivity"])(
  "%s: the guilty run is parked as stuck, the 100 beside it end as if alone",
  async (workflowName) => {
    const store = await setup();
    const deaths = await keepWorkerAlive(store);
    const handles = await startMany(store);
    const guilty = await start(store, workflowName);
    const problem = await eventually(
      "the guilty run is parked",
      async () => (await guilty.describe()).problem ?? undefined,
    );
    expect(problem).toMatchObject({ code: "RUN_STUCK", name: "StuckError" });
    expect(deaths()).toBeGreaterThan(0);
    await expectAllBehaved(handles);
    const parked = await store.query<{ run_id: string }>("select run_id from runs where problem is not null");
    expect(parked).toEqual([{ run_id: guilty.runId }]);
  },
);

test.each(["exitsInWorkflow", "exitsInActivity"])(
  "%s: process.exit is refused with a typed error, the 100 beside it end as if alone",
  async (workflowName) => {
    const store = await setup();
    const worker = await store.workerProcess({ module: MODULE, taskQueue: QUEUE });
    const handles = await startMany(store);
    const guilty = await start(store, workflowName);
    await expect(guilty.result()).rejects.toBeInstanceOf(ProcessExitError);
    await expect(guilty.result()).rejects.toMatchObject({
      code: "PROCESS_EXIT_REFUSED",
      call: "process.exit",
    });
    await expectAllBehaved(handles);
    expect(worker.child.exitCode).toBeNull();
  },
);

test("a rejection that nobody handles fails its run when the function returns, not before, and nothing else", async () => {
  const store = await setup();
  const worker = await store.workerProcess({ module: MODULE, taskQueue: QUEUE });
  const guilty = await start(store, "rejectsAside");
  const late = await start(store, "handlesLate");
  await eventually("both wait", async () => (await store.query("select from waits")).length === 2);
  const handles = await startMany(store);
  await expectAllBehaved(handles);
  expect([await guilty.status(), await late.status()]).toEqual([1, 1]);
  await guilty.signal("return");
  await late.signal("return");
  await expect(guilty.result()).rejects.toMatchObject({ name: "RangeError", message: "nobody looked" });
  expect(await late.result()).toBe("looked at late");
  expect(worker.child.exitCode).toBeNull();
});

/** A pool as users keep one: opened by whoever comes first. */
let pool: pg.Pool | undefined;
/** What the pool's callbacks saw: whether the clock was the real one. */
const connectedAtMs: number[] = [];

function lazyPool(): pg.Pool {
  if (pool === undefined) {
    pool = new pg.Pool({ connectionString: databaseUrl(), max: 2, idleTimeoutMillis: 10 });
    pool.on("connect", () => connectedAtMs.push(Date.now()));
  }
  return pool;
}

async function askPool(): Promise<number> {
  const { rows } = await lazyPool().query<{ one: number }>("select 1 as one");
  return rows[0]?.one ?? 0;
}

const { ask } = MemFlow.workflow.proxyActivities<{ ask: typeof askPool }>({ activities: { ask: askPool } });

test("a pool that a run opened first keeps nothing of it", async () => {
  const store = await setup();
  onTestFinished(async () => await pool?.end());
  await store.worker({
    taskQueue: QUEUE,
    workflow: {
      opensPool: async () => {
        lazyPool();
        return await ask();
      },
      asksLater: async () => await ask(),
    },
  });
  const beforeMs = Date.now();
  // A run whose clock stands in the past, so that a clock that leaks is seen.
  const opener = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "opensPool" });
  expect(await opener.result()).toBe(1);
  await eventually("its connection was closed for idleness, by a real timer", () => pool?.totalCount === 0);
  const later = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "asksLater" });
  expect(await later.result()).toBe(1);
  expect(await askPool()).toBe(1);
  expect(connectedAtMs.length).toBeGreaterThanOrEqual(2);
  for (const atMs of connectedAtMs) expect(atMs).toBeGreaterThanOrEqual(beforeMs);
  expect(connectedAtMs).toEqual(connectedAtMs.toSorted((a, b) => a - b));
});

test("a pool that workflow code itself asks is refused, and works for activities afterwards", async () => {
  const store = await setup();
  const own = new pg.Pool({ connectionString: databaseUrl(), max: 1 });
  onTestFinished(async () => await own.end());
  const { askOwn } = MemFlow.workflow.proxyActivities<{ askOwn(): Promise<unknown> }>({
    activities: { askOwn: async () => (await own.query("select 2 as two")).rows },
  });
  await store.worker({
    taskQueue: QUEUE,
    workflow: {
      asksItself: async () => (await own.query("select 1")).rows,
      asksThroughActivity: async () => await askOwn(),
    },
  });
  const wrong = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "asksItself" });
  const problem = await eventually("it is parked", async () => (await wrong.describe()).problem ?? undefined);
  expect(problem).toMatchObject({ code: "DETERMINISM_VIOLATION" });
  const right = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "asksThroughActivity" });
  expect(await right.result()).toEqual([{ two: 2 }]);
});
