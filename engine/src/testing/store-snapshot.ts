/**
 * A view of one store as of one moment, for checkers: whatever is read through it belongs together, also under load.
 *
 * Promises to write nothing. Reads in one transaction of one connection, so it sees no later commit.
 */
import type pg from "pg";
import { quoteIdentifier } from "../store/identifiers.ts";
import type { ConnectionSource } from "../store/connection-source.ts";
import { Session } from "../store/session.ts";

/** What a checker reads from. */
export interface StoreSnapshot {
  readonly schema: string;
  /** Runs one statement; `:schema` in its text stands for the quoted schema. */
  rows<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** A store by its place. */
export interface StorePlace {
  readonly source: ConnectionSource;
  readonly schema: string;
}

/** Checks may read a whole store at once. */
const TIMEOUT_MS = 120_000;

/** Shows `look` the store as it is now, and returns what it found. */
export async function lookAtStore<Found>(
  { source, schema }: StorePlace,
  look: (snapshot: StoreSnapshot) => Promise<Found>,
): Promise<Found> {
  const session = new Session({ source, purpose: "check" });
  try {
    return await session.transaction(async (query) => {
      await query({ text: "set transaction isolation level repeatable read, read only" });
      return look({
        schema,
        rows: async <Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) => {
          const result = await query<Row>({ text: inSchema(text, schema), values, timeoutMs: TIMEOUT_MS });
          return result.rows;
        },
      });
    });
  } finally {
    await session.close();
  }
}

/** Puts the quoted schema in the place of `:schema`. */
export function inSchema(text: string, schema: string): string {
  const quoted = quoteIdentifier(schema);
  return text.replaceAll(":schema", () => quoted);
}
