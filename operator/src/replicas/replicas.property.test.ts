/**
 * Any load, any failure, any restart: no pod that holds work is taken away, nobody else writes replicas, and once the load
 * is gone the queue comes to zero and says so.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { DEPLOYMENTS, PODS } from "../kube/index.ts";
import { MockApiServer } from "../testing/mock-api/mock-api-server.ts";
import { TASK_QUEUES } from "../api/index.ts";
import { CORDON_MS } from "../scaling/core/plan-scale-in.ts";
import { loadOf, workerIdOf } from "./testing/fake-store.ts";
import { ScaledCluster } from "./testing/scaled-cluster.ts";

const SLOTS = 3;
const SCALING = {
  maxReplicas: 6,
  targetBacklogPerReplica: 3,
  slotsPerReplica: SLOTS,
  cooldown: "20s",
  pollInterval: "5s",
  behavior: { scaleDown: { stabilization: "15s" } },
};

/** A queue, its workers and their work, on top of the cluster. */
class World {
  readonly cluster: ScaledCluster;
  /** What should never be. */
  readonly violations: string[] = [];
  backlog = 0;
  readonly #held = new Map<string, number>();
  readonly #cordonedUntilMs = new Map<string, number>();

  constructor(cluster: ScaledCluster) {
    this.cluster = cluster;
    cluster.store.loadOf = () => loadOf({ ready: this.backlog }, Object.fromEntries(this.#held));
    cluster.kubernetes.onDelete = (pod) => this.#onDelete(pod);
    cluster.store.onCordon = (workerIds) => {
      for (const id of workerIds) this.#cordonedUntilMs.set(id, cluster.clock.steadyMs() + CORDON_MS);
    };
    cluster.store.onLift = () => this.#cordonedUntilMs.clear();
  }

  /** Workers claim what waits, beginning with any of them. */
  claim(most: number, first: number): void {
    const pods = this.cluster.pods();
    const start = pods.length === 0 ? 0 : first % pods.length;
    for (const pod of [...pods.slice(start), ...pods.slice(0, start)]) {
      const held = this.#held.get(pod) ?? 0;
      const isCordoned = (this.#cordonedUntilMs.get(workerIdOf(pod)) ?? 0) > this.cluster.clock.steadyMs();
      const count = isCordoned ? 0 : Math.max(0, Math.min(SLOTS - held, most, this.backlog));
      this.backlog -= count;
      if (held + count > 0) this.#held.set(pod, held + count);
    }
  }

  /** Every so manieth worker ends all that it holds. */
  finish(every: number): void {
    for (const [index, pod] of [...this.#held.keys()].entries())
      if (index % every === 0) this.#held.delete(pod);
  }

  #onDelete(pod: string): void {
    const held = this.#held.get(pod) ?? 0;
    if (held > 0) this.violations.push(`${pod} went with ${held} in hand`);
  }
}

const failure = fc.record({
  fault: fc.constantFrom<{ kind: "lose-answer" | "reset" } | { kind: "refuse"; status: number }>(
    { kind: "lose-answer" },
    { kind: "reset" },
    { kind: "refuse", status: 500 },
    { kind: "refuse", status: 409 },
  ),
  plural: fc.constantFrom("deployments", "pods", "taskqueues"),
});

type Step = (world: World) => Promise<void> | void;

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.integer({ min: 1, max: 10 }).map(
      (count): Step =>
        (world) =>
          void (world.backlog += count),
    ),
  },
  {
    weight: 6,
    arbitrary: fc.tuple(fc.integer({ min: 1, max: SLOTS }), fc.nat(5)).map(
      ([most, first]): Step =>
        (world) =>
          world.claim(most, first),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.integer({ min: 1, max: 3 }).map(
      (every): Step =>
        (world) =>
          world.finish(every),
    ),
  },
  {
    weight: 6,
    arbitrary: fc.integer({ min: 100, max: 40_000 }).map(
      (ms): Step =>
        (world) =>
          world.cluster.advance(ms),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.boolean().map((isAway): Step => ({ cluster }) => {
      cluster.store.away = isAway ? { kind: "Unseen", code: "CONNECTION_LOST", message: "away" } : undefined;
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constant<Step>(async ({ cluster }) => {
      await cluster.kill();
      cluster.lead();
    }),
  },
  {
    weight: 2,
    arbitrary: failure.map(({ fault, plural }): Step => ({ cluster }) => {
      cluster.api.faults.inject(fault, { verbs: ["patch"], plural });
    }),
  },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 4, max: 8 }).map(
      (count): Step =>
        ({ cluster }) =>
          raise(cluster, count),
    ),
  },
);

/** A user wants more; to want less would be to send work away. */
function raise(cluster: ScaledCluster, count: number): void {
  if ((cluster.replicas() ?? 0) < count) cluster.scaleByHand(count);
}

test(
  "no schedule of loads, failures and restarts takes work away, and each ends at zero",
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { minLength: 20, maxLength: 60 }), async (schedule) => {
        const api = await MockApiServer.start({ types: [TASK_QUEUES, DEPLOYMENTS, PODS] });
        const cluster = new ScaledCluster(api);
        try {
          await cluster.start();
          cluster.addQueue({ spec: { scaling: SCALING } });
          cluster.lead();
          const world = new World(cluster);
          for (const step of schedule) await step(world);
          await cluster.settle();

          api.faults.clear();
          cluster.store.away = undefined;
          world.backlog = 0;
          world.finish(1);
          await cluster.advance(180_000);
          expect(world.violations).toEqual([]);
          expect(cluster.replicas()).toBe(0);
          expect(cluster.pods()).toEqual([]);
          expect(cluster.queue().status?.scaling).toMatchObject({ desired: 0, backlog: 0, inFlight: 0 });
          const others = cluster.scaleWrites.filter(
            ({ subresource, fieldManager }) => subresource !== "scale" || fieldManager !== "memflow-replicas",
          );
          expect(others).toEqual([]);
        } finally {
          await cluster.stop();
        }
      }),
      { numRuns: 10 },
    );
  },
);
