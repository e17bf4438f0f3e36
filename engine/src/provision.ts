/**
 * The engine's door for those who provide stores and look after them, such as the operator: connections, migrations,
 * sessions for statements of their own, to be woken when there is something to do, and the store's schedules. They start
 * and end no run but those of schedules and gates, and execute none.
 *
 * To be woken by the starts of a queue: `assertUsable` says whether a pooler stands between, `listenSource` gives the
 * connection on which LISTEN works (undefined where only polling does), and a `Listener` on it hears `queueChannel`.
 */
export { LeaderFollowedError } from "./core/errors.ts";
export { encodeArguments } from "./core/payload.ts";
export { normalizeRetryPolicy } from "./core/retry-policy.ts";
export type {
  Backfill,
  OverlapPolicy,
  ScheduledRun,
  ScheduleDefinition,
  ScheduleWhen,
} from "./schedules/core/definition.ts";
export type { ScheduleState } from "./schedules/core/state.ts";
export type { KnownSchedule, ScheduleEntry, ScheduleRecord } from "./schedules/schedule-book.ts";
export { ScheduleKeeper } from "./schedules/schedule-keeper.ts";
export type { ScheduleKeeperOptions } from "./schedules/schedule-keeper.ts";
export { BUILD_RUNS_COUNT_MAX, moveRuns, readBuildRuns, setQueueBuilds } from "./store/builds.ts";
export type { BuildRole, BuildRuns, QueueBuild, QueueBuilds, RunMove } from "./store/builds.ts";
export { terminateRuns } from "./store/ended-runs.ts";
export { grantStatements } from "./store/grants.ts";
export { listenSource, resolveConnection, tlsOptions, withPooled } from "./store/connection-source.ts";
export type { ConnectionSource } from "./store/connection-source.ts";
export { queueChannel, quoteIdentifier } from "./store/identifiers.ts";
export { Listener } from "./store/listener.ts";
export type { ListenerOptions } from "./store/listener.ts";
export { migrate, newestVersion, schemaVersion } from "./store/migrator.ts";
export type { MigrateOptions, MigrateResult } from "./store/migrator.ts";
export { newId } from "./store/new-id.ts";
export { claimStoreSettings, readStoreSettings, setStoreSettings } from "./store/store-settings.ts";
export type { StoreSettings } from "./store/store-settings.ts";
export { assertUsable, inspectDatabase } from "./store/self-test.ts";
export type { DatabaseFacts } from "./store/self-test.ts";
export { Session } from "./store/session.ts";
export type { SessionOptions, Statement, TransactionQuery } from "./store/session.ts";
export { isTlsRefusal, toStoreError } from "./store/sql-errors.ts";
export { readWorkflowDefinitions } from "./store/workflow-definitions.ts";
export type { WorkflowDefinitionRow } from "./store/workflow-definitions.ts";
export { WORKER_CONNECTIONS_MAX } from "./worker/connection-shares.ts";
