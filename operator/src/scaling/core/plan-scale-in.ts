/**
 * Which pods may go: the order in which a ReplicaSet deletes them, and how far its count may be lowered so that none of
 * those that go holds work.
 *
 * A ReplicaSet knows of the work only what the annotation `controller.kubernetes.io/pod-deletion-cost` tells it. So the
 * costs are written first, only when a scale-in is at hand, and the count is lowered only as far as the costs *seen on the
 * pods* make it safe. A pod that is pending or not ready goes before all ready ones, whatever its cost: when such a one
 * holds work, the count stays.
 *
 * Where work is short and spread evenly, every worker always holds some, and none could ever go. So those beyond the aim
 * are cordoned: they finish what they hold and claim nothing more.
 *
 * @see https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/#pod-deletion-cost
 */
import { holdsOf } from "./queue-observation.ts";
import type { WorkerLoad } from "./queue-observation.ts";

/** The annotation that a ReplicaSet reads; absent is 0. */
export const DELETION_COST_ANNOTATION = "controller.kubernetes.io/pod-deletion-cost";

/** A pod of the build's ReplicaSet. */
export interface ReplicaPod {
  readonly name: string;
  /** It has a deletion timestamp, has failed or succeeded: its ReplicaSet no longer counts it. */
  readonly gone: boolean;
  /** It has a node. */
  readonly scheduled: boolean;
  readonly phase: "Pending" | "Unknown" | "Running";
  readonly ready: boolean;
  /** As seen on the pod; 0 without the annotation. */
  readonly deletionCost: number;
}

/** What is asked for. */
export interface ScaleIn {
  /** Replicas that the Deployment asks for now. */
  readonly current: number;
  /** `replicas` of the decision. */
  readonly wanted: number;
  /** `aim` of the decision. */
  readonly aim: number;
  /** A person has said how many (Manual, External, Paused): workers that hold work may go, the least laden first. */
  readonly holdersMayGo: boolean;
}

/** What to do for a scale-in. */
export interface ScaleInPlan {
  /** Costs to write, of pods whose annotation says something else. */
  readonly costs: readonly { readonly name: string; readonly cost: number }[];
  /** Replicas that may be asked for now: `wanted`, or as close to it as is safe. */
  readonly replicas: number;
  /** Pods that hold work and would be among those that go if the count were lowered further. */
  readonly waitingFor: readonly string[];
  /** Workers that are to claim nothing for {@link CORDON_MS}, so that they run out of work. */
  readonly cordon: readonly string[];
  /** True when every pod is needed: all cordons are to end. */
  readonly liftCordons: boolean;
}

/**
 * How long a worker claims nothing unless it is told so again: long enough to run out of short work, to be given its cost
 * and to be deleted; short enough that nobody misses it when the operator does not come back.
 */
export const CORDON_MS = 30_000;

/** Work in hand weighs more than any number of runs that only wait in memory. */
const HOLDS_COST = 1_000;

/**
 * Plans a scale-in of one build.
 *
 * @param pods - All pods of its ReplicaSet.
 * @param workers - What living workers hold, of every queue.
 * @param request - What is asked for.
 */
export function planScaleIn(
  pods: readonly ReplicaPod[],
  workers: readonly WorkerLoad[],
  { current, wanted, aim, holdersMayGo }: ScaleIn,
): ScaleInPlan {
  const held = heldByHost(workers);
  const active = pods.filter(({ gone }) => !gone);
  const cordon = cordoned(active, held, aim);
  const liftCordons = aim >= active.length;
  if (wanted >= current) return { costs: [], replicas: wanted, waitingFor: [], cordon, liftCordons };
  const costs = active
    .filter(({ name, deletionCost: seen }) => deletionCost(held.get(name)) !== seen)
    .map(({ name }) => ({ name, cost: deletionCost(held.get(name)) }));
  if (holdersMayGo) {
    return { costs, replicas: costs.length === 0 ? wanted : current, waitingFor: [], cordon, liftCordons };
  }

  const order = active.toSorted(byDeletion);
  const excess = Math.max(0, active.length - wanted);
  const holder = order.find(({ name }) => holds(held, name));
  // What is equal in every respect that we know may go in any order.
  const spare = holder === undefined ? excess : order.filter((pod) => byDeletion(pod, holder) < 0).length;
  return {
    costs,
    replicas: Math.min(current, Math.max(wanted, active.length - Math.min(excess, spare))),
    waitingFor: order
      .slice(0, excess)
      .map(({ name }) => name)
      .filter((name) => holds(held, name)),
    cordon,
    liftCordons,
  };
}

/** Holders beyond the aim, the least laden first: only by claiming nothing more do they ever become idle. */
function cordoned(
  active: readonly ReplicaPod[],
  held: ReadonlyMap<string, HeldWork>,
  aim: number,
): readonly string[] {
  const holders = active
    .map(({ name }) => held.get(name))
    .filter((work): work is HeldWork => work !== undefined && work.inHand > 0);
  return holders
    .toSorted((left, right) => left.inHand - right.inHand)
    .slice(0, Math.max(0, holders.length - aim))
    .flatMap(({ workerIds }) => workerIds);
}

/**
 * The cost of a pod, by what its worker holds. Coarse on purpose: each change is a write to the API server.
 *
 * @param held - Undefined when no living worker is known there.
 * @returns 0 for nothing; 1 to 54 by the magnitude of what only waits in its memory; from 1,000 on by that of the work.
 */
export function deletionCost(held: Omit<HeldWork, "workerIds"> | undefined): number {
  if (held === undefined) return 0;
  if (held.inHand > 0) return HOLDS_COST + magnitude(held.inHand);
  return held.ownedRuns > 0 ? magnitude(held.ownedRuns) : 0;
}

/** What one pod's worker holds. */
export interface HeldWork {
  readonly workerIds: readonly string[];
  /** Busy runs and attempts. */
  readonly inHand: number;
  readonly ownedRuns: number;
}

function heldByHost(workers: readonly WorkerLoad[]): ReadonlyMap<string, HeldWork> {
  const held = new Map<string, HeldWork>();
  for (const worker of workers) {
    if (worker.host === null) continue;
    const known = held.get(worker.host) ?? { workerIds: [], inHand: 0, ownedRuns: 0 };
    held.set(worker.host, {
      workerIds: [...known.workerIds, worker.workerId],
      inHand: known.inHand + holdsOf(worker),
      ownedRuns: known.ownedRuns + worker.ownedRuns,
    });
  }
  return held;
}

function holds(held: ReadonlyMap<string, HeldWork>, name: string): boolean {
  return (held.get(name)?.inHand ?? 0) > 0;
}

function magnitude(count: number): number {
  return 1 + Math.floor(Math.log2(count));
}

const PHASE_RANK: Readonly<Record<ReplicaPod["phase"], number>> = { Pending: 0, Unknown: 1, Running: 2 };

/** The ReplicaSet controller's order as far as it is documented; negative when `left` goes first. */
function byDeletion(left: ReplicaPod, right: ReplicaPod): number {
  return (
    Number(left.scheduled) - Number(right.scheduled) ||
    PHASE_RANK[left.phase] - PHASE_RANK[right.phase] ||
    Number(left.ready) - Number(right.ready) ||
    left.deletionCost - right.deletionCost
  );
}
