/**
 * Makes an index on a path of entities' documents.
 *
 * Promises that it may be asked for any number of times and from several processes at once; that writers are not kept
 * waiting while it is built; and that what a broken build left is built anew. Its role must own the schema's tables.
 */
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { ConnectionError } from "../core/errors.ts";
import { outside } from "../store/outside.ts";
import type { ConnectionSource } from "../store/connection-source.ts";
import type { ClientQueries } from "../store/client-queries.ts";
import { quoteIdentifier } from "../store/identifiers.ts";
import { Session } from "../store/session.ts";
import { codeOf, toStoreError } from "../store/sql-errors.ts";
import { indexExpressions } from "./entity-predicate.ts";

/** Which index to make. */
export interface EntityIndexOptions {
  readonly schema: string;
  readonly path: readonly string[];
  readonly kind: "btree" | "gin";
}

/** A build waits for all transactions that were open when it began. */
const BUILD_TIMEOUT_MS = 3_600_000;
const LOCK_POLL_MS = 100;

/** The name that an index on a path has in every schema. */
export function entityIndexName(kind: "btree" | "gin", path: readonly string[]): string {
  const hash = createHash("sha256").update(JSON.stringify(path)).digest("hex").slice(0, 32);
  return `entity_field_${kind}_${hash}`;
}

/**
 * Makes the index when it is not there.
 *
 * @returns Its name.
 * @throws {ConnectionError} `PERMISSION_DENIED`, with the SQL that an administrator runs.
 */
export async function createEntityIndex(
  source: ConnectionSource,
  queries: ClientQueries,
  options: EntityIndexOptions,
): Promise<string> {
  const name = entityIndexName(options.kind, options.path);
  const direct = source.direct ?? source;
  const session = new Session({ source: direct, purpose: "index", settings: { lock_timeout: "0" } });
  try {
    await outside(() => build(session, queries, { ...options, name }));
    return name;
  } catch (error) {
    if (codeOf(error) !== "42501") throw toStoreError(error, direct);
    throw new ConnectionError("PERMISSION_DENIED", {
      message:
        `the role may not create an index in schema "${options.schema}", whose tables it does not own; ` +
        `their owner, or an administrator, runs: ${definition({ ...options, name })};`,
      target: direct.describe(),
      cause: error,
    });
  } finally {
    await session.close();
  }
}

async function build(
  session: Session,
  queries: ClientQueries,
  index: EntityIndexOptions & { readonly name: string },
): Promise<void> {
  // One build in a schema at a time: two of one table wait for each other. And not waited for inside Postgres: whoever waits
  // there has a snapshot, and a build waits for all snapshots.
  while (!(await locked(session, index.schema))) await delay(LOCK_POLL_MS);
  const quoted = quoteIdentifier(index.schema);
  const { rows } = await session.query<{ name: string; valid: boolean }>({
    ...queries.entityIndexes,
    values: [index.schema],
  });
  const found = rows.find(({ name }) => name === index.name);
  if (found?.valid === true) return;
  if (found !== undefined)
    await session.query({
      text: `drop index concurrently ${quoted}.${quoteIdentifier(index.name)}`,
      timeoutMs: BUILD_TIMEOUT_MS,
    });
  await session.query({ text: definition(index), timeoutMs: BUILD_TIMEOUT_MS });
  // The planner knows what an index on an expression holds once somebody has looked.
  await session.query({ text: `analyze ${quoted}.entities`, timeoutMs: BUILD_TIMEOUT_MS });
}

/** The lock goes with the session. */
async function locked(session: Session, schema: string): Promise<boolean> {
  const { rows } = await session.query<{ locked: boolean }>({
    text: "select pg_try_advisory_lock(hashtextextended($1 || chr(31) || 'entity indexes', 7349)) as locked",
    values: [schema],
  });
  return rows[0]?.locked === true;
}

function definition({ schema, kind, path, name }: EntityIndexOptions & { readonly name: string }): string {
  return (
    `create index concurrently ${quoteIdentifier(name)} on ${quoteIdentifier(schema)}.entities ` +
    `using ${kind} (${indexExpressions(kind, path)}) where entity_type is not null`
  );
}
