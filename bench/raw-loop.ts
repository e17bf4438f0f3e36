/**
 * The limit: the best that `pg` does with the engine's rows and payloads when a bare loop commits them in groups.
 *
 * Promises what the engine is measured by: the rows that a run leaves, in the engine's tables; a start, a step and a result
 * acknowledged after their commit and not before; one client process, one worker process. It is no engine: nothing is
 * claimed, fenced, replayed or retried, a lost notification stays lost, and one notification holds 600 runs at most.
 */
import pg from "pg";
import { type Job, touch } from "./jobs.ts";

/** Writing connections of the worker; more are not faster on two cores. */
const LANES = 2;
const ID_PREFIX = "10000000-0000-7000-8000-";
/** Below every id of a client, so that the worker's scan never meets a child. */
const CHILD_PREFIX = "00000000-0000-7000-8000-";
const PLANNER =
  "plan_cache_mode=force_generic_plan enable_seqscan=off enable_hashjoin=off enable_mergejoin=off";

const WRITE = `
  with started as (
    insert into runs (run_id, task_queue, workflow_name, workflow_id, input, entity_id)
    select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::json[], $1)
  ), named as (
    insert into workflow_ids (workflow_id, run_id) select * from unnest($4::text[], $1::uuid[])
  ), recorded as (
    insert into events (run_id, event_no, position, kind, at, name, payload)
    select run_id, event_no, event_no, 1, clock_timestamp(), name, payload
    from unnest($6::uuid[], $7::integer[], $8::text[], $9::json[]) as e (run_id, event_no, name, payload)
  )
  update runs r set status = 'completed', result = u.result, closed_at = clock_timestamp(),
    expires_at = clock_timestamp() + interval '7 days'
  from unnest($10::uuid[], $11::json[]) as u (run_id, result) where r.run_id = u.run_id`;
/** The first column of each part of that statement. */
const [START, EVENT, END, COLUMNS] = [0, 5, 9, 11];
const SCAN = `select run_id, workflow_name, input::text as input from runs
  where run_id > $1 and closed_at is null order by run_id`;
const RESULTS = "select run_id, result::text as result from runs where run_id = any ($1::uuid[])";

type ScanRow = { run_id: string; workflow_name: string; input: string };
type ResultRow = { run_id: string; result: string };

/** Collects rows while a statement is on its way and sends them all with the next; one at a time. */
class Group {
  readonly #send: (columns: readonly string[][]) => Promise<unknown>;
  readonly #width: number;
  #next: { readonly columns: string[][]; readonly done: PromiseWithResolvers<void> } | undefined;
  #sending = false;

  constructor(send: (columns: readonly string[][]) => Promise<unknown>, width = 1) {
    this.#send = send;
    this.#width = width;
  }

  /** Puts values into the columns from `first` on; settles when they are sent, and so committed. */
  add(first: number, ...values: readonly string[]): Promise<void> {
    const columns = this.#next?.columns ?? Array.from({ length: this.#width }, () => []);
    this.#next ??= { columns, done: Promise.withResolvers<void>() };
    for (let index = 0; index < values.length; index += 1) columns[first + index]?.push(values[index] ?? "");
    if (!this.#sending) setImmediate(() => void this.#run());
    this.#sending = true;
    return this.#next.done.promise;
  }

  async #run(): Promise<void> {
    for (let batch = this.#next; batch !== undefined; batch = this.#next) {
      this.#next = undefined;
      await this.#send(batch.columns);
      batch.done.resolve();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#sending = false;
  }
}

const list = (values: readonly string[]): string => `{${values.join()}}`;
/** JSON as an element of an array: it holds no control characters, so that JSON's own quotes are right. */
const json = (value: unknown): string => JSON.stringify(JSON.stringify(value));
const idOf = (prefix: string, number: number): string => prefix + number.toString(16).padStart(12, "0");

async function connect(url: string, settings = PLANNER): Promise<pg.Client> {
  const options = `search_path=memflow ${settings}`.replaceAll(/\S+/gu, "-c $&");
  const client = new pg.Client({ connectionString: url, options });
  await client.connect();
  return client;
}

async function openWriter(url: string): Promise<Group> {
  const client = await connect(url);
  return new Group((rows) => client.query({ name: "write", text: WRITE, values: rows.map(list) }), COLUMNS);
}

async function openNotifier(url: string, channel: string): Promise<Group> {
  const client = await connect(url, "synchronous_commit=off");
  const text = "select pg_notify($1, $2)";
  return new Group(([ids = []]) => client.query({ name: "notify", text, values: [channel, ids.join()] }));
}

/** Calls back with the ids of each notification. */
async function listen(url: string, channel: string, onIds: (ids: readonly string[]) => void): Promise<void> {
  const client = await connect(url);
  client.on("notification", ({ payload }) => onIds((payload ?? "").split(",")));
  await client.query(`listen ${channel}`);
}

/** Starts runs: the returned function settles with the result of its run. */
export async function openRawClient(url: string): Promise<(job: Job) => Promise<unknown>> {
  const [writer, notifier] = [await openWriter(url), await openNotifier(url, "raw_worker")];
  const reader = await connect(url);
  const waiting = new Map<string, (result: unknown) => void>();
  const results = new Group(async ([ids = []]) => {
    const { rows } = await reader.query<ResultRow>({ name: "results", text: RESULTS, values: [list(ids)] });
    for (const row of rows) waiting.get(row.run_id)?.(JSON.parse(row.result));
    for (const row of rows) waiting.delete(row.run_id);
  });
  await listen(url, "raw_client", (ids) => ids.forEach((id) => void results.add(0, ID_PREFIX + id)));
  let runCount = 0;
  return async ({ workflow, count }) => {
    const runId = idOf(ID_PREFIX, (runCount += 1));
    const result = new Promise((resolve) => waiting.set(runId, resolve));
    await writer.add(START, runId, "bench", workflow, runId, json([count]));
    void notifier.add(0, runId.slice(-12));
    return await result;
  };
}

/** Executes runs until its process ends. */
export async function openRawWorker(url: string): Promise<void> {
  const [notifier, reader] = [await openNotifier(url, "raw_client"), await connect(url)];
  const lanes = await Promise.all(Array.from({ length: LANES }, () => openWriter(url)));
  let [mark, runCount, childCount] = [idOf(ID_PREFIX, 0), 0, 0];
  const execute = async (runId: string, workflow: string, count: number): Promise<void> => {
    const lane = lanes[(runCount += 1) % LANES];
    const child = async (index: number): Promise<void> => {
      const childId = idOf(CHILD_PREFIX, (childCount += 1));
      await lane?.add(START, childId, "bench", "noOp", childId, json([0]));
      void lane?.add(EVENT, runId, String(index + 1), "noOp", json(0));
      await lane?.add(END, childId, json(0));
    };
    if (workflow === "fanOut") await Promise.all([...Array(count).keys()].map(child));
    for (let no = 1; no <= (workflow === "steps" ? count : 0); no += 1) {
      await lane?.add(EVENT, runId, String(no), "touch", json(touch(no)));
    }
    await lane?.add(END, runId, json(count));
    void notifier.add(0, runId.slice(-12));
  };
  const scans = new Group(async () => {
    const { rows } = await reader.query<ScanRow>({ name: "scan", text: SCAN, values: [mark] });
    for (const { run_id: runId, workflow_name: workflow, input } of rows) {
      mark = runId;
      void execute(runId, workflow, (JSON.parse(input) as [number])[0]);
    }
  });
  await listen(url, "raw_worker", () => void scans.add(0, ""));
}
