/**
 * A worker's pod, as far as scaling asks about it.
 */
import { BUILD_LABEL } from "../../api/index.ts";
import type { Pod } from "../../kube/index.ts";
import { DELETION_COST_ANNOTATION } from "../../scaling/core/plan-scale-in.ts";
import type { ReplicaPod } from "../../scaling/core/plan-scale-in.ts";

/** With the build that it runs. */
export interface WorkerPod extends ReplicaPod {
  readonly buildId: string;
}

/** Reads a pod; what its status does not say yet is not so. */
export function workerPodOf({ metadata, spec, status }: Pod): WorkerPod {
  const phase = status?.phase;
  return {
    name: metadata?.name ?? "",
    buildId: metadata?.labels?.[BUILD_LABEL] ?? "",
    gone: metadata?.deletionTimestamp !== undefined || phase === "Failed" || phase === "Succeeded",
    scheduled: (spec?.nodeName ?? "") !== "",
    phase: phase === "Running" || phase === "Pending" ? phase : "Unknown",
    ready: (status?.conditions ?? []).some(({ type, status: is }) => type === "Ready" && is === "True"),
    deletionCost: costOf(metadata?.annotations?.[DELETION_COST_ANNOTATION]),
  };
}

/** What Kubernetes can't read counts as 0 there too. */
function costOf(text = "0"): number {
  const cost = Number(text);
  return Number.isInteger(cost) ? cost : 0;
}
