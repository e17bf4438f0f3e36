/**
 * Finds out at start whether a database can carry a store, and says what to change when it cannot.
 *
 * Promises to judge by what the connection does, not by what it calls itself: a pooler in transaction mode is found by
 * two clients that watch their backends, LISTEN by a notification that arrives. Writes nothing.
 */
import { randomBytes } from "node:crypto";
import type pg from "pg";
import { ConnectionError } from "../core/errors.ts";
import { withPooled } from "./connection-source.ts";
import type { ConnectionSource } from "./connection-source.ts";
import { quoteIdentifier } from "./identifiers.ts";
import { askClient, closeClient, openClient } from "./open-client.ts";

/** What a connection turned out to be. */
export interface DatabaseFacts {
  /** As `server_version_num` has it: 150004, 180000. */
  readonly version: number;
  /** New transactions are read-only, by the role's or the server's default. */
  readonly readOnly: boolean;
  /** A standby. */
  readonly inRecovery: boolean;
  /** `session`: a pooler, and each client keeps its backend; `transaction`: statements of one reach different ones. */
  readonly pooled: "none" | "session" | "transaction";
  /** A notification reached the one who listened. */
  readonly listenWorks: boolean;
}

/** Postgres 15. */
const VERSION_MIN = 150_000;

const ANSWER_TIMEOUT_MS = 5_000;
const NOTIFICATION_TIMEOUT_MS = 2_000;
/** One is enough without other traffic; with it, three make a miss unlikely. */
const POOLER_ROUNDS = 3;
const BACKEND = "select pg_backend_pid() as pid";

/**
 * Looks at the database behind `source` (not behind its `direct`).
 *
 * @throws {ConnectionError} When it cannot be reached, refuses the role or does not answer.
 */
export async function inspectDatabase(source: ConnectionSource): Promise<DatabaseFacts> {
  // Nothing may be set on the session before it is known to be one.
  const plain = withPooled(source, true);
  const first = await openProbe(plain);
  try {
    const state = await readState(first);
    const second = await openProbe(plain);
    try {
      if (await sharesBackends(first, second)) {
        // Not tried: the LISTEN would stay behind on a backend that serves others.
        return { ...state, pooled: "transaction", listenWorks: false };
      }
      const listenWorks = !state.inRecovery && (await hearsNotification(first, second));
      const pooled = (await isBehindPooler(first)) ? "session" : "none";
      return { ...state, pooled, listenWorks };
    } finally {
      await closeClient(second.client);
    }
  } finally {
    await closeClient(first.client);
  }
}

/**
 * Checks that a store can live behind `source` and that its workers can be woken.
 *
 * @returns The facts, and the source to work with: it knows now whether it is pooled.
 * @throws {ConnectionError} `DATABASE_TOO_OLD`, `DATABASE_READ_ONLY`, `POOLER_IN_TRANSACTION_MODE` (unless `direct` or
 *   `polling` is given), and whatever `inspectDatabase` throws.
 * @see docs/architecture.md
 */
export async function assertUsable(
  source: ConnectionSource,
): Promise<{ readonly facts: DatabaseFacts; readonly source: ConnectionSource }> {
  const facts = await inspectDatabase(source);
  const problem = findProblem(facts, source);
  if (problem !== undefined) throw problem;
  const usable = withPooled(source, source.pooled || facts.pooled === "transaction");
  const { direct } = source;
  if (direct !== undefined) {
    const directProblem = findProblem(await inspectDatabase(direct), { ...direct, polling: false });
    if (directProblem !== undefined) throw directProblem;
  }
  return { facts, source: usable };
}

