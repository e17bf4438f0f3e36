/**
 * Searches in the words of SQL: runs a caller's own statement, where it can read two views and change nothing.
 *
 * Promises that one statement is run and no second one; that it is a query; that it runs as a role that sees the views
 * `jobs` and `jobs_attributes` alone, and can't become another; in a transaction that is read-only, rolled back, and ended
 * by a timeout; on a connection of its own. What Postgres shows to every role (its catalogs, and what your database
 * grants to PUBLIC) it can read too.
 */
import pg from "pg";
import { ConnectionError, SearchError } from "../core/errors.ts";
import type { ConnectionSource } from "../store/connection-source.ts";
import { quoteIdentifier } from "../store/identifiers.ts";
import { newId } from "../store/new-id.ts";
import { askClient, closeClient, openClient } from "../store/open-client.ts";
import type { Statement } from "../store/open-client.ts";
import { OWN_SQLSTATES, codeOf, toStoreError } from "../store/sql-errors.ts";

/** A search. */
export interface ViewSearch {
  readonly source: ConnectionSource;
  readonly schema: string;
  /** The caller's statement, with `$1`, `$2` for the parameters. */
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

type Ask = (statement: Statement) => Promise<pg.QueryResult<Record<string, unknown>>>;

/** A search that takes longer is ended. */
const TIMEOUT_MS = 10_000;
const ROWS_MAX = 10_000;
const BYTES_MAX: number = 16 * 1024 * 1024;

/**
 * Runs a search.
 *
 * @returns Its rows, their values as JSON has them.
 * @throws {SearchError} `SEARCH_REFUSED` when Postgres refuses it; `SEARCH_TIMEOUT` after 10 s; `SEARCH_TOO_LARGE` above
 *   10,000 rows or 16 MiB; `SEARCH_NOT_PREPARED` when an administrator must prepare the schema.
 */
export async function searchViews(search: ViewSearch): Promise<readonly Record<string, unknown>[]> {
  try {
    return await runSearch(search);
  } catch (error) {
    if (codeOf(error) !== OWN_SQLSTATES.searchNotPrepared) throw toSearchError(error, search);
  }
  await prepare(search);
  try {
    return await runSearch(search);
  } catch (error) {
    throw toSearchError(error, search);
  }
}

async function runSearch({
  source,
  schema,
  sql,
  parameters,
}: ViewSearch): Promise<Record<string, unknown>[]> {
  const quoted = quoteIdentifier(schema);
  const name = `memflow_search_${newId()}`;
  return await withClient(source, async (ask) => {
    await ask({ text: "begin read only" });
    await ask({
      text: "select set_config('statement_timeout', $1, true), set_config('search_path', $2, true)",
      values: [String(TIMEOUT_MS), quoted],
    });
    await ask({ text: "savepoint before_search" });
    let prepared = false;
    try {
      // Only a query can be prepared, and the extended protocol takes one statement.
      await ask({ text: `prepare "${name}" as ${sql}`, extended: true });
      prepared = true;
      const { rows } = await ask({
        text: `select row::text as row from ${quoted}.run_search($1, $2, $3, $4) as row`,
        values: [name, parameters.map(toText), ROWS_MAX, BYTES_MAX],
        timeoutMs: 2 * TIMEOUT_MS,
      });
      return rows.map(({ row }) => JSON.parse(String(row)) as Record<string, unknown>);
    } finally {
      if (source.pooled) await leaveNothing(ask, { name, prepared });
    }
  });
}

/**
 * Behind a pooler the connection is somebody else's next: what a session keeps is given back. A transaction that has
 * failed takes no more than the way back to its savepoint.
 */
async function leaveNothing(
  ask: Ask,
  { name, prepared }: { readonly name: string; readonly prepared: boolean },
): Promise<void> {
  await ask({ text: "rollback to savepoint before_search" });
  if (prepared) await ask({ text: `deallocate "${name}"` });
  await ask({ text: "select pg_advisory_unlock_all()" });
  await ask({ text: "rollback" });
}

/** Makes the role of searches, where this connection's role may. */
async function prepare({ source, schema }: ViewSearch): Promise<void> {
  const call = `select ${quoteIdentifier(schema)}.prepare_search()`;
  try {
    await withClient(source, (ask) => ask({ text: call }));
  } catch (error) {
    if (codeOf(error) !== "42501") throw toStoreError(error, source);
    throw new SearchError("SEARCH_NOT_PREPARED", {
      message:
        `searches in schema "${schema}" need a role of their own, which this role may not make; ` +
        `let an administrator (who owns the schema and may create roles) run: ${call};`,
      sqlState: "42501",
      cause: error,
    });
  }
}

async function withClient<Result>(
  source: ConnectionSource,
  work: (ask: Ask) => Promise<Result>,
): Promise<Result> {
  const client = await openClient({ source, purpose: "search", onLost: () => undefined });
  try {
    return await work((statement) => askClient({ client, source, statement }));
  } finally {
    await closeClient(client);
  }
}

/** A parameter as Postgres reads it: its type is the one that the statement gives it. */
function toText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (value instanceof Date) return value.toISOString();
  if (typeof value === "string") return value;
  return typeof value === "bigint" ? value.toString() : JSON.stringify(value);
}

function toSearchError(error: unknown, { source }: ViewSearch): Error {
  if (error instanceof ConnectionError) return error;
  if (!(error instanceof pg.DatabaseError)) return toStoreError(error, source);
  const { code: sqlState, message } = error;
  if (sqlState === "57014") {
    return new SearchError("SEARCH_TIMEOUT", {
      message: `the search took longer than ${TIMEOUT_MS} ms; narrow it`,
      sqlState,
      cause: error,
    });
  }
  if (sqlState === OWN_SQLSTATES.searchTooLarge) {
    return new SearchError("SEARCH_TOO_LARGE", {
      message: `the search is too large: ${message}; narrow it, or page by "limit"`,
      sqlState,
      cause: error,
    });
  }
  return new SearchError("SEARCH_REFUSED", {
    message: `Postgres refuses the search: ${message}; it may be one query that reads the views "jobs" and "jobs_attributes"`,
    sqlState,
    cause: error,
  });
}
