/** The kinds of memflow.io/v1alpha1 and the reader of their manifests. */
export { findInputFaults } from "./check-input.ts";
export { API_VERSION, durationMs } from "./fields.ts";
export { storeSchema } from "./kinds/store.ts";
export type { Store } from "./kinds/store.ts";
export { DEV_MODULE_ANNOTATION, queueNameOf, taskQueueSchema } from "./kinds/task-queue.ts";
export type { TaskQueue } from "./kinds/task-queue.ts";
export { DEV_INPUT_ANNOTATION, workflowNameOf, workflowSchema } from "./kinds/workflow.ts";
export type { Workflow } from "./kinds/workflow.ts";
export { ManifestError } from "./manifest-error.ts";
export type { ManifestProblem } from "./manifest-error.ts";
export { parseManifests } from "./parse-manifests.ts";
export type { Manifests, Placed, PlacedTaskQueue, PlacedWorkflow } from "./parse-manifests.ts";
export type { ManifestFile } from "./yaml-documents.ts";
