/**
 * Brings a store's schema to the version that this code was written for.
 *
 * Promises: any number of processes may do it at once; one transaction per file, so a file stands whole or not at all;
 * any valid schema name; a schema that is up to date is only read, so a role without DDL rights passes. Never goes back
 * to an older version.
 */
import { listMigrations } from "@memflow/migrations";
import type { Migration } from "@memflow/migrations";
import { ConnectionError, OptionError, SchemaError } from "../core/errors.ts";
import type { ConnectionSource } from "./connection-source.ts";
import { assertSchemaName, quoteIdentifier } from "./identifiers.ts";
import * as sql from "./migration-queries.ts";
import { Session } from "./session.ts";
import type { TransactionQuery } from "./session.ts";
import { codeOf, toStoreError } from "./sql-errors.ts";

/** What to bring to which version. */
export interface MigrateOptions {
  readonly source: ConnectionSource;
  readonly schema: string;
  /** Default: the newest of this code. */
  readonly targetVersion?: number;
  /** The numbered SQL files; default: those of `@memflow/migrations`. */
  readonly folder?: URL;
  /** How long a statement of a file may wait for a lock; default 10 s. Others who migrate are waited for longer. */
  readonly lockTimeoutMs?: number;
  /** Ends it: what is under way is broken off and does not stand. */
  readonly signal?: AbortSignal;
  /** Asked before each file and before its commit; throws to end there. For those who may lose the right to go on. */
  mayGoOn?(): void;
}

/** The schema's version before and after. */
export interface MigrateResult {
  readonly from: number;
  readonly to: number;
}

/** A file may rebuild an index of a large table; nothing else waits for it. */
const FILE_TIMEOUT_MS = 600_000;
/** A file that waits for a table stops all who come after it, so it gives up soon and is tried again. */
const LOCK_TIMEOUT_MS = 10_000;

/**
 * Creates the schema if it is missing and applies the files that it lacks.
 *
 * @returns The versions before and after; equal when nothing was done.
 * @throws {SchemaError} `BAD_SCHEMA_NAME`; `SCHEMA_TOO_NEW` when a newer MemFlow was here; `SCHEMA_TAKEN` when tables of
 *   something else are in the way.
 * @throws {ConnectionError} `PERMISSION_DENIED` with the SQL that an administrator runs; or when the database cannot be
 *   reached or written.
 * @see docs/data-model.md
 */
export async function migrate(options: MigrateOptions): Promise<MigrateResult> {
  const { schema, folder } = options;
  assertSchemaName(schema);
  const files = listMigrations(folder);
  const target = checkTarget(options.targetVersion ?? files.length, files.length);
  const source = options.source.direct ?? options.source;
  const { signal, lockTimeoutMs = LOCK_TIMEOUT_MS } = options;
  const session = new Session({ source, purpose: "migrate" });
  const breakOff = (): void => session.destroy();
  signal?.addEventListener("abort", breakOff, { once: true });
  try {
    const mayGoOn = (): void => {
      signal?.throwIfAborted();
      options.mayGoOn?.();
    };
    mayGoOn();
    const from = await checkedVersion((statement) => session.query(statement), schema, files);
    let to = from;
    while (to < target) to = await applyNext({ session, schema, files, target, lockTimeoutMs, mayGoOn });
    return { from, to };
  } catch (error) {
    signal?.throwIfAborted();
    throw await explain(error, { session, source, schema });
  } finally {
    signal?.removeEventListener("abort", breakOff);
    await session.close();
  }
}

/** The version that this code brings: the number of its newest file. */
export function newestVersion(): number {
  return listMigrations().length;
}

/**
 * Reads which version a schema has, without writing.
 *
 * @param session - Where to ask.
 * @param schema - Any schema name.
 * @returns 0 when the schema or its list of migrations does not exist.
 */
export async function schemaVersion(session: Pick<Session, "query">, schema: string): Promise<number> {
  return versionOf(await listApplied((statement) => session.query(statement), schema));
}

/**
 * Checks that a schema has exactly the version that this code needs.
 *
 * @throws {SchemaError} `SCHEMA_MISSING`, `SCHEMA_TOO_OLD` or `SCHEMA_TOO_NEW`, each with both versions and the remedy.
 */
export async function assertSchemaVersion(session: Pick<Session, "query">, schema: string): Promise<void> {
  const files = listMigrations();
  const needed = files.length;
  const found = await checkedVersion((statement) => session.query(statement), schema, files);
  if (found === needed) return;
  const missing = found === 0;
  throw new SchemaError(missing ? "SCHEMA_MISSING" : "SCHEMA_TOO_OLD", {
    message:
      (missing
        ? `schema "${schema}" holds no store`
        : `schema "${schema}" has version ${found}, this MemFlow needs ${needed}`) +
      "; start a Client or Worker whose role may create it, or let the operator provision it",
    schema,
    foundVersion: found,
    neededVersion: needed,
  });
}

interface Step {
  readonly session: Session;
  readonly schema: string;
  readonly files: readonly Migration[];
  readonly target: number;
  readonly lockTimeoutMs: number;
  mayGoOn(): void;
}

