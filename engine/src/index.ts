/**
 * The engine's doors: what the SDK, the worker image and the tools of MemFlow build on. Users import `@memflow/sdk`.
 */
export * from "./core/errors.ts";
export { toErrorObject } from "./core/error-object.ts";
export type { ErrorObject } from "./core/error-object.ts";
export { encodeFailure, decodeFailure } from "./core/failure.ts";
export type { FailureJson } from "./core/failure.ts";
export { EVENT_KIND, EVENT_WORD } from "./core/events.ts";
export type { EventKind, HistoryEvent } from "./core/events.ts";
export type { NumberedChange } from "./replay/entity-view.ts";
export { parseDurationMs } from "./core/duration.ts";
export { parseCondition, parseConditions } from "./core/entity-condition.ts";
export type { Condition, ConditionOperator } from "./core/entity-condition.ts";
export { checkChange } from "./core/entity-fold.ts";
export { parsePath } from "./core/entity-path.ts";
export type { EntityChange } from "./core/entity-fold.ts";
export type { Memory } from "./core/memory-fold.ts";
export { checkSearchChange, checkSearchField } from "./core/search-change.ts";
export type { SearchChange, SearchData } from "./core/search-change.ts";
export type { Json, JsonObject } from "./core/json.ts";
export { PAYLOAD_LIMIT_BYTES, decodePayload, encodeArguments, encodePayload } from "./core/payload.ts";
export { FATAL_CODE, normalizeRetryPolicy } from "./core/retry-policy.ts";
export type { RetryPolicy, RetryPolicyOptions } from "./core/retry-policy.ts";
export { CRASH_POINTS, setCrashHook } from "./crash-points.ts";
export type { CrashHook, CrashPoint } from "./crash-points.ts";
export { runOutsideGuards } from "./guards/outside-runs.ts";
export { currentContext } from "./replay/run-context.ts";
export type { RunContext, RunFacts } from "./replay/run-context.ts";
export type { Invoke } from "./replay/run-machine.ts";
export { listenSource, resolveConnection, tlsOptions } from "./store/connection-source.ts";
export type { ConnectionSource } from "./store/connection-source.ts";
export { migrate, schemaVersion } from "./store/migrator.ts";
export { newId } from "./store/new-id.ts";
export { forgetProvisioned, provision } from "./store/provision.ts";
export type { EntitySearch, FoundEntity } from "./client/entity-finder.ts";
export { StoreClient } from "./client/store-client.ts";
export type {
  EventDescription,
  QueueLoad,
  RunDescription,
  RunRecord,
  SignalReceipt,
  SignalRequest,
  StartRequest,
  StopRequest,
} from "./client/store-client.ts";
export type { FollowedPart } from "./client/history-follower.ts";
export type { IdempotencyKey, KeyedOutcome, KeyedStart, KeyedStartRequest } from "./client/keyed-requests.ts";
export type { RunFilter, RunOrder, RunPageQuery, RunPlace } from "./client/run-lists.ts";
export type { HookRequest } from "./client/hook-starts.ts";
export type { RunOutcome } from "./client/result-waiter.ts";
export { currentActivity } from "./worker/activity-executor.ts";
export type { ActivityInfo } from "./worker/activity-executor.ts";
export { activityRegistry } from "./worker/activity-registry.ts";
export type { ActivityFunction } from "./worker/activity-registry.ts";
export { replayRecording } from "./worker/replay-recording.ts";
export type { RecordedRun, ReplayOutcome } from "./worker/replay-recording.ts";
export type { Backfill, OverlapPolicy, ScheduleDefinition } from "./schedules/core/definition.ts";
export { backfillsOf, pauseOf } from "./schedules/core/state.ts";
export type { ScheduleRecord } from "./schedules/schedule-book.ts";
export type { ScheduleDesk } from "./schedules/schedule-desk.ts";
export { retireProcesses } from "./worker/retire-processes.ts";
export { EngineWorker } from "./worker/worker.ts";
export type { WorkerStatus } from "./worker/worker.ts";
export type { WorkerLog, WorkerOptions } from "./worker/worker-options.ts";
