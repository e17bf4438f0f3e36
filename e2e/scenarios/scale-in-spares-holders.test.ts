/**
 * Of five workers the one with a long activity survives every scale-in, though nothing waits any more: others go.
 *
 * Twenty rounds, in four queues at once. Load brings a queue to five workers that have one run each, and all runs end but that of the
 * youngest worker: the one that a ReplicaSet deletes first when nobody tells it otherwise. One of the others goes, in the last round
 * of a queue all of them; the holder may go in the next round, where it is not the youngest any more.
 */
import { PODS } from "@memflow/operator/kube";
import type { Pod } from "@memflow/operator/kube";
import { Bell } from "@memflow/operator/testing";
import pg from "pg";
import { expect } from "vitest";
import {
  installOperator,
  ObjectRecord,
  startStore,
  taskQueue,
  useCluster,
  workerImageArchive,
} from "../cluster/testing/index.ts";
import type { ScenarioBench, ScenarioStore } from "../cluster/testing/index.ts";

const { scenario } = useCluster();

/** With the images of an operator to build, beside other work. */
const LIMIT_MS = 280_000;
const QUEUES: readonly string[] = ["north", "east", "south", "west"];
const ROUNDS = 5;
const REPLICAS = 5;
/** Workers that stay without work, but for the last round. */
const IDLE_REPLICAS = 4;
/** One for each worker, and so many behind them that however few have begun, all workers are asked for. */
const RUNS = 2 * REPLICAS - 1;
const IMAGE = "holders:2";

/** An activity that says where it runs, and ends when another host is spared in its round, or none any more. */
const ACTIVITIES = `
import { hostname } from "node:os";
import pg from "/opt/memflow/node_modules/pg/lib/index.js";

export async function hold(round, number) {
  const client = new pg.Client({ connectionString: process.env.MEMFLOW_DATABASE_URL });
  await client.connect();
  let wake = () => {};
  client.on("notification", () => wake());
  await client.query("listen spared");
  await client.query("select pg_notify('held', $1)", [JSON.stringify({ round, number, host: hostname() })]);
  for (;;) {
    const woken = new Promise((resolve) => (wake = resolve));
    const text = "select from test.spared where round = $1 and host <> $2";
    const { rowCount } = await client.query(text, [round, hostname()]);
    if (rowCount > 0) break;
    await woken;
  }
  await client.end();
  return hostname();
}
`;
const WORKFLOWS = `
import { MemFlow } from "@memflow/sdk";
import * as activities from "./activities.ts";

const { hold } = MemFlow.workflow.proxyActivities({ activities });

export async function job(round, number) {
  return hold(round, number);
}
`;

scenario(
  `the one of ${REPLICAS} workers that holds an activity survives every scale-in, ${QUEUES.length * ROUNDS} times of ${QUEUES.length * ROUNDS}`,
  async (bench) => {
    await installOperator(bench);
    await bench.cluster.loadImages([
      await workerImageArchive(IMAGE, { "activities.ts": ACTIVITIES, "workflows.ts": WORKFLOWS }),
    ]);
    const store = await startStore(bench);
    await makeTable(store);
    const pods = await ObjectRecord.start(bench, PODS, { labelSelector: "memflow.io/task-queue" });
    const play: Play = { bench, store, pods, holds: await Holds.hear(bench, store) };
    await bench.apply(QUEUES.map((name) => queueOf(store, name, IDLE_REPLICAS)));
    const survivals = await Promise.all(QUEUES.map((name) => playRounds(play, name)));
    console.log(
      `figure: holders that survived a scale-in ${survivals.flat().length} of ${QUEUES.length * ROUNDS}`,
    );
    expect(survivals.flat()).toHaveLength(QUEUES.length * ROUNDS);
  },
  LIMIT_MS,
);

interface Play {
  readonly bench: ScenarioBench;
  readonly store: ScenarioStore;
  readonly pods: ObjectRecord<Pod>;
  readonly holds: Holds;
}

/** An execution of an activity. */
interface Held {
  readonly round: string;
  /** Of the run in its round. */
  readonly number: number;
  readonly host: string;
}

/** Rounds of one queue: the survivors. */
async function playRounds(play: Play, queue: string): Promise<readonly string[]> {
  const survivors = [];
  for (let round = 1; round <= ROUNDS; round++) {
    const replicas = round === ROUNDS ? 1 : IDLE_REPLICAS;
    survivors.push(await playRound(play, { queue, name: `${queue}-${round}`, replicas }));
  }
  return survivors;
}

interface Round {
  readonly queue: string;
  readonly name: string;
  /** How many are left in the end. */
  readonly replicas: number;
}