/** One file in one transaction, or none when another process was faster. Returns the version that stands then. */
async function applyNext(step: Step): Promise<number> {
  const { session, schema, files, target, lockTimeoutMs, mayGoOn } = step;
  return session.transaction(async (query) => {
    // Waiting for others who migrate may take as long as their file; waiting for a table's users may not.
    await query({ text: sql.SET_PATIENT_LOCK_TIMEOUT });
    await query({ text: sql.LOCK_SCHEMA, values: [schema], timeoutMs: FILE_TIMEOUT_MS });
    await query({ text: sql.SET_FILE_LOCK_TIMEOUT, values: [`${lockTimeoutMs}ms`] });
    mayGoOn();
    const version = await checkedVersion(query, schema, files);
    const next = files[version];
    if (version >= target || next === undefined) return version;
    if (version === 0) await createSchema(query, schema);
    await query({ text: sql.setSearchPath(schema) });
    // Loaded only when there is a file to apply: the library costs a starting worker 40 ms.
    const { applyNextFile } = await import("./migration-runner.ts");
    await applyNextFile({
      query: (text) => query({ text, timeoutMs: FILE_TIMEOUT_MS }),
      schema,
      migration: next,
    });
    mayGoOn();
    return next.version;
  });
}

async function createSchema(query: TransactionQuery, schema: string): Promise<void> {
  // `create schema if not exists` demands the right to create one even where it exists.
  const { rows } = await query({ text: sql.SCHEMA_EXISTS, values: [schema] });
  if (rows.length === 0) await query({ text: sql.createSchema(schema) });
  await query({ text: sql.createMigrationsTable(schema) });
}

/** The version of a schema whose files are all known to this code. */
async function checkedVersion(
  query: TransactionQuery,
  schema: string,
  files: readonly Migration[],
): Promise<number> {
  const names = await listApplied(query, schema);
  assertNotNewer(schema, versionOf(names), files.length);
  const strange = names.findIndex((name, index) => name !== files[index]?.name);
  if (strange === -1) return names.length;
  throw new SchemaError("SCHEMA_TOO_NEW", {
    message:
      `schema "${schema}" was made by another MemFlow: it holds migration "${names[strange]}" where this one ` +
      `has "${files[strange]?.name}"; use the version that made it, or a schema of its own`,
    schema,
    foundVersion: versionOf(names),
    neededVersion: files.length,
  });
}

/** Names of the files that stand, in order; empty without a schema. */
async function listApplied(query: TransactionQuery, schema: string): Promise<readonly string[]> {
  const { rows: tables } = await query({ text: sql.MIGRATIONS_TABLE_EXISTS, values: [schema] });
  if (tables.length === 0) return [];
  const { rows } = await query<{ name: string }>({ text: sql.listApplied(schema) });
  return rows.map(({ name }) => name);
}

/** The number of the newest file. */
function versionOf(names: readonly string[]): number {
  return Number.parseInt(names.at(-1) ?? "0", 10);
}

function checkTarget(target: number, latest: number): number {
  if (Number.isInteger(target) && target >= 0 && target <= latest) return target;
  throw new OptionError({
    field: "targetVersion",
    value: target,
    remedy: `give a whole number of 0..${latest}`,
  });
}

function assertNotNewer(schema: string, found: number, needed: number): void {
  if (found <= needed) return;
  throw new SchemaError("SCHEMA_TOO_NEW", {
    message:
      `schema "${schema}" has version ${found}, this MemFlow knows versions up to ${needed}; ` +
      "upgrade this process, or give it a schema of its own",
    schema,
    foundVersion: found,
    neededVersion: needed,
  });
}

interface Place {
  readonly session: Session;
  readonly source: ConnectionSource;
  readonly schema: string;
}

/** SQLSTATEs of a table, an object or a function that is there already. */
const TAKEN: ReadonlySet<unknown> = new Set(["42P07", "42710", "42723"]);

/** A missing right is answered with the statement that grants it, a foreign schema as such; all else as everywhere. */
async function explain(error: unknown, { session, source, schema }: Place): Promise<Error> {
  if (TAKEN.has(codeOf(error))) {
    return new SchemaError("SCHEMA_TAKEN", {
      message:
        `schema "${schema}" holds tables or functions of something else (${(error as Error).message}); ` +
        "give MemFlow a schema of its own by the namespace, or rename the other one",
      schema,
      cause: error,
    });
  }
  if (codeOf(error) !== "42501") return toStoreError(error, source);
  const { rows } = await session.query<{ role: string; database: string }>({ text: sql.WHO_AND_WHERE });
  const role = rows[0]?.role ?? "";
  const database = rows[0]?.database ?? "";
  const { rows: existing } = await session.query({ text: sql.SCHEMA_EXISTS, values: [schema] });
  const remedy =
    existing.length === 0
      ? `create schema ${quoteIdentifier(schema)} authorization ${quoteIdentifier(role)}`
      : `alter schema ${quoteIdentifier(schema)} owner to ${quoteIdentifier(role)}`;
  return new ConnectionError("PERMISSION_DENIED", {
    message:
      `role "${role}" may not create or change schema "${schema}" in database "${database}"; ` +
      `an administrator runs: ${remedy};`,
    target: source.describe(),
    cause: error,
  });
}
