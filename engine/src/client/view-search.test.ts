/** What a search leaves on a connection that a pooler gives to somebody else next. */
import type pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { withPooled } from "../store/connection-source.ts";
import type { ConnectionSource } from "../store/connection-source.ts";
import { quoteIdentifier } from "../store/identifiers.ts";
import { migrate } from "../store/migrator.ts";
import { Session } from "../store/session.ts";
import { testSource, uniqueName } from "../testing/test-database.ts";
import { searchViews } from "./view-search.ts";

/** A pooled source whose clients stay open when they are closed, as a pooler's backends do. */
function keptSource(): { readonly source: ConnectionSource; readonly kept: pg.Client[] } {
  const pooled = withPooled(testSource(), true);
  const kept: pg.Client[] = [];
  const ends: (() => Promise<void>)[] = [];
  onTestFinished(async () => void (await Promise.all(ends.map((end) => end()))));
  const source: ConnectionSource = {
    ...pooled,
    createClient: (overrides) => {
      const client = pooled.createClient(overrides);
      const end = client.end.bind(client);
      ends.push(end);
      kept.push(client);
      return Object.assign(client, { end: () => Promise.resolve() });
    },
  };
  return { source, kept };
}

async function migrated(): Promise<string> {
  const schema = uniqueName();
  await migrate({ source: testSource(), schema });
  onTestFinished(async () => {
    const admin = new Session({ source: testSource(), purpose: "test" });
    const { rows } = await admin.query<{ role: string }>({
      text: `select ${quoteIdentifier(schema)}.search_role() as role`,
    });
    await admin.query({ text: `drop schema ${quoteIdentifier(schema)} cascade` });
    await admin.query({ text: `drop role ${quoteIdentifier(rows[0]?.role ?? "")}` });
    await admin.close();
  });
  return schema;
}

test("behind a pooler a search leaves no statement, lock, setting or transaction, whether it was answered or refused", async () => {
  const schema = await migrated();
  const { source, kept } = keptSource();
  const search = (sql: string, ...parameters: unknown[]) => searchViews({ source, schema, sql, parameters });
  expect(await search("select count(*) as count from jobs where key <> $1", "x")).toEqual([{ count: 0 }]);
  const greedy = "pg_advisory_lock(4711, 1), set_config('search_path', 'pg_temp', false)";
  expect(await search(`select ${greedy}`)).toHaveLength(1);
  for (const refused of ["selec", "select * from runs", `select ${greedy}, 1 / 0`]) {
    await expect(search(refused)).rejects.toMatchObject({ code: "SEARCH_REFUSED" });
  }
  // The first search found the schema unprepared and prepared it.
  expect(kept).toHaveLength(7);
  for (const client of kept) {
    const { rows } = await client.query(`
      select (select count(*)::integer from pg_prepared_statements where name like 'memflow_search%') as statements,
        (select count(*)::integer from pg_locks where pid = pg_backend_pid() and locktype = 'advisory') as locks,
        current_setting('search_path') <> 'pg_temp' as settings_stand,
        current_setting('statement_timeout') <> '10s' as timeout_stands,
        current_setting('transaction_read_only') as read_only`);
    expect(rows).toEqual([
      { statements: 0, locks: 0, settings_stand: true, timeout_stands: true, read_only: "off" },
    ]);
  }
});
