/**
 * The objects that the operator makes for the workers of a queue. Each belongs to its TaskQueue, so that the cluster removes
 * it with the queue, operator or not.
 *
 * No Deployment here says `replicas`: they are others' to write.
 */
import type { TaskQueue } from "@memflow/crds";
import { API_VERSION } from "@memflow/crds";
import { TASK_QUEUE_LABEL, BUILD_LABEL, workerLabels } from "../../api/labels.ts";
import type {
  ConfigMap,
  ControllerRevision,
  Deployment,
  PodDisruptionBudget,
  ServiceAccount,
} from "../../kube/kubernetes-kinds.ts";
import type { CodeFiles } from "./code-files.ts";
import { configMapEntries, WORKER_CONTAINER } from "./pod-template.ts";
import type { PodTemplate } from "./pod-template.ts";

type ObjectMeta = NonNullable<Deployment["metadata"]>;

/** ReplicaSets that a Deployment keeps: a build's template changes with credentials alone, and the builds are our history. */
const REVISION_HISTORY_LIMIT = 2;
const PROGRESS_DEADLINE_SECONDS = 600;

/** What a ControllerRevision holds of a build. */
export interface BuildRecord {
  readonly template: PodTemplate;
}

/** One build of a queue, by its names. */
export interface BuildName {
  readonly taskQueue: TaskQueue;
  readonly buildId: string;
  /** Of its Deployment. */
  readonly deploymentName: string;
}

/** The Deployment of a build, but for its replicas. */
export function deploymentOf(build: BuildName, template: PodTemplate): Deployment {
  const { taskQueue, buildId, deploymentName } = build;
  return {
    metadata: metadataOf(taskQueue, deploymentName, buildId),
    spec: {
      selector: selectorOf(build),
      revisionHistoryLimit: REVISION_HISTORY_LIMIT,
      progressDeadlineSeconds: PROGRESS_DEADLINE_SECONDS,
      // A pod goes when its successor serves.
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: 0 } },
      template: template as NonNullable<Deployment["spec"]>["template"],
    },
  };
}

/**
 * The least that makes a Deployment, at zero. Who creates an object owns all its fields, `replicas` too; so there is nothing in
 * it that would ever have to go, and no label by which those who write replicas would find it before it is complete.
 */
export function bareDeploymentOf(build: BuildName, template: PodTemplate): Deployment {
  const { taskQueue, buildId, deploymentName } = build;
  const { containers } = template.spec as { containers: readonly { name: string; image: string }[] };
  const image = containers.find(({ name }) => name === WORKER_CONTAINER)?.image;
  const selector = selectorOf(build);
  const { labels: _, ...metadata } = metadataOf(taskQueue, deploymentName, buildId);
  return {
    metadata,
    spec: {
      replicas: 0,
      selector,
      template: {
        metadata: { labels: selector.matchLabels },
        spec: { containers: [{ name: WORKER_CONTAINER, image }] },
      },
    },
  } as Deployment;
}

/** The template of a build, kept for as long as the build lives. It can't be changed, only made and deleted. */
export function revisionOf(
  build: BuildName,
  record: BuildRecord,
  { name, revision }: { readonly name: string; readonly revision: number },
): ControllerRevision {
  return {
    metadata: metadataOf(build.taskQueue, name, build.buildId),
    revision,
    data: record,
  };
}

/** A build's own copy of inline code: what the user changes later concerns later builds. */
export function codeConfigMapOf(build: BuildName, code: CodeFiles, name: string): ConfigMap {
  const data = configMapEntries(code.files).map(({ key, text }) => [key, text] as const);
  return {
    metadata: metadataOf(build.taskQueue, name, build.buildId),
    immutable: true,
    data: Object.fromEntries(data),
  };
}

/** Evictions take so many workers of the queue at a time; one that does not even run never holds a drain up. */
export function disruptionBudgetOf(taskQueue: TaskQueue, name: string): PodDisruptionBudget {
  return {
    metadata: metadataOf(taskQueue, name),
    spec: {
      maxUnavailable: taskQueue.spec.workers.pdb.maxUnavailable,
      unhealthyPodEvictionPolicy: "AlwaysAllow",
      selector: { matchLabels: { [TASK_QUEUE_LABEL]: taskQueue.metadata.name } },
    },
  };
}

/** Whom workers are to the API server: somebody without rights, whose token they don't even get. */
export function serviceAccountOf(taskQueue: TaskQueue, name: string): ServiceAccount {
  return { metadata: metadataOf(taskQueue, name), automountServiceAccountToken: false };
}

function selectorOf({ taskQueue, buildId }: BuildName): { matchLabels: Record<string, string> } {
  return { matchLabels: { [TASK_QUEUE_LABEL]: taskQueue.metadata.name, [BUILD_LABEL]: buildId } };
}

function metadataOf({ metadata }: TaskQueue, name: string, buildId?: string): ObjectMeta {
  const { namespace, uid } = metadata;
  return {
    name,
    namespace,
    labels: { ...workerLabels(metadata.name, buildId) },
    ownerReferences: [
      {
        apiVersion: API_VERSION,
        kind: "TaskQueue",
        name: metadata.name,
        uid,
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
  } as ObjectMeta;
}
