/**
 * Databases that are away: one that hangs and one that is gone, at the same time, for a minute and a half; for ten minutes in the
 * long form.
 */
import { setTimeout as delay } from "node:timers/promises";
import { DEPLOYMENTS, PODS } from "@memflow/operator/kube";
import type { Deployment, Pod } from "@memflow/operator/kube";
import { findCondition, STORES, TASK_QUEUES } from "@memflow/operator/api";
import type { StoreObject } from "@memflow/operator/api";
import { expect } from "vitest";
import {
  installOperator,
  Ledger,
  ObjectRecord,
  startInterruptiblePostgres,
  startStore,
  taskQueue,
  useCluster,
} from "../cluster/testing/index.ts";
import type { ScenarioBench, ScenarioStore } from "../cluster/testing/index.ts";

const { scenario } = useCluster();

const OUTAGE_MS = 90_000;
const LONG_OUTAGE_MS = 600_000;
const LIMIT_MS = 300_000;
/** Four times what is promised, for a machine that does other things too. */
const NOTICED_MS_MAX = 60_000;
const JOB = { stepCount: 40, stepMs: 200 };
const QUEUE_COUNT = 4;
const RUN_COUNT = 8;
const LINES_BEFORE = 40;

/** A Store whose database goes away, with a queue that works and one that has nothing to do. */
interface Subject {
  readonly store: ScenarioStore;
  readonly ledger: Ledger;
  readonly interrupt: () => Promise<void>;
  readonly restore: () => Promise<void>;
}

scenario(
  "while databases are away nothing scales in and nobody restarts, and work goes on when they are back",
  async (bench) => {
    const operator = await installOperator(bench);
    const subjects = await Promise.all([hanging(bench), gone(bench)]);
    const labelSelector = "memflow.io/task-queue";
    const [stores, deployments, workers, operators] = await Promise.all([
      ObjectRecord.start(bench, STORES, {}),
      ObjectRecord.start(bench, DEPLOYMENTS, { labelSelector }),
      ObjectRecord.start(bench, PODS, { labelSelector }),
      ObjectRecord.start(bench, PODS, {
        namespace: operator.namespace,
        labelSelector: "app.kubernetes.io/component=operator",
      }),
    ]);
    await Promise.all(subjects.map(({ store }) => bench.apply(queuesOf(store, 1))));
    await deployments.until(
      "all workers are ready",
      (present) => present.length === QUEUE_COUNT && present.every(isReady),
    );
    await Promise.all(subjects.map((subject) => putToWork(bench, subject)));

    const awayAtMs = Date.now();
    await Promise.all(subjects.map(({ interrupt }) => interrupt()));
    const replicasBefore = replicasOf(deployments.present);
    expect(Object.values(replicasBefore)).toEqual([1, 1, 1, 1]);
    // From now on the idle queues may go to zero, and would, were they seen.
    await Promise.all(subjects.map(({ store }) => bench.apply(queuesOf(store, 0))));
    // A worker that has to start meanwhile waits for its database. Nobody else is there for its queue.
    const bornMeanwhile = await replaceWorker(bench, workers, `${subjects[1].store.name}-busy`);
    await stores.until("outages are noticed", (present) =>
      present.every((store) => connected(store) === "False"),
    );
    await delay((bench.isLong ? LONG_OUTAGE_MS : OUTAGE_MS) - (Date.now() - awayAtMs), undefined, bench);

    expect(replicasOf(deployments.present)).toEqual(replicasBefore);
    const seenMeanwhile = deployments.states.filter(({ atMs }) => atMs >= awayAtMs);
    for (const { object } of seenMeanwhile) {
      expect(object.spec?.replicas).toBe(replicasBefore[object.metadata?.name ?? ""]);
    }

    // One comes back at once, the other when its server has started: both are counted from here.
    const backAtMs = Date.now();
    await Promise.all(subjects.map(({ restore }) => restore()));
    await workers.until("the worker that began meanwhile is ready", (present) =>
      present.some((pod) => pod.metadata?.name === bornMeanwhile && isUp(pod)),
    );
    await stores.until("recoveries are noticed", (present) =>
      present.every((store) => connected(store) === "True"),
    );
    for (const { store, ledger } of subjects) {
      tellFigures(store, { stores, awayAtMs, backAtMs });
      expect(await ledger.wrongResults()).toEqual([]);
      expect(await ledger.findings()).toEqual([]);
      const [first] = await ledger.linesSince(new Date(backAtMs));
      const resumedMs = (first?.at.getTime() ?? Number.POSITIVE_INFINITY) - backAtMs;
      console.log(`figure: database back (${store.name}) -> next step of a run ${resumedMs} ms`);
      expect(resumedMs).toBeLessThan(NOTICED_MS_MAX);
    }
    const ready = workers.states.find(
      ({ object }) => object.metadata?.name === bornMeanwhile && isUp(object),
    );
    console.log(
      `figure: database back -> worker that began meanwhile is ready ${(ready?.atMs ?? Number.NaN) - backAtMs} ms`,
    );
    for (const { object } of [...workers.states, ...operators.states]) expect(restartsOf(object)).toBe(0);
    expect(operators.names.size).toBe(2);
    // What was held back was due: with its database back, a queue that has nothing to do goes to zero.
    await Promise.all(
      subjects.map(({ store }) =>
        bench.waitFor({
          type: TASK_QUEUES,
          name: `${store.name}-idle`,
          until: (queue) => queue?.status?.scaling?.desired === 0,
        }),
      ),
    );
  },
  LIMIT_MS + (process.env["MEMFLOW_E2E_LONG"] === "1" ? LONG_OUTAGE_MS : 0),
);

