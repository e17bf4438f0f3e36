/**
 * `@memflow/sdk`: what users import. Workflows are plain async functions; `MemFlow.workflow` has their durable calls.
 *
 * @example
 * import { Client, MemFlow, Worker } from '@memflow/sdk';
 */
export { MemFlow, MemFlow as Durable } from "./memflow.ts";
export * as Enums from "./enums.ts";
export * as Errors from "./errors.ts";
export { activityInfo } from "./activity.ts";
export { clearActivityInterceptors, registerActivityInterceptor } from "./activity-interceptors.ts";
export type { ActivityCall, ActivityInterceptor } from "./activity-interceptors.ts";
export { registerActivityWorker } from "./activity-worker.ts";
export type { ActivityWorkerConfig } from "./activity-worker.ts";
export type { ActivityInfo } from "@memflow/engine";
export { Client, NAMESPACE_DEFAULT, WorkflowClient } from "./client.ts";
export type { ListFilter } from "./client.ts";
export { Connection } from "./connection.ts";
export type { ConnectionConfig, PoolLike } from "./connection.ts";
export type { EngineClient } from "./engine-client.ts";
export type { EntityConditions, EntityRow, FieldCondition, FindOptions } from "./entity-search.ts";
export { guid } from "./guid.ts";
export { WorkflowHandle } from "./handle.ts";
export type { JobInterruptOptions, ResultOptions } from "./handle.ts";
export { EXPORT_FORMAT } from "./export.ts";
export type {
  ExportOptions,
  ExportPart,
  ExportedRun,
  TimelineEvent,
  WorkflowExport,
  WorkflowMetadata,
  WorkflowState,
} from "./export.ts";
export { replayWorkflow } from "./replay.ts";
export type { ReplayResult } from "./replay.ts";
export { clearInterceptors, registerInterceptor } from "./interceptors.ts";
export type { WorkflowFunction, WorkflowInterceptor } from "./interceptors.ts";
export type { WorkflowConfig, WorkflowOptions } from "./options.ts";
export type { SearchValue, WorkflowSearchOptions } from "./search-options.ts";
export { Worker } from "./worker.ts";
export type { WorkerConfig, WorkerTuning } from "./worker.ts";
export { Entity, Search, WorkflowService as workflow } from "./workflow/index.ts";
export { proxyActivities } from "./workflow/proxy-activities.ts";
export type {
  ActivityConfig,
  EffectConfig,
  ExecHookOptions,
  HookBatchMember,
  HookOptions,
  ProxyType,
  TraceAttributes,
  WorkflowInfo,
} from "./workflow/index.ts";
export {
  ActivityNotFoundError,
  AttemptLostError,
  CanceledError,
  ConnectionError,
  CrossStoreError,
  DeterminismViolation,
  DuplicateJobError,
  DurationError,
  EntityError,
  FatalError,
  GetStateError,
  HistoryMismatchError,
  InterruptedError,
  MaxedError,
  MemFlowError,
  OptionError,
  PayloadError,
  ProcessExitError,
  RetryError,
  RunClosedError,
  SchemaError,
  SearchError,
  StuckError,
  TerminatedError,
  TimeoutError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  didInterrupt,
} from "@memflow/engine";
export type {
  ErrorObject,
  EventDescription,
  FailureJson,
  Json,
  RetryPolicy,
  RetryPolicyOptions,
  RunDescription,
  SignalReceipt,
  WorkerLog,
  WorkerStatus,
} from "@memflow/engine";
