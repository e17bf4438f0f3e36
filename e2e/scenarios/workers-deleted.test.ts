/** Workers that are deleted, killed and evicted under load: nothing is lost, nothing is done twice that was recorded. */
import { PODS, POD_DISRUPTION_BUDGETS } from "@memflow/operator/kube";
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
import type { ScenarioBench } from "../cluster/testing/index.ts";

const { scenario } = useCluster();

const LIMIT_MS = 300_000;
const QUEUE = "ledger";
const WORKERS = 3;
/** Runs that begin before each deletion, and what is done before it comes. */
const WAVE = { runCount: 16, lineCount: 100 };
const JOB = { stepCount: 60, stepMs: 100 };
/** Where nothing is handed over, others wait until a worker counts as dead: 10 s. */
const HAND_OVER_MS_MAX = 8_000;

scenario(
  "work goes on while its workers are deleted, killed and evicted",
  async (bench) => {
    await installOperator(bench);
    const store = await startStore(bench);
    const ledger = await Ledger.open(store);
    const scaling = { minReplicas: WORKERS, maxReplicas: WORKERS };
    await bench.apply([Ledger.workflow(QUEUE), taskQueue(QUEUE, store, { scaling })]);
    const workers = await WorkerPods.follow(bench);

    let lineCount = 0;
    const load = async (): Promise<void> => {
      await workers.untilServing();
      await ledger.start(QUEUE, WAVE.runCount, JOB);
      lineCount += WAVE.lineCount;
      await ledger.untilLines(lineCount, bench.signal);
    };

    await load();
    const deleted = await ledger.busiestHost();
    await bench.kubectl(["delete", "pod", deleted, "--wait=false"]);
    await workers.untilLeaving(deleted);

    await load();
    const killed = await ledger.busiestHost();
    await bench.kubectl(["delete", "pod", killed, "--grace-period=0", "--force"]);
    await workers.untilLeaving(killed);

    await load();
    await bench.waitFor({
      type: POD_DISRUPTION_BUDGETS,
      name: `memflow-worker-${QUEUE}`,
      until: (budget) => budget?.status?.disruptionsAllowed === 1,
    });
    const evicted = await ledger.busiestHost();
    expect(await evict(bench, evicted)).toBe("evicted");
    const others = workers.names().filter((name) => name !== evicted);
    expect(await evict(bench, others[0] ?? "")).toBe("refused");
    await workers.untilLeaving(evicted);

    await workers.untilServing();
    expect(await ledger.wrongResults()).toEqual([]);
    expect(await ledger.findings()).toEqual([]);
    const repeated = await ledger.repeatedSteps();
    expect(repeated.filter(({ firstHost }) => firstHost !== killed)).toEqual([]);
    expect(workers.everSeen()).toBe(WORKERS + 3);

    for (const [how, host] of Object.entries({ deleted, evicted })) {
      const handOvers = await ledger.handOversOf(host);
      expect(handOvers.length).toBeGreaterThan(0);
      const slowestMs = Math.max(...handOvers.map(({ ms }) => ms));
      console.log(
        `figure: hand-over of ${handOvers.length} runs of a worker that was ${how} ${Math.round(slowestMs)} ms`,
      );
      expect(slowestMs).toBeLessThan(HAND_OVER_MS_MAX);
    }
  },
  LIMIT_MS,
);

async function evict(bench: ScenarioBench, name: string): Promise<"evicted" | "refused"> {
  const { namespace } = bench;
  const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name, namespace } };
  const path = `/api/v1/namespaces/${namespace}/pods/${name}/eviction`;
  try {
    await bench.kubectl(["create", "--raw", path, "-f", "-"], JSON.stringify(eviction));
    return "evicted";
  } catch (error) {
    if (!String(error).includes("disruption budget")) throw error;
    return "refused";
  }
}

class WorkerPods {
  readonly #record: ObjectRecord<Pod>;

  private constructor(record: ObjectRecord<Pod>) {
    this.#record = record;
  }

  static async follow(bench: ScenarioBench): Promise<WorkerPods> {
    const labelSelector = `memflow.io/task-queue=${QUEUE}`;
    return new WorkerPods(await ObjectRecord.start(bench, PODS, { labelSelector }));
  }

  /** All of them are ready, and none is on its way out. */
  async untilServing(): Promise<void> {
    const isServing = ({ metadata, status }: Pod): boolean =>
      metadata?.deletionTimestamp === undefined && status?.containerStatuses?.[0]?.ready === true;
    await this.#record.until(
      `${WORKERS} workers are ready`,
      (pods) => pods.length === WORKERS && pods.every(isServing),
    );
  }

  /** Before that a look at the others would still find it among those that serve. */
  async untilLeaving(name: string): Promise<void> {
    await this.#record.until(`worker "${name}" goes`, (pods) =>
      pods.every(({ metadata }) => metadata?.name !== name || metadata.deletionTimestamp !== undefined),
    );
  }

  names(): readonly string[] {
    return this.#record.present.map(({ metadata }) => metadata?.name ?? "");
  }

  everSeen(): number {
    return this.#record.names.size;
  }
}
