/**
 * The Postgres that everything is measured on: `DATABASE_URL`, else the embedded one with the defaults of initdb.
 *
 * Promises a fresh database for each workload, dropped after it, and to stop and remove only what it started.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbeddedPostgres } from "@memflow/cli/embedded-postgres";
import pg from "pg";

/** A running server. */
export interface BenchServer {
  /** Settings that decide the figures, by name. */
  readonly settings: Readonly<Record<string, string>>;
  /** Process id of the postmaster where it runs on this machine and is known. */
  readonly postmasterPid: number | undefined;
  /** Asks on a connection to a database that nothing is measured in. */
  query<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Begins a workload with an empty log, where the role may. */
  checkpoint(): Promise<void>;
  /** Runs `work` without autovacuum beside it, where the server is our own. */
  withoutAutovacuum<Result>(work: () => Promise<Result>): Promise<Result>;
  createDatabase(): Promise<BenchDatabase>;
  /** May be called more than once. */
  close(): Promise<void>;
}

/** A fresh database. */
export interface BenchDatabase {
  readonly name: string;
  readonly url: string;
  execute(text: string): Promise<void>;
  drop(): Promise<void>;
}

const INSUFFICIENT_PRIVILEGE = "42501";
const SHOWN = [
  "server_version",
  "shared_buffers",
  "fsync",
  "synchronous_commit",
  "max_wal_size",
  "autovacuum",
];

export async function openServer(): Promise<BenchServer> {
  const given = process.env["DATABASE_URL"];
  if (given !== undefined && given !== "")
    return await connectServer(given, undefined, () => Promise.resolve());
  const dataDir = await mkdtemp(join(tmpdir(), "memflow-bench-"));
  const remove = (): Promise<void> => rm(dataDir, { recursive: true, force: true });
  try {
    const embedded = await startEmbeddedPostgres({ dataDir });
    return await connectServer(embedded.url, embedded.pid, async () => {
      await embedded.stop();
      await remove();
    });
  } catch (error) {
    await remove();
    throw error;
  }
}

async function connectServer(
  url: string,
  postmasterPid: number | undefined,
  stop: () => Promise<void>,
): Promise<BenchServer> {
  const client = new pg.Client({ connectionString: url, application_name: "memflow-bench" });
  // Whoever asks next learns of a lost connection.
  client.on("error", () => undefined);
  await client.connect();
  const { rows } = await client.query<{ name: string; value: string }>(
    "select name, current_setting(name) as value from unnest($1::text[]) as shown(name)",
    [SHOWN],
  );
  let number = 0;
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await client.end();
    await stop();
  };
  return {
    settings: Object.fromEntries(rows.map(({ name, value }) => [name, value])),
    postmasterPid,
    query: async (text, values = []) => (await client.query(text, [...values])).rows,
    checkpoint: async () => {
      await client.query("checkpoint").catch(allowRefusal);
    },
    withoutAutovacuum: async (work) => {
      if (postmasterPid === undefined) return await work();
      try {
        await configure(client, "alter system set autovacuum = off");
        return await work();
      } finally {
        await configure(client, "alter system reset autovacuum");
      }
    },
    createDatabase: async () => {
      const name = `memflow_bench_${process.pid}_${(number += 1)}`;
      await client.query(`create database ${name}`).catch(explainRefusal);
      return benchDatabase({ client, url, name });
    },
    close: () => (closing ??= close()),
  };
}

async function configure(client: pg.Client, text: string): Promise<void> {
  await client.query(text);
  await client.query("select pg_reload_conf()");
}

/** Without a checkpoint the log holds some more page images: WAL figures are a little higher, no rate is. */
function allowRefusal(error: unknown): void {
  if (!isRefusal(error)) throw error;
}

function explainRefusal(error: unknown): never {
  if (!isRefusal(error)) throw error;
  const message =
    "the role of DATABASE_URL may not create databases: each workload gets one of its own; grant CREATEDB";
  throw new Error(message, { cause: error });
}

function isRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === INSUFFICIENT_PRIVILEGE;
}

function benchDatabase(options: {
  readonly client: pg.Client;
  readonly url: string;
  readonly name: string;
}): BenchDatabase {
  const { client, name } = options;
  const target = new URL(options.url);
  target.pathname = `/${name}`;
  const url = target.href;
  return {
    name,
    url,
    execute: async (text) => {
      const own = new pg.Client({ connectionString: url });
      await own.connect();
      try {
        await own.query(text);
      } finally {
        await own.end();
      }
    },
    drop: async () => {
      await client.query(`drop database ${name} with (force)`);
    },
  };
}
