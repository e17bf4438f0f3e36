/** What all reconcilers share: types of resources, labels, reading specs, writing statuses, reaching Stores. */
export { applyStatus } from "./apply-status.ts";
export type { StatusPart, StatusWrite } from "./apply-status.ts";
export { conditionsOf, findCondition, holds } from "./conditions.ts";
export type { Claim, ClaimOf } from "./conditions.ts";
export { INDEX } from "./dependencies.ts";
export type { Followed, OperatorDependencies, ScalingFigures, ScalingGauges } from "./dependencies.ts";
export * from "./kinds.ts";
export {
  BUILD_LABEL,
  CREDENTIALS_ANNOTATION,
  FIELD_MANAGERS,
  OPERATOR_LABELS,
  TASK_QUEUE_LABEL,
  workerLabels,
  WORKERS_SELECTOR,
} from "./labels.ts";
export { readSchedule, readStore, readTaskQueue, readWorkflow } from "./read-resource.ts";
export type { ReadResource } from "./read-resource.ts";
export { STORE_CREDENTIALS } from "./store-credentials.ts";
export type { ConnectedStore, StoreAccess } from "./store-access.ts";
