/** What of a TaskQueue's builds is in the cluster, as far as it is followed. */
import type { BuildRecord } from "./core/worker-objects.ts";
import { BUILD_LABEL, INDEX } from "../api/index.ts";
import type { Followed } from "../api/index.ts";
import type { ControllerRevision, Deployment, KubeObject, Pod } from "../kube/index.ts";

/** One build. */
export interface BuildObjects {
  readonly buildId: string;
  readonly deployment: Deployment | undefined;
  /** With its templates, the newest first. */
  readonly revisions: readonly ControllerRevision[];
  readonly pods: readonly Pod[];
}

/** The builds of a queue by their ids, without those that are being deleted. */
export type QueueObjects = ReadonlyMap<string, BuildObjects>;

/** Gathers them. Whose Deployment and revisions are both gone is no build any more, pods or not. */
export function gatherObjects(followed: Followed, key: string, uid: string | undefined): QueueObjects {
  const deployments = followed.deployments.store.find(INDEX.taskQueue, key).filter((one) => isOf(one, uid));
  const revisions = followed.controllerRevisions.store
    .find(INDEX.taskQueue, key)
    .filter((one) => isOf(one, uid))
    .toSorted((left, right) => right.revision - left.revision);
  const pods = Map.groupBy(followed.pods.store.find(INDEX.taskQueue, key), buildOf);
  const revisionsByBuild = Map.groupBy(revisions, buildOf);
  const deploymentByBuild = new Map(deployments.map((one) => [buildOf(one), one]));
  const buildIds = new Set([...deploymentByBuild.keys(), ...revisionsByBuild.keys()]);
  return new Map(
    [...buildIds].map((buildId) => [
      buildId,
      {
        buildId,
        deployment: deploymentByBuild.get(buildId),
        revisions: revisionsByBuild.get(buildId) ?? [],
        pods: pods.get(buildId) ?? [],
      },
    ]),
  );
}

/** What a ControllerRevision holds. */
export function recordOf(revision: ControllerRevision): BuildRecord {
  return revision.data as BuildRecord;
}

/** How many workers a build should have, and has. */
export function replicasOf({ deployment }: BuildObjects): {
  readonly replicas: number;
  readonly readyReplicas: number;
} {
  return {
    replicas: deployment?.spec?.replicas ?? 0,
    readyReplicas: deployment?.status?.readyReplicas ?? 0,
  };
}

function buildOf({ metadata }: KubeObject): string {
  return metadata?.labels?.[BUILD_LABEL] ?? "";
}

/** Not of an earlier TaskQueue of the same name, whose objects are about to be collected; and not on its way out. */
function isOf({ metadata }: KubeObject, uid: string | undefined): boolean {
  return (
    metadata?.deletionTimestamp === undefined &&
    (metadata?.ownerReferences ?? []).some((owner) => owner.uid === uid)
  );
}
