/** The status of a TaskQueue, but for what those who write replicas say, and the Events that its changes are. */
import type { Condition, TaskQueueStatus } from "@memflow/crds";
import type { Version, VersionEvent, VersionStatus } from "./rollout-facts.ts";

/** What is written besides conditions. */
export const STATUS_FIELDS: readonly (keyof TaskQueueStatus)[] = [
  "observedGeneration",
  "replicas",
  "readyReplicas",
  "selector",
  "currentBuildId",
  "targetBuildId",
  "versions",
  "lastPromotion",
];

/** What is counted of one build. */
export interface BuildCounts {
  readonly replicas: number;
  readonly readyReplicas: number;
  /** Pods that exist, asked for or not. */
  readonly actualReplicas: number;
  readonly openRuns: number | undefined;
  readonly unowned: number | undefined;
  readonly revision: string | undefined;
}

/** What a status is made from. */
export interface StatusFacts {
  readonly generation: number | undefined;
  readonly selector: string;
  readonly targetBuildId: string | undefined;
  readonly versions: readonly Version[];
  readonly countsOf: (buildId: string) => BuildCounts;
  readonly lastPromotion: string | undefined;
  readonly conditions: readonly Condition[];
}

/** Who gets new runs comes first; then, of each phase, what came into it last. */
const ORDER: readonly Version["phase"][] = ["Current", "Ramping", "Pending", "Draining", "Drained"];

/** Makes the status. */
export function queueStatus(facts: StatusFacts): TaskQueueStatus {
  const { generation, targetBuildId, lastPromotion, countsOf } = facts;
  const versions = facts.versions.toSorted(
    (left, right) =>
      ORDER.indexOf(left.phase) - ORDER.indexOf(right.phase) ||
      right.sinceMs - left.sinceMs ||
      (left.buildId < right.buildId ? -1 : 1),
  );
  const counts = versions.map(({ buildId }) => countsOf(buildId));
  const [first] = versions;
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    replicas: sum(counts.map(({ actualReplicas }) => actualReplicas)),
    readyReplicas: sum(counts.map(({ readyReplicas }) => readyReplicas)),
    selector: facts.selector,
    ...(first?.phase === "Current" ? { currentBuildId: first.buildId } : {}),
    ...(targetBuildId === undefined ? {} : { targetBuildId }),
    versions: versions.map((version) => versionStatus(version, countsOf(version.buildId))),
    ...(lastPromotion === undefined ? {} : { lastPromotion }),
    conditions: [...facts.conditions],
  };
}

/** Those Events that the change from one status to another stands for: what only persists is not told again. */
export function newEvents(
  events: readonly VersionEvent[],
  previous: readonly Condition[] | undefined,
  next: readonly Condition[],
): readonly VersionEvent[] {
  const before = previous?.find(({ type }) => type === "Progressing");
  const after = next.find(({ type }) => type === "Progressing");
  const persists = before?.reason === after?.reason && before?.message === after?.message;
  return events.filter(({ type }) => type === "Normal" || !persists);
}

function versionStatus(
  { buildId, phase, sinceMs, rampPercent }: Version,
  counts: BuildCounts,
): VersionStatus {
  const { replicas, readyReplicas, openRuns, unowned, revision } = counts;
  return {
    buildId,
    phase,
    ...(rampPercent === undefined ? {} : { rampPercent }),
    replicas,
    readyReplicas,
    ...(openRuns === undefined || phase === "Current" ? {} : { pinnedRuns: openRuns }),
    ...(unowned === undefined || phase === "Current" ? {} : { unassigned: unowned }),
    ...(revision === undefined ? {} : { revision }),
    since: new Date(sinceMs).toISOString(),
  };
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
