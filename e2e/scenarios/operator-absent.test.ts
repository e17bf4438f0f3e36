/**
 * Work goes on without the operator while one worker lives: runs, timers, schedules and new starts. Where all workers are
 * gone too, everything goes on once the operator is back.
 */
import { setTimeout as delay } from "node:timers/promises";
import { PODS } from "@memflow/operator/kube";
import type { Pod } from "@memflow/operator/kube";
import { expect } from "vitest";
import {
  installOperator,
  Ledger,
  ObjectRecord,
  startStore,
  taskQueue,
  useCluster,
} from "../cluster/testing/index.ts";
import type { InstalledOperator, ScenarioBench, ScenarioStore } from "../cluster/testing/index.ts";

const { scenario } = useCluster();

const LIMIT_MS = 240_000;
const QUEUE = "ledger";
const WORKERS = `memflow.io/task-queue=${QUEUE}`;
const RUN_COUNT = 8;
/** Each step waits for a timer. */
const SLEEPER = { stepCount: 4, stepMs: 50, pauseMs: 1_000 };
/** Outlives the workers. */
const LONG = { stepCount: 60, stepMs: 100 };
const SCHEDULE = "each-second";
const SCHEDULED = { stepCount: 2, stepMs: 50 };
/** Of the schedule, that come while the operator is away. */
const TIME_COUNT = 3;
/** Between two looks at the schedule. */
const LOOK_MS = 250;

scenario(
  "runs, timers, schedules and starts need no operator; without a worker too, all goes on once it is back",
  async (bench) => {
    const operator = await installOperator(bench);
    const store = await startStore(bench);
    const ledger = await Ledger.open(store);
    const scaling = { minReplicas: 1, maxReplicas: 1 };
    await bench.apply([Ledger.workflow(QUEUE), taskQueue(QUEUE, store, { scaling }), schedule()]);
    const workers = await ObjectRecord.start(bench, PODS, { labelSelector: WORKERS });
    await ledger.start(QUEUE, RUN_COUNT, SLEEPER);
    await ledger.untilLines(RUN_COUNT, bench.signal);
    await untilFired(bench, { store, since: new Date(0), count: 1 });

    const replicas = (await operator.pods()).length;
    await takeOperatorAway(bench, operator, replicas);
    const awayAt = await ledger.now();
    await ledger.start(QUEUE, RUN_COUNT, SLEEPER);
    expect(await ledger.wrongResults()).toEqual([]);
    await untilFired(bench, { store, since: awayAt, count: TIME_COUNT });

    await ledger.start(QUEUE, RUN_COUNT, LONG);
    await ledger.untilEachWentOn(await openRuns(store), awayAt, bench.signal);
    const killed = [...workers.names];
    expect(killed).toHaveLength(1);
    await takeWorkersAway(bench, workers);
    await ledger.start(QUEUE, RUN_COUNT, LONG);
    const open = await openRuns(store);
    expect(open.length).toBeGreaterThanOrEqual(2 * RUN_COUNT);
    expect(await operator.pods()).toEqual([]);

    const backAt = await ledger.now();
    await operator.scale(replicas);
    const readyAt = await ledger.now();
    const lastAt = await ledger.untilEachWentOn(open, backAt, bench.signal);
    tellFigure("operator back", lastAt.getTime() - backAt.getTime());
    tellFigure("operator ready", lastAt.getTime() - readyAt.getTime());
    const hosts = (await ledger.linesSince(backAt)).map(({ host }) => host);
    expect(hosts.filter((host) => killed.includes(host))).toEqual([]);
    await untilFired(bench, { store, since: readyAt, count: 1 });

    await bench.kubectl(["delete", "schedule", SCHEDULE]);
    await untilForgotten(bench, store);
    await ledger.adopt(await scheduledRuns(store), SCHEDULED);
    expect(await ledger.wrongResults()).toEqual([]);
    expect(await ledger.findings()).toEqual([]);
    const repeated = await ledger.repeatedSteps();
    expect(repeated.filter(({ firstHost }) => !killed.includes(firstHost))).toEqual([]);
  },
  LIMIT_MS,
);

function schedule(): object {
  return {
    apiVersion: "memflow.io/v1alpha1",
    kind: "Schedule",
    metadata: { name: SCHEDULE },
    spec: {
      workflowRef: { name: Ledger.workflowResource(QUEUE) },
      args: [SCHEDULED],
      when: { every: "1s" },
    },
  };
}

async function takeOperatorAway(
  bench: ScenarioBench,
  operator: InstalledOperator,
  replicas: number,
): Promise<void> {
  bench.afterwards(() => operator.scale(replicas));
  await operator.scale(0);
  await expect.poll(() => operator.pods(), { interval: LOOK_MS, timeout: LIMIT_MS }).toEqual([]);
}

/** Kills the workers, and has their Deployment not make others: nobody is asked to end, so nothing is handed over. */
async function takeWorkersAway(bench: ScenarioBench, workers: ObjectRecord<Pod>): Promise<void> {
  const nodes = (await bench.kubectl(["get", "nodes", "--output=name"])).trim().split("\n");
  const uncordon = async (): Promise<void> => void (await bench.kubectl(["uncordon", ...nodes]));
  await bench.kubectl(["cordon", ...nodes]);
  bench.afterwards(uncordon);
  await bench.kubectl(["delete", "pods", "--selector", WORKERS, "--grace-period=0", "--force"]);
  await bench.kubectl(["scale", "deployments", "--selector", WORKERS, "--replicas=0"]);
  await workers.until("no worker is left", (pods) => pods.length === 0);
  await uncordon();
}

/** Waits for runs that the schedule started after a moment of the database, and that are done. */
async function untilFired(
  bench: ScenarioBench,
  { store, since, count }: { readonly store: ScenarioStore; readonly since: Date; readonly count: number },
): Promise<void> {
  const text = `
    select count(*)::integer as count from ${store.schema}.runs
    where workflow_id like $1 and started_at > $2 and status = 'completed'`;
  for (;;) {
    const { rows } = await store.database.query(text, [`${SCHEDULE}-%`, since]);
    if (Number(rows[0]?.["count"]) >= count) return;
    await delay(LOOK_MS, undefined, bench);
  }
}

/** Waits until the schedule is gone from the Store: it fires no more. */
async function untilForgotten(bench: ScenarioBench, store: ScenarioStore): Promise<void> {
  const text = `select schedule_id from ${store.schema}.schedules`;
  while ((await store.database.query(text)).rows.length > 0) await delay(LOOK_MS, undefined, bench);
}

async function scheduledRuns(store: ScenarioStore): Promise<readonly string[]> {
  const text = `select workflow_id from ${store.schema}.runs where workflow_id like $1`;
  const { rows } = await store.database.query(text, [`${SCHEDULE}-%`]);
  return rows.map((row) => String(row["workflow_id"]));
}

async function openRuns(store: ScenarioStore): Promise<readonly string[]> {
  const { rows } = await store.database.query(
    `select workflow_id from ${store.schema}.runs where status = 'running'`,
  );
  return rows.map((row) => String(row["workflow_id"]));
}

function tellFigure(since: string, ms: number): void {
  console.log(`figure: ${since} -> every run made a step ${Math.max(0, ms)} ms`);
}