/** Judges the facts of one connection; undefined when a store can use it. */
export function findProblem(facts: DatabaseFacts, source: ConnectionSource): ConnectionError | undefined {
  const target = source.describe();
  if (facts.version < VERSION_MIN) {
    const message = `database ${target} runs Postgres ${versionText(facts.version)}; MemFlow needs 15 or newer, upgrade it`;
    return new ConnectionError("DATABASE_TOO_OLD", { message, target });
  }
  if (facts.inRecovery || facts.readOnly) {
    const message = facts.inRecovery
      ? `database ${target} is a standby and read-only; connect to the primary`
      : `database ${target} is read-only; turn default_transaction_read_only off for this role`;
    return new ConnectionError("DATABASE_READ_ONLY", { message, target });
  }
  if (facts.listenWorks && facts.pooled !== "transaction") return undefined;
  if (source.polling || source.direct !== undefined) return undefined;
  const message =
    `connection ${target} goes through a pooler in transaction mode, where LISTEN hears nothing; add ` +
    "direct: <connection to Postgres itself> beside it, or polling: true to wake by polling alone";
  return new ConnectionError("POOLER_IN_TRANSACTION_MODE", { message, target });
}

interface Probe {
  readonly client: pg.Client;
  readonly source: ConnectionSource;
}

interface ServerState {
  readonly version: number;
  readonly readOnly: boolean;
  readonly inRecovery: boolean;
}

async function openProbe(source: ConnectionSource): Promise<Probe> {
  const client = await openClient({ source, purpose: "self-test", onLost: () => undefined });
  return { client, source };
}

/** Texts without parameters only: some poolers know no other in transaction mode. */
async function ask<Row extends pg.QueryResultRow>(
  { client, source }: Probe,
  text: string,
): Promise<Row | undefined> {
  const statement = { text, timeoutMs: ANSWER_TIMEOUT_MS };
  const { rows } = await askClient<Row>({ client, source, statement });
  return rows[0];
}

async function readState(probe: Probe): Promise<ServerState> {
  const row = await ask<{ version: number; read_only: boolean; in_recovery: boolean }>(
    probe,
    `select current_setting('server_version_num')::integer as version,
       current_setting('default_transaction_read_only')::boolean as read_only,
       pg_is_in_recovery() as in_recovery`,
  );
  return {
    version: row?.version ?? 0,
    readOnly: row?.read_only ?? false,
    inRecovery: row?.in_recovery ?? false,
  };
}

/**
 * While the second holds a backend in a transaction, a direct connection of the first keeps its own. Behind a pooler in
 * transaction mode the second has taken the one that the first used last, so the first meets another.
 */
async function sharesBackends(first: Probe, second: Probe): Promise<boolean> {
  for (let round = 0; round < POOLER_ROUNDS; round += 1) {
    const before = await backendOf(first);
    await ask(second, "begin");
    try {
      const held = await backendOf(second);
      if (held === before) return true;
      if ((await backendOf(first)) !== before) return true;
    } finally {
      await ask(second, "rollback");
    }
  }
  return false;
}

/** A pooler makes the key for cancelling up by itself, so the process in it is not that of the backend. */
async function isBehindPooler(probe: Probe): Promise<boolean> {
  const client: pg.Client & { readonly processID?: number | null } = probe.client;
  return (await backendOf(probe)) !== client.processID;
}

async function backendOf(probe: Probe): Promise<number | undefined> {
  return (await ask<{ pid: number }>(probe, BACKEND))?.pid;
}

async function hearsNotification(first: Probe, second: Probe): Promise<boolean> {
  const channel = quoteIdentifier(`memflow_self_test_${randomBytes(8).toString("hex")}`);
  const heard = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => heard.resolve(false), NOTIFICATION_TIMEOUT_MS);
  first.client.on("notification", () => heard.resolve(true));
  try {
    await ask(first, `listen ${channel}`);
    await ask(second, `notify ${channel}`);
    return await heard.promise;
  } finally {
    clearTimeout(timer);
  }
}

/** 150004 is 15.4. */
function versionText(version: number): string {
  return `${Math.floor(version / 10_000)}.${version % 10_000}`;
}
