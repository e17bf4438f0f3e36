/**
 * A list that grows to 10,000 items, appended to by two hooks on two workers: an append costs as much at the end as at the
 * beginning, and each one gives the list as of that append, live and when both hooks are replayed.
 *
 * The bytes are those of the write-ahead log, of a Postgres of this file's own: nobody else writes to it. What it would
 * write by itself is turned off, full pages after checkpoints and vacuum; and no hook rests before both have made their last
 * append, for a run that rests may leave a snapshot (its share is tested with flushes).
 */
import { startEmbeddedPostgres } from "@memflow/cli/embedded-postgres";
import { EngineWorker, resolveConnection } from "@memflow/engine";
import type { Invoke } from "@memflow/engine";
import { checkStore, eventually } from "@memflow/engine/testing";
import { Client, MemFlow } from "@memflow/sdk";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";

const NAMESPACE = "appends";
const SIDES = ["left", "right"] as const;
const APPENDS_EACH = 5_000;
const APPENDS = SIDES.length * APPENDS_EACH;
const WINDOW = 100;
const GROWTH_MAX = 1.5;
/** Snapshots included, which are rewritten when the log has outgrown them. */
const AVERAGE_GROWTH_MAX = 3;
const TIMEOUT_MS = 300_000;

/** What the code of each side was told, once for each time that it was executed from the top. */
const told: Record<string, { readonly length: number; readonly last: unknown }[][]> = { left: [], right: [] };
/** Settle when the code of a side has made its last append. */
const appended = { left: Promise.withResolvers<void>(), right: Promise.withResolvers<void>() };

const { othersToAppend } = MemFlow.workflow.proxyActivities({
  activities: {
    othersToAppend: async (): Promise<void> => {
      await Promise.all(SIDES.map((side) => appended[side].promise));
    },
  },
});

async function lists(): Promise<void> {
  await Promise.all(
    SIDES.map((side) =>
      MemFlow.workflow.execHook({ taskQueue: side, workflowName: "appends", args: [side] }),
    ),
  );
}

async function appends(side: keyof typeof appended): Promise<void> {
  const seen: { readonly length: number; readonly last: unknown }[] = [];
  told[side]?.push(seen);
  const memory = await MemFlow.workflow.entity();
  for (let number = 1; number <= APPENDS_EACH; number += 1) {
    const list = await memory.append<string>("list", itemOf(side, number));
    seen.push({ length: list.length, last: list.at(-1) });
  }
  appended[side].resolve();
  await othersToAppend();
  await MemFlow.workflow.waitFor(`${side} may end`);
}

/** Items of one length. */
function itemOf(side: string, number: number): string {
  return `${side.padEnd(5)}-${String(number).padStart(6, "0")}-${"x".repeat(20)}`;
}

const invocation =
  (workflow: (...args: never[]) => Promise<unknown>): Invoke =>
  (_context, args) =>
    workflow(...(args as never[]));

async function startServer(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "memflow-appends-"));
  const server = await startEmbeddedPostgres({
    dataDir: folder,
    settings: { full_page_writes: "off", synchronous_commit: "off", autovacuum: "off" },
  });
  onTestFinished(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 50 });
  });
  return server.url;
}

async function connect(url: string): Promise<pg.Client> {
  const postgres = new pg.Client({ connectionString: url, options: `-c search_path=${NAMESPACE}` });
  await postgres.connect();
  onTestFinished(() => postgres.end());
  return postgres;
}

/** Notes how long the write-ahead log is when certain changes are recorded. */
async function markLog(postgres: pg.Client, numbers: readonly number[]): Promise<() => Promise<number[]>> {
  await postgres.query(`
    create table public.marks (number bigint, at pg_lsn);
    create function public.mark() returns trigger language plpgsql as $$
    begin
      insert into public.marks values (new.entity_no, pg_current_wal_insert_lsn());
      return null;
    end $$;
    create trigger mark after insert on events for each row
      when (new.kind = 20 and new.entity_no in (${numbers.join(", ")})) execute function public.mark()`);
  return async () => {
    const { rows } = await postgres.query<{ at: string }>(
      "select (at - '0/0'::pg_lsn)::text as at from public.marks order by number",
    );
    return rows.map(({ at }) => Number(at));
  };
}

test(
  "10,000 appends from two hooks on two workers",
  async () => {
    const url = await startServer();
    const client = new Client({ connection: url, namespace: NAMESPACE });
    await client.getHotMeshClient();
    const postgres = await connect(url);
    const marks = await markLog(postgres, [1, WINDOW, APPENDS - WINDOW + 1, APPENDS]);

    const source = resolveConnection(url);
    const engines: EngineWorker[] = [];
    onTestFinished(async () => {
      const running = engines.filter(({ status }) => status.state === "running");
      await Promise.all(running.map((engine) => engine.shutdown({ graceMs: 0 })));
      await MemFlow.shutdown({ graceMs: 0 });
    });
    const serve = async (taskQueue: string): Promise<EngineWorker> => {
      const tuning = { pollMs: 200, sweepMs: 200, beatMs: 500, heartbeat: "none" } as const;
      const engine = await EngineWorker.start({ source, schema: NAMESPACE, ...tuning });
      engines.push(engine);
      await engine.serve(
        taskQueue,
        new Map([
          ["lists", invocation(lists)],
          ["appends", invocation(appends)],
        ]),
      );
      return engine;
    };
    const first = await Promise.all(SIDES.map(serve));
    const handle = await client.workflow.start({ taskQueue: "left", workflowName: "lists", args: [] });
    const bothWait = async (): Promise<boolean> =>
      (await postgres.query("select from waits where signal_id like '% may end'")).rowCount === SIDES.length;
    await Promise.all(SIDES.map((side) => appended[side].promise));
    await eventually("both hooks wait", bothWait);

    const [one = 0, hundred = 0, beforeLast = 0, last = 0] = await marks();
    const firstBytes = (hundred - one) / (WINDOW - 1);
    const lastBytes = (last - beforeLast) / (WINDOW - 1);
    const averageBytes = (last - one) / (APPENDS - 1);
    expect(lastBytes).toBeLessThanOrEqual(GROWTH_MAX * firstBytes);
    expect(averageBytes).toBeLessThanOrEqual(AVERAGE_GROWTH_MAX * firstBytes);

    // Both hooks again from the top, by workers that know nothing of them.
    for (const engine of first) {
      engine.crash();
      await postgres.query("update workers set dead_at = clock_timestamp() where worker_id = $1", [
        engine.status.workerId,
      ]);
    }
    await postgres.query("select release_dead(1000)");
    await Promise.all(SIDES.map(serve));
    for (const side of SIDES) await client.workflow.signal(`${side} may end`);
    await handle.result();

    // The order of the log says what the list was at each append.
    const { rows: log } = await postgres.query<{ payload: { readonly value: string } }>(
      "select payload from events where kind = 20 order by entity_no",
    );
    expect(log).toHaveLength(APPENDS);
    for (const side of SIDES) {
      const expected = log.flatMap(({ payload: { value } }, index) =>
        value.startsWith(side) ? [{ length: index + 1, last: value }] : [],
      );
      expect(told[side]).toHaveLength(2);
      for (const seen of told[side] ?? []) expect(seen).toEqual(expected);
    }
    expect(await handle.entity()).toEqual({ list: log.map(({ payload: { value } }) => value) });
    expect(await checkStore({ source, schema: NAMESPACE })).toEqual([]);
  },
  TIMEOUT_MS,
);
