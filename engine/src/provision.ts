/**
 * The engine's door for those who provide stores and look after them, such as the operator: connections, migrations, and
 * sessions for statements of their own. They start no run and execute none.
 */
export { resolveConnection } from "./store/connection-source.ts";
export type { ConnectionSource } from "./store/connection-source.ts";
export { quoteIdentifier } from "./store/identifiers.ts";
export { Session } from "./store/session.ts";
export type { SessionOptions, Statement } from "./store/session.ts";
export { toStoreError } from "./store/sql-errors.ts";
