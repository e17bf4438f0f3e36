/**
 * The rules that the simulator compares: ours, KEDA's with a HorizontalPodAutoscaler behind it, and the latter alone.
 */
import { decide } from "../core/decide.ts";
import type { BuildDecision } from "../core/decide-build.ts";
import { EMPTY_MEMORY } from "../core/memory.ts";
import type { ScalingMemory } from "../core/memory.ts";
import { CORDON_MS, planScaleIn } from "../core/plan-scale-in.ts";
import { DEFAULT_POLICY } from "../core/policy.ts";
import type { ScalingPolicy } from "../core/policy.ts";
import { observeQueue } from "../core/queue-observation.ts";
import type { QueueFacts, WorkerLoad } from "../core/queue-observation.ts";
import type { Cluster, Pod } from "./cluster.ts";
import { HPA_SYNC_MS, HorizontalPodAutoscaler } from "./horizontal-pod-autoscaler.ts";

/** What decides about a cluster, look by look. */
export interface Autoscaler {
  /** True when the first arrival at zero replicas wakes it. */
  readonly woken: boolean;
  /** Looks, and scales; returns when to look again. */
  look(cluster: Cluster): number;
}

/** A rule to compare. */
export interface Rule {
  readonly name: string;
  readonly title: string;
  make(): Autoscaler;
}

/** Slots of a simulated worker; small, so that few tasks make a figure. */
export const SLOTS = 10;
const MAX_REPLICAS = 20;

/** The queue's policy: everything else as by default. */
export const SIMULATED_POLICY: ScalingPolicy = {
  ...DEFAULT_POLICY,
  maxReplicas: MAX_REPLICAS,
  slotsPerReplica: SLOTS,
  targetBacklogPerReplica: SLOTS,
};

/** Running tasks are asked for at the utilisation that our rule aims at, so that rules are compared and not targets. */
const ALL_TARGET = (SLOTS * SIMULATED_POLICY.targetSlotUtilizationPercent) / 100;

/** Every rule, in the order of the docs. */
export const RULES: readonly Rule[] = [
  { name: "memflow", title: "MemFlow", make: () => new OwnRule() },
  {
    name: "keda-ready",
    title: "KEDA, ready tasks",
    make: () => new KedaRule(({ backlog }) => backlog, SIMULATED_POLICY.targetBacklogPerReplica),
  },
  { name: "keda-all", title: "KEDA, ready and running", make: () => new KedaRule(allTasks, ALL_TARGET) },
  { name: "hpa", title: "HPA, ready and running", make: () => new HpaRule() },
];

/** The rule of this folder, with its costs and its memory. */
class OwnRule implements Autoscaler {
  readonly woken = true;
  #memory: ScalingMemory = EMPTY_MEMORY;

  look(cluster: Cluster): number {
    const facts = factsOf(cluster);
    const { observation } = observeQueue(facts);
    const { decision, memory } = decide(observation, SIMULATED_POLICY, this.#memory);
    this.#memory = memory;
    for (const build of decision.builds) this.#apply(cluster, facts, build);
    return decision.lookAgainInMs;
  }

  #apply(cluster: Cluster, { load }: QueueFacts, { replicas: wanted, aim }: BuildDecision): void {
    const workers = load.kind === "Seen" ? load.workers : [];
    const plan = planScaleIn(
      cluster.pods.map((pod) => ({
        name: pod.name,
        gone: pod.draining,
        scheduled: true,
        phase: "Running",
        ready: pod.ready,
        deletionCost: pod.deletionCost,
      })),
      workers,
      { current: cluster.desired, wanted, aim, holdersMayGo: false },
    );
    cluster.scale(plan.replicas);
    if (plan.liftCordons) cluster.liftCordons();
    else cluster.cordon(plan.cordon, CORDON_MS);
    for (const pod of cluster.pods) {
      const cost = plan.costs.find(({ name }) => name === pod.name)?.cost;
      if (cost !== undefined) pod.deletionCost = cost;
    }
  }
}

