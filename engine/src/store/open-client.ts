/**
 * Opens, asks and closes one client of `pg`: the steps that sessions and listeners share.
 *
 * Promises that a client is opened outside every caller's context, that its loss is reported once and never crashes the
 * process, and that neither opening, asking nor closing waits longer than its limit. Does not reconnect.
 */
import pg from "pg";
import type { ConnectionSource } from "./connection-source.ts";
import { outside } from "./outside.ts";
import { codeOf, connectionLost, toStoreError } from "./sql-errors.ts";

/** A statement as sessions take it. */
export interface Statement {
  /** Prepared under this name, once per connection; equal names must have equal texts. */
  readonly name?: string;
  readonly text: string;
  /** Buffers are sent in binary format, all else as text. */
  readonly values?: readonly unknown[];
  /** Without an answer for this long the connection counts as dead; default 15 s. */
  readonly timeoutMs?: number;
  /** True: sent by the extended protocol, also without values: one statement, and no second one behind it. */
  readonly extended?: boolean;
}

/** Postgres settings by name, e.g. `{ synchronous_commit: "off" }`. */
export type SessionSettings = Readonly<Record<string, string>>;

/** How to open a client. */
export interface OpenClientOptions {
  readonly source: ConnectionSource;
  /** Shown by Postgres as `application_name`, after `memflow:`. */
  readonly purpose: string;
  readonly settings?: SessionSettings | undefined;
  readonly connectTimeoutMs?: number | undefined;
  /** Called at most once, when the connection is gone for whatever reason. */
  onLost(client: pg.Client): void;
}

/** How to ask a client. */
export interface AskOptions {
  readonly client: pg.Client;
  readonly source: ConnectionSource;
  readonly statement: Statement;
}

const CONNECT_TIMEOUT_MS = 5_000;
/** A query that gets no answer for this long finds its connection dead. */
const QUERY_TIMEOUT_MS = 15_000;
const CLOSE_TIMEOUT_MS = 1_000;

/**
 * What every session sets, so that neither the role's nor the server's defaults change what a statement does. Timeouts
 * let the locks of a connection that died half-way go within seconds.
 */
const BASE_SETTINGS: SessionSettings = {
  idle_in_transaction_session_timeout: "10s",
  lock_timeout: "5s",
  tcp_keepalives_idle: "10",
  tcp_keepalives_interval: "5",
  tcp_keepalives_count: "3",
  default_transaction_isolation: "read committed",
  datestyle: "ISO",
  timezone: "UTC",
  bytea_output: "hex",
  // Compiling costs more than any of our statements takes, and misjudged costs would trigger it.
  jit: "off",
};

const SET_SETTINGS =
  "select set_config(name, value, false) from unnest($1::text[], $2::text[]) as setting(name, value)";

/**
 * Opens one client and applies the settings (none on a pooled source: they would leak to others).
 *
 * @throws {ConnectionError} When the database cannot be reached, refuses the role, or does not answer in time.
 */
export async function openClient(options: OpenClientOptions): Promise<pg.Client> {
  const { source, purpose, connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
  const client = outside(() =>
    source.createClient({ applicationName: `memflow:${purpose}`, connectTimeoutMs }),
  );
  reportLoss(client, options);
  try {
    await outside(() => client.connect());
    if (!source.pooled) {
      const settings = { ...BASE_SETTINGS, ...options.settings };
      const values = [Object.keys(settings), Object.values(settings)];
      await askClient({
        client,
        source,
        statement: { text: SET_SETTINGS, values, timeoutMs: connectTimeoutMs },
      });
    }
    return client;
  } catch (error) {
    destroyClient(client);
    throw toConnectError(error, source, connectTimeoutMs);
  }
}

/**
 * Sends one statement and waits for its answer, but no longer than its `timeoutMs`: then the socket is destroyed.
 *
 * @throws {ConnectionError} `DATABASE_UNREACHABLE` when the connection broke or went silent; the statement may stand.
 * @throws {pg.DatabaseError} What Postgres said, unchanged.
 */
export function askClient<Row extends pg.QueryResultRow>(options: AskOptions): Promise<pg.QueryResult<Row>> {
  return outside(() => ask<Row>(options));
}

/** Drops the connection at once; whatever was under way fails. */
export function destroyClient(client: pg.Client): void {
  client.connection.stream.destroy();
}

/** Says goodbye to Postgres, and drops the connection when that takes too long. */
export async function closeClient(client: pg.Client): Promise<void> {
  await outside(async () => {
    const timer = setTimeout(() => destroyClient(client), CLOSE_TIMEOUT_MS);
    try {
      await client.end();
    } finally {
      clearTimeout(timer);
    }
  });
}

function ask<Row extends pg.QueryResultRow>({
  client,
  source,
  statement,
}: AskOptions): Promise<pg.QueryResult<Row>> {
  const { name, text, values, extended, timeoutMs = QUERY_TIMEOUT_MS } = statement;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(connectionLost(source, `gave no answer within ${timeoutMs} ms`));
      destroyClient(client);
    }, timeoutMs);
    const config: pg.QueryConfig & { queryMode?: "extended" } = {
      text,
      ...(extended === true ? { queryMode: "extended" } : {}),
      ...(name === undefined || source.pooled ? {} : { name }),
      ...(values === undefined ? {} : { values: values as unknown[] }),
    };
    client.query<Row>(config, (error: Error | null | undefined, result) => {
      clearTimeout(timer);
      if (error) reject(toAskError(error, client, source));
      else resolve(result);
    });
  });
}

/** `pg` says in words alone that a connection broke; what Postgres itself said keeps its SQLSTATE. */
function toAskError(error: Error, client: pg.Client, source: ConnectionSource): Error {
  if (error instanceof pg.DatabaseError) return error;
  return client.connection.stream.destroyed || codeOf(error) !== undefined
    ? connectionLost(source, "was lost", error)
    : error;
}

function toConnectError(error: unknown, source: ConnectionSource, connectTimeoutMs: number): Error {
  const storeError = toStoreError(error, source);
  if (storeError !== error || codeOf(error) !== undefined) return storeError;
  return connectionLost(source, `could not be opened within ${connectTimeoutMs} ms`, error);
}

function reportLoss(client: pg.Client, { onLost }: OpenClientOptions): void {
  let reported = false;
  const report = (): void => {
    if (reported) return;
    reported = true;
    onLost(client);
  };
  // Without a listener an error on an idle connection would end the process.
  client.on("error", report);
  client.on("end", report);
}
