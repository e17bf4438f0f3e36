/**
 * Puts together what a decision is made from: the store's view of a queue, and the cluster's view of its pods.
 *
 * A worker is the pod whose name it gives as its host. Work that workers of nobody's Deployment hold (the SDK alone on the
 * same queue) is theirs: it asks for no replica of ours and keeps none.
 */
import { NOTHING_WAITS } from "./observation.ts";
import type {
  BuildObservation,
  BuildRole,
  QueueObservation,
  UnseenQueue,
  WaitingLoad,
} from "./observation.ts";
import { readPause } from "./pause.ts";

/** What waits for one build; null: for whichever gets new runs. */
export interface BuildWaiting extends WaitingLoad {
  readonly buildId: string | null;
}

/** What one living worker holds of one queue. */
export interface WorkerLoad {
  readonly workerId: string;
  /** Name of the machine, which in a cluster is the pod's. */
  readonly host: string | null;
  readonly buildId: string | null;
  readonly busyRuns: number;
  /** Attempts leased from the queue. */
  readonly attempts: number;
  /** Runs in its memory, busy or parked. */
  readonly ownedRuns: number;
  /** Until the next moment that one of its parked runs waits for; null without one. */
  readonly nextTimerInMs: number | null;
}

/** One queue of a store as the database knows it. */
export interface QueueLoad {
  readonly kind: "Seen";
  readonly waiting: readonly BuildWaiting[];
  readonly workers: readonly WorkerLoad[];
}

/** A Deployment of the queue. */
export interface BuildReplicas extends Pick<
  BuildObservation,
  "buildId" | "role" | "sharePercent" | "replicas"
> {
  readonly role: BuildRole;
}

/** A pod of one of these Deployments. */
export interface BuildPod {
  readonly name: string;
  readonly buildId: string;
  /** It has a deletion timestamp: it drains, and counts for no bound. */
  readonly terminating: boolean;
}

/** What is known of a queue, from both sides. */
export interface QueueFacts {
  readonly queueName: string;
  readonly atMs: number;
  readonly load: QueueLoad | UnseenQueue;
  readonly builds: readonly BuildReplicas[];
  readonly pods: readonly BuildPod[];
  /** Of the TaskQueue. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** An observation, and what in the annotations can't be read. */
export interface ObservedQueue {
  readonly observation: QueueObservation;
  readonly faults: readonly string[];
}

/** Puts them together. */
export function observeQueue(facts: QueueFacts): ObservedQueue {
  const { queueName, atMs, load } = facts;
  const { pause, faults } = readPause(facts.annotations);
  const seen = load.kind === "Seen" ? load : { waiting: [], workers: [] };
  return {
    faults,
    observation: {
      queueName,
      atMs,
      pause,
      load: load.kind === "Seen" ? { kind: "Seen", unassigned: waitingFor(null, seen.waiting) } : load,
      builds: facts.builds.map((build) => observeBuild(build, facts.pods, seen)),
    },
  };
}

function observeBuild(
  build: BuildReplicas,
  pods: readonly BuildPod[],
  { waiting, workers }: Pick<QueueLoad, "waiting" | "workers">,
): BuildObservation {
  const buildOf = new Map(pods.map(({ name, buildId }) => [name, buildId]));
  const own = workers.filter(({ host, buildId }) => (buildOf.get(host ?? "") ?? buildId) === build.buildId);
  const holding = new Set(own.filter((worker) => holdsOf(worker) > 0).map(({ host }) => host));
  const stays = pods.filter(({ buildId, terminating }) => buildId === build.buildId && !terminating);
  const pinned = waitingFor(build.buildId, waiting);
  return {
    ...build,
    waiting: {
      ...pinned,
      nextTimerInMs: earliest([pinned.nextTimerInMs, ...own.map(({ nextTimerInMs }) => nextTimerInMs)]),
    },
    inFlight: own.reduce((sum, worker) => sum + holdsOf(worker), 0),
    holders: stays.filter(({ name }) => holding.has(name)).length,
  };
}

/** Work that a worker would lose, or have to finish, if it went now. */
export function holdsOf({ busyRuns, attempts }: Pick<WorkerLoad, "busyRuns" | "attempts">): number {
  return busyRuns + attempts;
}

function waitingFor(buildId: string | null, waiting: readonly BuildWaiting[]): WaitingLoad {
  const { buildId: _buildId, ...load } = waiting.find((part) => part.buildId === buildId) ?? {
    buildId,
    ...NOTHING_WAITS,
  };
  return load;
}

function earliest(moments: readonly (number | null)[]): number | null {
  const known = moments.filter((ms) => ms !== null);
  return known.length === 0 ? null : Math.min(...known);
}
