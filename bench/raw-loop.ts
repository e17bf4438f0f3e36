/**
 * The limit: the best that `pg` does with the engine's rows and payloads when a bare loop commits them in groups.
 *
 * Promises what the engine is measured by: a start, a step and a result are acknowledged after their commit and not
 * before; one client process, one worker process. It is no engine: nothing is claimed or fenced (the worker is alone),
 * no code is replayed, no retry, no unique workflow id, no recovery of a lost notification.
 */
import pg from "pg";
import { touch } from "./jobs.ts";
import type { Job } from "./jobs.ts";

const LANES = 2;
/** Ids in one notification: Postgres takes less than 8,000 bytes. */
const NOTIFY_MAX = 600;
const ID_PREFIX = "10000000-0000-7000-8000-";
/** Below every id of a client, so that the worker's scan never meets a child. */
const CHILD_PREFIX = "00000000-0000-7000-8000-";
const PLANNER =
  "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c plan_cache_mode=force_generic_plan -c jit=off";

/** Makes the tables. */
export const RAW_TABLES = `
  create table runs (
    run_id uuid primary key, started_at timestamptz not null default clock_timestamp(), closed_at timestamptz,
    status text not null default 'running', task_queue text not null, workflow_name text not null,
    workflow_id text not null, input json, result json
  ) with (fillfactor = 70);
  create table events (
    run_id uuid not null, at timestamptz not null, event_no integer not null, position integer, kind smallint not null,
    name text, payload json, primary key (run_id, event_no)
  )`;
const START = `insert into runs (run_id, task_queue, workflow_name, workflow_id, input)
  select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::json[])`;
const EVENTS = `insert into events (run_id, event_no, position, kind, at, name, payload)
  select run_id, event_no, event_no, 1, clock_timestamp(), name, payload
  from unnest($1::uuid[], $2::integer[], $3::text[], $4::json[]) as e (run_id, event_no, name, payload)`;
const ends = (
  first: number,
): string => `update runs r set status = 'completed', closed_at = clock_timestamp(), result = u.result
  from unnest($${first}::uuid[], $${first + 1}::json[]) as u (run_id, result) where r.run_id = u.run_id`;
const SCAN =
  "select run_id, workflow_name, input::text as input from runs where run_id > $1 and closed_at is null order by run_id";
const RESULTS = "select run_id, result::text as result from runs where run_id = any ($1::uuid[])";

interface StartRow {
  readonly runId: string;
  readonly job: Job;
}
interface EventRow {
  readonly runId: string;
  readonly no: number;
  readonly name: string;
  readonly payload: string;
}
interface EndRow {
  readonly runId: string;
  readonly result: string;
}

/** Sends what was added since the last statement in one statement, one at a time. */
class Group<Row> {
  readonly #send: (rows: readonly Row[]) => Promise<unknown>;
  #waiting: { readonly row: Row; readonly done: () => void }[] = [];
  #sending = false;

  constructor(send: (rows: readonly Row[]) => Promise<unknown>) {
    this.#send = send;
  }

  add(row: Row): Promise<void> {
    return new Promise((done) => {
      this.#waiting.push({ row, done });
      if (this.#sending) return;
      this.#sending = true;
      setImmediate(() => void this.#run());
    });
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const taken = this.#waiting;
      this.#waiting = [];
      await this.#send(taken.map(({ row }) => row));
      for (const { done } of taken) done();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#sending = false;
  }
}

/** Text arrays; JSON texts hold no control characters, so that quoting them once more is enough. */
const plain = (values: readonly (string | number)[]): string => `{${values.join(",")}}`;
const quoted = (values: readonly string[]): string =>
  `{${values.map((value) => JSON.stringify(value)).join(",")}}`;

async function connect(url: string, asynchronous = false): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    options: asynchronous ? "-c synchronous_commit=off" : PLANNER,
  });
  await client.connect();
  return client;
}

async function notifier(url: string, channel: string): Promise<Group<string>> {
  const client = await connect(url, true);
  return new Group(async (ids) => {
    for (let at = 0; at < ids.length; at += NOTIFY_MAX) {
      const payload = ids
        .slice(at, at + NOTIFY_MAX)
        .map((id) => id.slice(-12))
        .join(",");
      await client.query({ name: "notify", text: "select pg_notify($1, $2)", values: [channel, payload] });
    }
  });
}