async function hanging(bench: ScenarioBench): Promise<Subject> {
  const database = await startInterruptiblePostgres(bench, "hanging");
  return subjectOf(await storeIn(bench, "hanging", database), {
    interrupt: () => database.freeze(),
    restore: () => database.thaw(),
  });
}

async function gone(bench: ScenarioBench): Promise<Subject> {
  const database = await startInterruptiblePostgres(bench, "gone");
  return subjectOf(await storeIn(bench, "gone", database), {
    interrupt: () => database.takeAway(),
    restore: () => database.bringBack(),
  });
}

function storeIn(
  bench: ScenarioBench,
  name: string,
  database: ScenarioStore["database"],
): Promise<ScenarioStore> {
  const connection = { secretRef: { name }, tls: { mode: "disable" } };
  return startStore(bench, { name, database, spec: { connection } });
}

async function subjectOf(
  store: ScenarioStore,
  outage: Pick<Subject, "interrupt" | "restore">,
): Promise<Subject> {
  return { store, ledger: await Ledger.open(store), ...outage };
}

/** A queue that works, and one that has nothing to do. */
function queuesOf(store: ScenarioStore, minReplicas: number): readonly object[] {
  const scaling = {
    minReplicas,
    maxReplicas: 1,
    cooldown: "5s",
    behavior: { scaleDown: { stabilization: "0s" } },
  };
  return [`${store.name}-busy`, `${store.name}-idle`].flatMap((name) => [
    Ledger.workflow(name),
    taskQueue(name, store, { scaling }),
  ]);
}

async function putToWork(bench: ScenarioBench, { store, ledger }: Subject): Promise<void> {
  await ledger.start(`${store.name}-busy`, RUN_COUNT, JOB);
  await ledger.untilLines(LINES_BEFORE, bench.signal);
}

async function replaceWorker(
  bench: ScenarioBench,
  workers: ObjectRecord<Pod>,
  queue: string,
): Promise<string> {
  const before = workers.names;
  const [old] = workers.present.filter(
    ({ metadata }) => metadata?.labels?.["memflow.io/task-queue"] === queue,
  );
  await bench.kubectl(["delete", "pod", old?.metadata?.name ?? "", "--wait=false"]);
  const isNew = ({ metadata }: Pod): boolean => !before.has(metadata?.name ?? "");
  const present = await workers.until("a worker is replaced", (pods) => pods.some(isNew));
  return present.find(isNew)?.metadata?.name ?? "";
}

function tellFigures(
  { name }: ScenarioStore,
  {
    stores,
    awayAtMs,
    backAtMs,
  }: { readonly stores: ObjectRecord<StoreObject>; readonly awayAtMs: number; readonly backAtMs: number },
): void {
  const firstMs = (sinceMs: number, status: string): number => {
    const state = stores.states.find(
      ({ atMs, object }) => atMs >= sinceMs && object.metadata?.name === name && connected(object) === status,
    );
    return (state?.atMs ?? Number.POSITIVE_INFINITY) - sinceMs;
  };
  const noticedMs = firstMs(awayAtMs, "False");
  const recoveredMs = firstMs(backAtMs, "True");
  console.log(`figure: database away (${name}) -> Connected=False ${noticedMs} ms`);
  console.log(`figure: database back (${name}) -> Connected=True ${recoveredMs} ms`);
  expect(noticedMs).toBeLessThan(NOTICED_MS_MAX);
  expect(recoveredMs).toBeLessThan(NOTICED_MS_MAX);
}

function connected(store: StoreObject): string | undefined {
  return findCondition(store.status, "Connected")?.status;
}

function isReady({ spec, status }: Deployment): boolean {
  return (spec?.replicas ?? 0) > 0 && status?.readyReplicas === spec?.replicas;
}

function isUp({ status }: Pod): boolean {
  return status?.containerStatuses?.[0]?.ready === true;
}

function restartsOf({ status }: Pod): number {
  return status?.containerStatuses?.[0]?.restartCount ?? 0;
}

function replicasOf(deployments: readonly Deployment[]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    deployments.map(({ metadata, spec }) => [metadata?.name ?? "", spec?.replicas ?? 0]),
  );
}