/** To five workers and back: the one that held an activity. */
async function playRound(
  { bench, store, pods, holds }: Play,
  { queue, name: round, replicas }: Round,
): Promise<string> {
  const handles = await Promise.all(
    Array.from({ length: RUNS }, (_, number) =>
      store.client.workflow.start({ taskQueue: queue, workflowName: "job", args: [round, number] }),
    ),
  );
  const five = await pods.until(
    `${round}: ${REPLICAS} workers are ready`,
    (present) => serving(present, queue).filter(isReady).length === REPLICAS,
  );
  const byAge = serving(five, queue)
    .toSorted((left, right) => readyMs(left) - readyMs(right))
    .map(nameOf);
  await holds.onHosts(round, byAge);
  const holder = byAge.at(-1) ?? "";
  const held = holds.of(round).find(({ host }) => host === holder)?.number;
  expect(held).toBeDefined();

  await spare(store, round, holder);
  const others = handles.filter((_, number) => number !== held);
  const results = await Promise.all(others.map((handle) => handle.result()));
  expect(results).not.toContain(holder);
  if (replicas < IDLE_REPLICAS) await bench.apply(queueOf(store, queue, 0));
  const left = await pods.until(
    `${round}: ${replicas} workers are left`,
    (present) => serving(present, queue).length === replicas,
  );
  const survivors = serving(left, queue).map(nameOf);
  const gone = byAge.filter((name) => !survivors.includes(name));
  console.log(`${round}: ${holder} held, the youngest of ${REPLICAS}; ${gone.join(", ")} went`);
  expect({ round, survivors }).toEqual({ round, survivors: expect.arrayContaining([holder]) });
  expect(gone).toHaveLength(REPLICAS - replicas);

  await spare(store, round, "");
  expect(await handles[held ?? -1]?.result()).toBe(holder);
  return holder;
}

function queueOf(store: ScenarioStore, name: string, minReplicas: number): object {
  return taskQueue(name, store, {
    image: `localhost/memflow/${IMAGE}`,
    workers: {
      concurrency: { workflowTasks: 1, activities: 1 },
      resources: { requests: { cpu: "10m", memory: "32Mi" } },
    },
    scaling: {
      minReplicas,
      maxReplicas: REPLICAS,
      targetBacklogPerReplica: 1,
      slotsPerReplica: 1,
      targetSlotUtilization: 100,
      pollInterval: "1s",
      cooldown: "10m",
      behavior: {
        scaleUp: { maxPods: REPLICAS, period: "1s" },
        scaleDown: { stabilization: "0s", period: "1s" },
      },
    },
  });
}

/** Pods of a queue that are not on their way out. */
function serving(pods: readonly Pod[], queue: string): readonly Pod[] {
  return pods.filter(
    ({ metadata }) =>
      metadata?.labels?.["memflow.io/task-queue"] === queue && metadata.deletionTimestamp === undefined,
  );
}

function nameOf({ metadata }: Pod): string {
  return metadata?.name ?? "";
}

function isReady(pod: Pod): boolean {
  return readyCondition(pod)?.status === "True";
}

function readyMs(pod: Pod): number {
  return Date.parse(readyCondition(pod)?.lastTransitionTime ?? "");
}

function readyCondition({
  status,
}: Pod): NonNullable<NonNullable<Pod["status"]>["conditions"]>[number] | undefined {
  return status?.conditions?.find(({ type }) => type === "Ready");
}

async function makeTable({ database }: ScenarioStore): Promise<void> {
  await database.query("create schema test");
  await database.query("create table test.spared (round text primary key, host text)");
  await database.query("grant usage on schema test to public");
  await database.query("grant select on test.spared to public");
}

/** Has all activities of a round end but those of one host. */
async function spare({ database }: ScenarioStore, round: string, host: string): Promise<void> {
  const text = `insert into test.spared values ($1, $2) on conflict (round) do update set host = excluded.host`;
  await database.query(text, [round, host]);
  await database.query("notify spared");
}

/** Hears of every activity that begins. */
class Holds {
  readonly #begun: Held[] = [];
  readonly #bell = new Bell();

  static async hear(bench: ScenarioBench, { database }: ScenarioStore): Promise<Holds> {
    const holds = new Holds();
    const client = new pg.Client({ connectionString: database.hostUri });
    await client.connect();
    bench.afterwards(() => client.end());
    client.on("notification", ({ payload = "" }) => {
      holds.#begun.push(JSON.parse(payload) as Held);
      holds.#bell.ring();
    });
    await client.query("listen held");
    return holds;
  }

  /** What runs of a round are held, and where: a worker that starved on a busy machine may have lost one to another. */
  of(round: string): readonly Held[] {
    const ofRound = this.#begun.filter((one) => one.round === round);
    return [...new Map(ofRound.map((held) => [held.number, held])).values()];
  }

  /** Waits until each of these workers holds one; one that is on its way out may have had some before. */
  onHosts(round: string, hosts: readonly string[]): Promise<void> {
    return this.#bell.until(() => {
      const holding = new Set(this.of(round).map(({ host }) => host));
      return hosts.every((host) => holding.has(host));
    });
  }
}