async function starter(url: string): Promise<Group<StartRow>> {
  const client = await connect(url);
  return new Group((rows) =>
    client.query({
      name: "start",
      text: START,
      values: [
        plain(rows.map(({ runId }) => runId)),
        plain(rows.map(() => "bench")),
        plain(rows.map(({ job }) => job.workflow)),
        plain(rows.map(({ runId }) => runId)),
        quoted(rows.map(({ job }) => JSON.stringify([job.count]))),
      ],
    }),
  );
}

/** Inserts events and ends runs, in one statement where there are both. */
async function recorder(url: string): Promise<Group<{ readonly event?: EventRow; readonly end?: EndRow }>> {
  const client = await connect(url);
  return new Group((rows) => {
    const events = rows.flatMap(({ event }) => event ?? []);
    const ended = rows.flatMap(({ end }) => end ?? []);
    const eventValues = [
      plain(events.map(({ runId }) => runId)),
      plain(events.map(({ no }) => no)),
      plain(events.map(({ name }) => name)),
      quoted(events.map(({ payload }) => payload)),
    ];
    const endValues = [plain(ended.map(({ runId }) => runId)), quoted(ended.map(({ result }) => result))];
    if (ended.length === 0) return client.query({ name: "events", text: EVENTS, values: eventValues });
    if (events.length === 0) return client.query({ name: "ends", text: ends(1), values: endValues });
    return client.query({
      name: "both",
      text: `with inserted as (${EVENTS}) ${ends(5)}`,
      values: [...eventValues, ...endValues],
    });
  });
}

/** Starts runs and learns their results: the returned function settles with the result of the run. */
export async function openRawClient(url: string): Promise<(job: Job) => Promise<unknown>> {
  const [starts, calls, reader, listener] = await Promise.all([
    starter(url),
    notifier(url, "raw_worker"),
    connect(url),
    connect(url),
  ]);
  const waiting = new Map<string, (result: unknown) => void>();
  const results = new Group<string>(async (ids) => {
    const { rows } = await reader.query<{ run_id: string; result: string }>({
      name: "results",
      text: RESULTS,
      values: [plain(ids)],
    });
    for (const row of rows) {
      waiting.get(row.run_id)?.(JSON.parse(row.result));
      waiting.delete(row.run_id);
    }
  });
  listener.on("notification", ({ payload }) =>
    (payload ?? "").split(",").forEach((id) => void results.add(ID_PREFIX + id)),
  );
  await listener.query("listen raw_client");
  let number = 0;
  return async (job) => {
    const runId = ID_PREFIX + (number += 1).toString(16).padStart(12, "0");
    const result = new Promise((resolve) => waiting.set(runId, resolve));
    await starts.add({ runId, job });
    void calls.add(runId);
    return await result;
  };
}

/** Executes runs until its process ends. */
export async function openRawWorker(url: string): Promise<void> {
  const [starts, calls, reader, listener] = await Promise.all([
    starter(url),
    notifier(url, "raw_client"),
    connect(url),
    connect(url),
  ]);
  const lanes = await Promise.all(Array.from({ length: LANES }, () => recorder(url)));
  let [mark, laneNumber, childNumber] = [`${ID_PREFIX}000000000000`, 0, 0];
  const execute = async (runId: string, { workflow, count }: Job): Promise<void> => {
    const lane = lanes[(laneNumber += 1) % LANES] ?? lanes[0];
    const step = async (no: number): Promise<void> =>
      lane?.add({ event: { runId, no, name: "touch", payload: JSON.stringify(touch(no)) } });
    const child = async (no: number): Promise<void> => {
      const childId = CHILD_PREFIX + (childNumber += 1).toString(16).padStart(12, "0");
      await starts.add({ runId: childId, job: { workflow: "noOp", count: 0 } });
      await lane?.add({
        event: { runId, no, name: "noOp", payload: "null" },
        end: { runId: childId, result: "null" },
      });
    };
    if (workflow === "steps") for (let no = 1; no <= count; no += 1) await step(no);
    if (workflow === "fanOut")
      await Promise.all(Array.from({ length: count }, (_, index) => child(index + 1)));
    await lane?.add({ end: { runId, result: JSON.stringify(count) } });
    void calls.add(runId);
  };
  const scans = new Group<string>(async () => {
    const { rows } = await reader.query<{ run_id: string; workflow_name: Job["workflow"]; input: string }>({
      name: "scan",
      text: SCAN,
      values: [mark],
    });
    mark = rows.at(-1)?.run_id ?? mark;
    for (const row of rows)
      void execute(row.run_id, {
        workflow: row.workflow_name,
        count: (JSON.parse(row.input) as [number])[0],
      });
  });
  listener.on("notification", () => void scans.add(""));
  await listener.query("listen raw_worker");
}
