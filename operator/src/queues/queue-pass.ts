/** What one pass over a TaskQueue has read, and what it says in the end. */
import type { TaskQueue, TaskQueueStatus } from "@memflow/crds";
import {
  applyStatus,
  conditionsOf,
  FIELD_MANAGERS,
  findCondition,
  TASK_QUEUE_LABEL,
  TASK_QUEUES,
} from "../api/index.ts";
import type { OperatorDependencies, TaskQueueObject } from "../api/index.ts";
import type { ReconcileContext } from "../kube/index.ts";
import { findPodFault } from "./core/pod-faults.ts";
import { CLAIMED_CONDITIONS, queueClaims } from "./core/queue-claims.ts";
import type { ClaimFacts } from "./core/queue-claims.ts";
import { newEvents, queueStatus, STATUS_FIELDS } from "./core/queue-status.ts";
import type { BuildCounts } from "./core/queue-status.ts";
import type { BuildFacts, Version, VersionEvent } from "./core/rollout-facts.ts";
import { replicasOf } from "./queue-objects.ts";
import type { QueueObjects } from "./queue-objects.ts";
import type { BuildsLook } from "./store-builds.ts";

/** One pass. */
export interface Pass {
  readonly key: string;
  readonly object: TaskQueueObject;
  readonly taskQueue: TaskQueue;
  readonly context: ReconcileContext;
  readonly nowMs: number;
  /** The newest status that is known: what we wrote may not have come back yet. */
  readonly previous: TaskQueueStatus | undefined;
  readonly objects: QueueObjects;
}

/** What a pass says. */
export interface Verdict extends Pick<ClaimFacts, "store" | "code" | "progress" | "deletion"> {
  readonly objects: QueueObjects;
  readonly versions: readonly Version[];
  readonly targetBuildId: string | undefined;
  readonly openRuns: BuildsLook["openRuns"];
  readonly lastPromotion: string | undefined;
  readonly events: readonly VersionEvent[];
}

/** What is known of the builds, from the cluster, the status, and the database as far as it was asked. */
export function buildFactsOf(
  { objects, previous }: Pick<Pass, "objects" | "previous">,
  openRuns: BuildsLook["openRuns"],
): readonly BuildFacts[] {
  return [...objects.values()].map((build) => {
    const known = previous?.versions?.find(({ buildId }) => buildId === build.buildId);
    return {
      buildId: build.buildId,
      phase: known?.phase,
      sinceMs: known?.since === undefined ? undefined : Date.parse(known.since),
      rampPercent: known?.rampPercent,
      readyReplicas: replicasOf(build).readyReplicas,
      fault: findPodFault(build.pods)?.message,
      openRuns: openRuns === undefined ? undefined : (openRuns.get(build.buildId)?.openRuns ?? 0),
    };
  });
}

/** Makes the status of a verdict. */
export function statusOf(pass: Pass, verdict: Verdict): TaskQueueStatus {
  const { taskQueue, previous, nowMs } = pass;
  const { generation, name } = taskQueue.metadata;
  const claims = queueClaims(claimFactsOf(verdict));
  const conditions = conditionsOf(claims, previous?.conditions, {
    generation,
    now: new Date(nowMs).toISOString(),
  });
  // What can't be known at the moment stays as it was.
  const progressing = findCondition(previous, "Progressing");
  const isKnown = progressing === undefined || claims.some(({ type }) => type === "Progressing");
  return queueStatus({
    generation,
    selector: `${TASK_QUEUE_LABEL}=${name}`,
    targetBuildId: verdict.targetBuildId,
    versions: verdict.versions,
    countsOf: (buildId) => countsOf(verdict, buildId),
    lastPromotion: verdict.lastPromotion,
    conditions: isKnown ? conditions : [...conditions, progressing],
  });
}

/** Writes a status where it is new, and then tells what it stands for. */
export async function writeStatus(
  { events }: Pick<OperatorDependencies, "events">,
  { object, context, previous }: Pick<Pass, "object" | "context" | "previous">,
  { status, told }: { readonly status: TaskQueueStatus; readonly told: readonly VersionEvent[] },
): Promise<void> {
  const written = await applyStatus({
    client: context.client,
    type: TASK_QUEUES,
    object,
    status,
    ownedFields: STATUS_FIELDS,
    ownedConditions: CLAIMED_CONDITIONS,
    fieldManager: FIELD_MANAGERS.queues,
    signal: context.signal,
  });
  if (written === undefined) return;
  const { conditions = [] } = status;
  const store = findCondition(status, "StoreReady");
  const before = findCondition(previous, "StoreReady");
  if (store?.status === "False" && before?.status !== "False") {
    // Both were applied together, and the Store takes its time.
    const isFirst = before === undefined && store.reason === "StoreNotReady";
    events.record({
      regarding: object,
      type: isFirst ? "Normal" : "Warning",
      reason: "StoreNotReady",
      action: "Reconcile",
      note: store.message,
    });
  }
  for (const event of newEvents(told, previous?.conditions, conditions)) {
    events.record({ regarding: object, action: "Rollout", ...event });
  }
}

function claimFactsOf({ versions, objects, openRuns, ...verdict }: Verdict): ClaimFacts {
  const currentId = versions.find(({ phase }) => phase === "Current")?.buildId;
  const current = currentId === undefined ? undefined : objects.get(currentId);
  const counts = current && replicasOf(current);
  return {
    ...verdict,
    current:
      current === undefined || counts === undefined
        ? undefined
        : {
            buildId: current.buildId,
            desired: counts.replicas,
            ready: counts.readyReplicas,
            fault: findPodFault(current.pods),
          },
    draining: versions
      .filter(({ phase }) => phase === "Draining")
      .map(({ buildId }) => ({ buildId, openRuns: openRuns?.get(buildId)?.openRuns ?? (openRuns && 0) })),
  };
}

function countsOf({ objects, openRuns }: Verdict, buildId: string): BuildCounts {
  const build = objects.get(buildId);
  const open = openRuns?.get(buildId);
  return {
    ...(build === undefined ? { replicas: 0, readyReplicas: 0 } : replicasOf(build)),
    actualReplicas: build?.deployment?.status?.replicas ?? 0,
    openRuns: open?.openRuns ?? (openRuns && 0),
    unowned: open?.unowned ?? (openRuns && 0),
    revision: build?.revisions[0]?.metadata?.name,
  };
}
