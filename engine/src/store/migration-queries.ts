/**
 * The statements around the numbered SQL files: what stands, the lock, the schema and the list of what was applied.
 *
 * Promises that a schema's name goes in only as a parameter or through `quoteIdentifier`.
 */
import { quoteIdentifier } from "./identifiers.ts";

/** Lists the files that stand in a schema. The columns are those that node-pg-migrate keeps. */
export const MIGRATIONS_TABLE = "schema_migrations";

/** Longer than any file takes, shorter than a forgotten process would be waited for. */
export const SET_PATIENT_LOCK_TIMEOUT = "set local lock_timeout = '10min'";

/** For the statements of a file, until the transaction ends. */
export const SET_FILE_LOCK_TIMEOUT = "select set_config('lock_timeout', $1::text, true)";

/** One at a time per schema, in the whole database, until the transaction ends. */
export const LOCK_SCHEMA =
  "select pg_advisory_xact_lock(hashtextextended('memflow migrate ' || $1::text, 0))";

export const SCHEMA_EXISTS = "select 1 from pg_catalog.pg_namespace where nspname = $1::text";

export const MIGRATIONS_TABLE_EXISTS: string = `
  select 1
  from pg_catalog.pg_class as class
  join pg_catalog.pg_namespace as namespace on namespace.oid = class.relnamespace
  where namespace.nspname = $1::text
    and class.relname = '${MIGRATIONS_TABLE}'`;

export const WHO_AND_WHERE = "select current_user::text as role, current_database()::text as database";

/** The names of the files that stand, by their numbers. */
export function listApplied(schema: string): string {
  return `select name from ${table(schema)} order by name collate "C"`;
}

export function createSchema(schema: string): string {
  return `create schema ${quoteIdentifier(schema)}`;
}

export function createMigrationsTable(schema: string): string {
  return `
    create table if not exists ${table(schema)} (
      id integer generated always as identity primary key,
      name text not null unique,
      run_on timestamptz not null
    );
    comment on table ${table(schema)} is 'The numbered SQL files of MemFlow that stand in this schema.'`;
}

/** Exactly the schema: files name their tables without it, and functions keep it as theirs. */
export function setSearchPath(schema: string): string {
  // pg_temp is searched first unless it is named: a temporary table must never stand in for one of ours.
  return `set local search_path = ${quoteIdentifier(schema)}, pg_temp`;
}

function table(schema: string): string {
  return `${quoteIdentifier(schema)}.${MIGRATIONS_TABLE}`;
}