/** A HorizontalPodAutoscaler on an external metric; it can't leave zero, so its minimum is one. */
class HpaRule implements Autoscaler {
  readonly woken = false;
  readonly #hpa = makeHpa(ALL_TARGET);

  look(cluster: Cluster): number {
    if (cluster.desired === 0) cluster.scale(1);
    const metric = cluster.databaseAway ? null : allTasks(cluster);
    cluster.scale(this.#hpa.sync(cluster.nowMs, cluster.desired, metric));
    return HPA_SYNC_MS;
  }
}

const KEDA_POLLING_MS = 30_000;
const KEDA_COOLDOWN_MS = 300_000;

/** KEDA's defaults: it polls for 0 to 1 and for 1 to 0; between, its HorizontalPodAutoscaler asks it for the metric. */
class KedaRule implements Autoscaler {
  readonly woken = false;
  readonly #hpa: HorizontalPodAutoscaler;
  readonly #metricOf: (cluster: Cluster) => number;
  #lastActiveMs: number | null = null;

  constructor(metricOf: (cluster: Cluster) => number, targetAverageValue: number) {
    this.#hpa = makeHpa(targetAverageValue);
    this.#metricOf = metricOf;
  }

  look(cluster: Cluster): number {
    const metric = cluster.databaseAway ? null : this.#metricOf(cluster);
    if (cluster.nowMs % KEDA_POLLING_MS === 0) this.#poll(cluster, metric);
    cluster.scale(this.#hpa.sync(cluster.nowMs, cluster.desired, metric));
    return HPA_SYNC_MS;
  }

  #poll(cluster: Cluster, metric: number | null): void {
    // An error without a fallback changes nothing.
    if (metric === null) return;
    if (metric > 0) {
      this.#lastActiveMs = cluster.nowMs;
      if (cluster.desired === 0) cluster.scale(1);
      return;
    }
    const idleMs = this.#lastActiveMs === null ? Infinity : cluster.nowMs - this.#lastActiveMs;
    if (idleMs > KEDA_COOLDOWN_MS) cluster.scale(0);
  }
}

function makeHpa(targetAverageValue: number): HorizontalPodAutoscaler {
  return new HorizontalPodAutoscaler({
    minReplicas: 1,
    maxReplicas: MAX_REPLICAS,
    targetAverageValue,
    behavior: SIMULATED_POLICY.behavior,
  });
}

function allTasks({ backlog, running }: Cluster): number {
  return backlog + running;
}

const BUILD = "simulated";

/** What the operator would know of the cluster and its store. */
function factsOf(cluster: Cluster): QueueFacts {
  const { backlog, oldestAgeMs, nextTimerInMs, pods, desired } = cluster;
  const ready = pods.filter((pod) => pod.ready && !pod.draining).length;
  return {
    queueName: BUILD,
    atMs: cluster.nowMs,
    annotations: {},
    builds: [
      {
        buildId: BUILD,
        role: "Current",
        sharePercent: 100,
        replicas: { desired, ready, unavailable: desired - ready },
      },
    ],
    pods: pods.map(({ name, draining }) => ({ name, buildId: BUILD, terminating: draining })),
    load: cluster.databaseAway
      ? { kind: "Unseen", code: "DATABASE_UNREACHABLE", message: "the simulated database is away" }
      : {
          kind: "Seen",
          waiting: [{ buildId: null, ready: backlog, oldestAgeMs, nextTimerInMs, unserved: 0 }],
          workers: pods.map(workerOf),
        },
  };
}

function workerOf({ name, tasks }: Pod): WorkerLoad {
  return {
    workerId: name,
    host: name,
    buildId: BUILD,
    busyRuns: 0,
    attempts: tasks.size,
    ownedRuns: 0,
    nextTimerInMs: null,
  };
}
