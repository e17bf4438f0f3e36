/**
 * A store whose rows a test writes by hand, to show what a checker finds.
 *
 * Promises a schema of its own at the newest version, dropped when the test has finished.
 */
import type pg from "pg";
import { onTestFinished } from "vitest";
import { quoteIdentifier } from "../store/identifiers.ts";
import { migrate } from "../store/migrator.ts";
import { newId } from "../store/new-id.ts";
import { Session } from "../store/session.ts";
import { inSchema, lookAtStore } from "./store-snapshot.ts";
import type { StorePlace, StoreSnapshot } from "./store-snapshot.ts";
import { testSource, uniqueName } from "./test-database.ts";

/** Columns of a row by name. */
type Row = Readonly<Record<string, unknown>>;

/** @see makeScratchStore */
export interface ScratchStore {
  readonly place: StorePlace;
  /** Runs one statement; `:schema` stands for the schema. */
  sql<Result extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Result[]>;
  /** Inserts a row as it is given. */
  insert(table: string, row: Row): Promise<void>;
  /** Inserts an open run that nobody owns and its workflow id; returns its id. */
  insertRun(row?: Row): Promise<string>;
  /** Inserts an event, as one flush of `writer` where one is given. */
  insertEvent(row: Row, writer?: string): Promise<void>;
  look<Found>(look: (snapshot: StoreSnapshot) => Promise<Found>): Promise<Found>;
}

/** Makes the schema. */
export async function makeScratchStore(): Promise<ScratchStore> {
  const source = testSource();
  const schema = uniqueName();
  const session = new Session({ source, purpose: "test" });
  onTestFinished(async () => {
    await session.query({ text: `drop schema ${quoteIdentifier(schema)} cascade` });
    await session.close();
  });
  await migrate({ source, schema });
  const place: StorePlace = { source, schema };

  let flushCount = 0;
  const sql: ScratchStore["sql"] = async <Result extends pg.QueryResultRow>(
    text: string,
    values: readonly unknown[] = [],
  ) => (await session.query<Result>({ text: inSchema(text, schema), values })).rows;
  const insert: ScratchStore["insert"] = async (table, row) => {
    const statement = insertion(table, row);
    await sql(statement.text, statement.values);
  };
  return {
    place,
    sql,
    insert,
    insertRun: async (row = {}) => {
      const runId = newId();
      const full = {
        run_id: runId,
        entity_id: runId,
        task_queue: "queue",
        workflow_name: "work",
        workflow_id: runId,
        ...row,
      };
      await insert("runs", full);
      await sql("insert into :schema.workflow_ids values ($1, $2) on conflict do nothing", [
        full.workflow_id,
        runId,
      ]);
      return runId;
    },
    insertEvent: async (row, writer) => {
      await session.transaction(async (query) => {
        const full = { at: new Date(), ...row };
        const statement = insertion("events", full);
        await query({ text: inSchema(statement.text, schema), values: statement.values });
        await query({
          text: inSchema("update :schema.runs set event_count = event_count + 1 where run_id = $1", schema),
          values: [row["run_id"]],
        });
        if (writer === undefined) return;
        const flush = insertion("flushes", { writer, number: (flushCount += 1) });
        await query({ text: inSchema(flush.text, schema), values: flush.values });
      });
    },
    look: (look) => lookAtStore(place, look),
  };
}

function insertion(table: string, row: Row): { readonly text: string; readonly values: unknown[] } {
  const columns = Object.keys(row).map(quoteIdentifier);
  const places = columns.map((_, index) => `$${index + 1}`);
  return {
    text: `insert into :schema.${table} (${columns.join(", ")}) values (${places.join(", ")})`,
    values: Object.values(row),
  };
}
