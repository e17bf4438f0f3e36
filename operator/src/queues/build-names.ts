/** Names of builds and of the objects that are made for them: the same for the same content, whoever asks. */
import { createHash } from "node:crypto";
import { queueNameOf } from "@memflow/crds";
import type { TaskQueue, TaskQueueSpec } from "@memflow/crds";
import { buildFingerprint, IN_PLACE_BUILD_ID } from "./core/build-fingerprint.ts";
import { canonicalJson } from "./core/canonical-json.ts";
import type { CodeFiles } from "./core/code-files.ts";
import type { BuildName } from "./core/worker-objects.ts";

const BUILD_ID_LENGTH = 10;
const SUFFIX_LENGTH = 8;

/** The build that a spec asks for. */
export interface TargetBuild extends BuildName {
  /** Of its ControllerRevision, and of the ConfigMap with its copy of inline code: another one for another content. */
  readonly revisionName: string;
}

/** Names the build of a spec. */
export function targetBuildOf(taskQueue: TaskQueue, code: CodeFiles | undefined): TargetBuild {
  const { workers, versioning } = taskQueue.spec;
  const contentHash = hashOf(buildFingerprint(workers, code));
  const buildId =
    versioning.strategy === "InPlace"
      ? IN_PLACE_BUILD_ID
      : (versioning.buildId ?? contentHash.slice(0, BUILD_ID_LENGTH));
  const deploymentName = deploymentNameOf(taskQueue.metadata.name, buildId);
  const revisionName = `${deploymentName}-${contentHash.slice(0, SUFFIX_LENGTH)}`;
  return { taskQueue, buildId, deploymentName, revisionName };
}

/** The name of a build's Deployment. */
export function deploymentNameOf(taskQueueName: string, buildId: string): string {
  return `${taskQueueName}-${hashOf(buildId).slice(0, SUFFIX_LENGTH)}`;
}

/** The service account of a queue's workers that name none of their own. */
export function serviceAccountNameOf(taskQueueName: string): string {
  return `memflow-worker-${taskQueueName}`;
}

/** The budget for evictions of a queue's workers. */
export function disruptionBudgetNameOf(taskQueueName: string): string {
  return `memflow-worker-${taskQueueName}`;
}

/** The workflow id of the run that judges a build: another one for another gate, and for another TaskQueue of the name. */
export function gateWorkflowId(
  taskQueue: TaskQueue,
  buildId: string,
  gate: NonNullable<TaskQueueSpec["versioning"]["rollout"]["gate"]>,
): string {
  const asked = hashOf(canonicalJson([taskQueue.metadata.uid, gate])).slice(0, SUFFIX_LENGTH);
  return `${gateWorkflowIdPrefix(queueNameOf(taskQueue), buildId)}${asked}`;
}

/** How the workflow ids of all runs begin that judge a build, by whichever gate. */
export function gateWorkflowIdPrefix(queueName: string, buildId: string): string {
  return `memflow-gate:${queueName}:${buildId}:`;
}

/** SHA-256 in hexadecimal digits. */
export function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
