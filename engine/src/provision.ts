/**
 * The engine's door for those who provide stores and look after them, such as the operator: connections, migrations,
 * sessions for statements of their own, and to be woken when there is something to do. They start no run and execute
 * none.
 *
 * To be woken by the starts of a queue: `assertUsable` says whether a pooler stands between, `listenSource` gives the
 * connection on which LISTEN works (undefined where only polling does), and a `Listener` on it hears `queueChannel`.
 */
export { grantStatements } from "./store/grants.ts";
export { listenSource, resolveConnection, withPooled } from "./store/connection-source.ts";
export type { ConnectionSource } from "./store/connection-source.ts";
export { queueChannel, quoteIdentifier } from "./store/identifiers.ts";
export { Listener } from "./store/listener.ts";
export type { ListenerOptions } from "./store/listener.ts";
export { migrate, newestVersion, schemaVersion } from "./store/migrator.ts";
export type { MigrateOptions, MigrateResult } from "./store/migrator.ts";
export { assertUsable, inspectDatabase } from "./store/self-test.ts";
export type { DatabaseFacts } from "./store/self-test.ts";
export { Session } from "./store/session.ts";
export type { SessionOptions, Statement, TransactionQuery } from "./store/session.ts";
export { isTlsRefusal, toStoreError } from "./store/sql-errors.ts";
