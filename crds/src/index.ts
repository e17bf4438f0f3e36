/** The kinds of memflow.io/v1alpha1, what their manifests may say, and the reader of manifests. */
export { compileInputSchema, findInputFaults } from "./check-input.ts";
export { faultsOf, formatPath } from "./field-faults.ts";
export type { FieldFault } from "./field-faults.ts";
export type { Condition, ConditionCatalog, ConditionReason, ConditionType } from "./conditions.ts";
export { CONDITION_MESSAGE_MAX } from "./conditions.ts";
export { durationMs } from "./durations.ts";
export { API_GROUP, API_VERSION, dateTimeMs, VERSION_NAME } from "./fields.ts";
export { customResourceDefinition, SCHEMA_HASH_ANNOTATION } from "./generate/custom-resource-definition.ts";
export type { CustomResourceDefinition } from "./generate/custom-resource-definition.ts";
export { KINDS } from "./kinds.ts";
export type { KindDefinition } from "./kind-definition.ts";
export {
  SCHEDULE,
  SCHEDULE_CONDITIONS,
  SCHEDULE_EVENTS,
  scheduleSchema,
  TRIGGER_ANNOTATION,
  workflowIdPrefixOf,
} from "./kinds/schedule.ts";
export type { Schedule, ScheduleSpec, ScheduleStatus } from "./kinds/schedule.ts";
export {
  APPROVE_MIGRATION_ANNOTATION,
  ROTATE_CREDENTIALS_ANNOTATION,
  STORE,
  STORE_CONDITIONS,
  STORE_EVENTS,
  storeSchema,
} from "./kinds/store.ts";
export type { Store, StoreSpec, StoreStatus } from "./kinds/store.ts";
export {
  DEV_MODULE_ANNOTATION,
  PROMOTE_ANNOTATION,
  queueNameOf,
  TASK_QUEUE,
  taskQueueSchema,
} from "./kinds/task-queue.ts";
export type { TaskQueue, TaskQueueSpec, TaskQueueStatus } from "./kinds/task-queue.ts";
export { TASK_QUEUE_CONDITIONS, TASK_QUEUE_EVENTS } from "./kinds/task-queue/conditions.ts";
export {
  DEV_INPUT_ANNOTATION,
  WORKFLOW,
  WORKFLOW_CONDITIONS,
  WORKFLOW_EVENTS,
  workflowNameOf,
  workflowSchema,
} from "./kinds/workflow.ts";
export type { Workflow, WorkflowSpec, WorkflowStatus } from "./kinds/workflow.ts";
export { ManifestError } from "./manifest-error.ts";
export type { ManifestProblem } from "./manifest-error.ts";
export { parseManifests } from "./parse-manifests.ts";
export type {
  Manifests,
  Placed,
  PlacedSchedule,
  PlacedTaskQueue,
  PlacedWorkflow,
} from "./parse-manifests.ts";
export { findUpdateFaults } from "./schema-tree.ts";
export type { UpdateFault } from "./schema-tree.ts";
export { byAge, workflowSettings } from "./workflow-settings.ts";
export type { WorkflowSettings } from "./workflow-settings.ts";
export type { ManifestFile } from "./yaml-documents.ts";
