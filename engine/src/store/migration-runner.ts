/**
 * Applies one numbered SQL file through node-pg-migrate, which also keeps the list of what stands.
 *
 * Promises to run inside the caller's transaction and to touch no other schema. The library puts a schema's name into its
 * statements unescaped, as an identifier and as a literal, so it is given a plain placeholder, and every statement gets
 * the quoted name in its place: `"`, `'` and any other character in a name are safe.
 */
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Migration } from "@memflow/migrations";
import { runner } from "node-pg-migrate";
import type { RunnerOption } from "node-pg-migrate";
import pg from "pg";
import { quoteIdentifier } from "./identifiers.ts";
import { MIGRATIONS_TABLE } from "./migration-queries.ts";

/** Where and what to apply. */
export interface ApplyOptions {
  /** Sends one text inside the caller's transaction. */
  query(text: string): Promise<pg.QueryResult>;
  readonly schema: string;
  /** The oldest file that does not stand yet. */
  readonly migration: Migration;
}

const PLACEHOLDER = "memflow_schema_placeholder";

/**
 * Applies one file and records its name.
 *
 * @throws What the first failing statement threw.
 */
export async function applyNextFile({ query, schema, migration }: ApplyOptions): Promise<void> {
  const client = placeholderClient(query, schema);
  const path = fileURLToPath(migration.file);
  try {
    await runner({
      dbClient: client,
      dir: dirname(path),
      ignorePattern: "(?!\\d{4}_.*\\.sql$).*",
      migrationLoaderStrategies: [{ extensions: [".sql"], loader: loadPlainFiles }],
      migrationsSchema: PLACEHOLDER,
      migrationsTable: MIGRATIONS_TABLE,
      direction: "up",
      count: 1,
      file: migration.name,
      // The library orders by the time when a transaction began; one that waited for the lock began early.
      checkOrder: false,
      // Lock and transaction are the caller's: a session's lock would not survive a pooler.
      noLock: true,
      singleTransaction: false,
      logger: SILENT,
    });
  } catch (error) {
    throw client.firstError() ?? error;
  }
}

/** The library would cut a file at a comment that reads like one of its own marks. */
const loadPlainFiles: NonNullable<RunnerOption["migrationLoaderStrategies"]>[number]["loader"] = (paths) =>
  Promise.all(
    paths.map(async (path) => {
      const text = await readFile(path, "utf8");
      return {
        id: path,
        filePaths: [path],
        actions: {
          up: (builder) => {
            builder.noTransaction();
            builder.sql(text);
          },
          down: false,
        },
      };
    }),
  );

type PlaceholderClient = pg.ClientBase & { firstError(): Error | undefined };

/** All that the library asks of a client; its own errors lose the SQLSTATE, so the first real one is kept. */
function placeholderClient(query: ApplyOptions["query"], schema: string): PlaceholderClient {
  let firstError: Error | undefined;
  const client = {
    async query(text: string): Promise<pg.QueryResult> {
      try {
        return await query(nameSchema(text, schema));
      } catch (error) {
        firstError ??= error instanceof Error ? error : new Error(String(error));
        throw error;
      }
    },
    firstError: () => firstError,
  };
  return client as unknown as PlaceholderClient;
}

function nameSchema(text: string, schema: string): string {
  return text
    .replaceAll(`"${PLACEHOLDER}"`, () => quoteIdentifier(schema))
    .replaceAll(`'${PLACEHOLDER}'`, () => pg.escapeLiteral(schema));
}

/** Failures are thrown as well, so nothing is lost. */
const SILENT: NonNullable<RunnerOption["logger"]> = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
