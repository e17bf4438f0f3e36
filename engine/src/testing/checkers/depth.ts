/**
 * I11: the depth that scaling reads equals the rows that workers could claim, under load too; and what it reads of a build
 * equals what that build's workers could claim, and nobody else.
 *
 * Holds the store still for a moment: whoever writes waits. In it the depth is read, then all that workers would do
 * next is done (dead workers' holdings are released, everything ready is claimed: by a worker of each build, at last by one
 * without), counted and undone.
 */
import { newId } from "../../store/new-id.ts";
import { Session } from "../../store/session.ts";
import type { TransactionQuery } from "../../store/session.ts";
import { SUSPECT_AFTER } from "../../worker/worker-options.ts";
import { inSchema } from "../store-snapshot.ts";
import type { StorePlace } from "../store-snapshot.ts";

/** Counts by queue, or by queue and build (see `partOf`). */
type Counts = ReadonlyMap<string, number>;

/** What was read of the store in one moment. */
interface Reading {
  /** The depth of each queue as the views have it. */
  readonly depths: Counts;
  /** What scaling observes, by queue and build. */
  readonly observed: Counts;
  /** The same by queue. */
  readonly observedDepths: Counts;
}

/** What all workers together could claim. */
interface Claimed {
  readonly queues: Counts;
  readonly parts: Counts;
  /** What somebody could claim that is not theirs. */
  readonly findings: readonly string[];
}

/** What `checkDepth` found. */
export interface DepthCheck {
  readonly findings: readonly string[];
  /** What could be claimed, over all queues: a check that saw no work says nothing. */
  readonly claimable: number;
}

interface ClaimedRow {
  readonly run_id: string;
  readonly position?: number;
}

/** In the order in which every flush goes, so that none of them and the check wait for each other. */
const LOCK = `
  lock table :schema.flushes, :schema.runs, :schema.activities, :schema.inbox, :schema.workers, :schema.waits,
    :schema.queue_builds
  in exclusive mode`;
const DEPTHS = `select task_queue, depth::integer as count from :schema.queue_load where depth > 0`;
const OBSERVED = `
  select load.task_queue, part."buildId" as build_id, (part.ready + part.unserved)::integer as count
  from :schema.observe_load() load
  cross join lateral json_to_recordset(load.waiting) as part ("buildId" text, ready bigint, unserved bigint)
  where part.ready + part.unserved > 0`;
const REGISTER = `select :schema.register_worker($1, '{"queues":[]}', $2, null, 60000)`;
const RELEASE = `select task_queue from :schema.release_dead(100000)`;
const WORK = `
  select distinct task_queue, workflow_name as name, 'run' as kind from :schema.runs where status = 'running'
  union
  select distinct task_queue, name, 'activity' from :schema.activities`;
const BUILDS = `
  select task_queue, build_id, role <> 'Draining' as takes_new from :schema.queue_builds
  union all
  select known.task_queue, known.build_id,
    not exists (select from :schema.queue_builds q where q.task_queue = known.task_queue)
  from (
    select task_queue, build_id from :schema.runs where status = 'running' and build_id is not null
    union
    select task_queue, build_id from :schema.activities where build_id is not null
  ) known
  where not exists (
    select from :schema.queue_builds q where q.task_queue = known.task_queue and q.build_id = known.build_id
  )`;
const ROUTES = `
  select run_id::text as key, build_id from :schema.runs where status = 'running'
  union all
  select run_id || ' ' || position, build_id from :schema.activities`;
const CLAIM_RUNS = `select run_id from :schema.claim_runs($1, $2, $3, $4, 100000, $5, $6)`;
const CLAIM_ACTIVITIES = `select run_id, position from :schema.claim_activities($1, $2, $3, $4, 100000)`;

/** Compares the depth of each queue with what workers that have everything could claim now. */
export async function checkDepth({ source, schema }: StorePlace): Promise<DepthCheck> {
  const session = new Session({ source, purpose: "check" });
  try {
    return await session.transaction(async (query) => {
      const ask = (text: string): string => inSchema(text, schema);
      await query({ text: ask(LOCK) });
      await query({ text: "savepoint still" });
      // Only time goes on: what becomes due between two looks makes the later one larger.
      const before = await read(query, schema);
      const claimed = await claimEverything(query, schema);
      await query({ text: "rollback to savepoint still" });
      const after = await read(query, schema);
      return {
        findings: [
          ...compare(before.depths, claimed.queues, after.depths).map(
            ({ name, low, count, high }) =>
              `I11: queue ${name} has a depth of ${low} (then ${high}), workers could claim ${count}`,
          ),
          ...[before, after].flatMap(compareObserved),
          ...compare(before.observed, claimed.parts, after.observed)
            .filter(({ name }) => name.includes(BUILD))
            .map(
              ({ name, low, count, high }) =>
                `I11: of queue ${name} scaling observes ${low} (then ${high}), its workers could claim ${count}`,
            ),
          ...claimed.findings,
        ],
        claimable: [...claimed.queues.values()].reduce((sum, count) => sum + count, 0),
      };
    });
  } finally {
    await session.close();
  }
}

async function read(query: TransactionQuery, schema: string): Promise<Reading> {
  const { rows } = await query<{ task_queue: string; count: number }>({ text: inSchema(DEPTHS, schema) });
  const { rows: parts } = await query<{ task_queue: string; build_id: string | null; count: number }>({
    text: inSchema(OBSERVED, schema),
  });
  return {
    depths: sumBy(rows, (row) => partOf(row.task_queue, null)),
    observed: sumBy(parts, (row) => partOf(row.task_queue, row.build_id)),
    observedDepths: sumBy(parts, (row) => partOf(row.task_queue, null)),
  };
}

function compareObserved({ depths, observedDepths }: Reading): readonly string[] {
  return [...new Set([...depths.keys(), ...observedDepths.keys()])].flatMap((name) => {
    const [depth, observed] = [depths.get(name) ?? 0, observedDepths.get(name) ?? 0];
    return depth === observed
      ? []
      : [`I11: queue ${name} has a depth of ${depth}, scaling observes ${observed}`];
  });
}

async function claimEverything(query: TransactionQuery, schema: string): Promise<Claimed> {
  const ask = (text: string): string => inSchema(text, schema);
  await query({ text: ask(RELEASE) });
  const { rows: work } = await query<{ task_queue: string; name: string; kind: string }>({ text: ask(WORK) });
  const { rows: builds } = await query<{ task_queue: string; build_id: string; takes_new: boolean }>({
    text: ask(BUILDS),
  });
  const { rows: routes } = await query<{ key: string; build_id: string | null }>({ text: ask(ROUTES) });
  const buildOf = new Map(routes.map(({ key, build_id: build }) => [key, build]));
  const rows: { readonly task_queue: string; readonly build_id: string | null; readonly count: number }[] =
    [];
  const findings: string[] = [];
  for (const [queue, known] of Map.groupBy(work, (row) => row.task_queue)) {
    const names = (kind: string): string[] =>
      known.filter((row) => row.kind === kind).map(({ name }) => name);
    const claimers = builds.filter(({ task_queue: queueName }) => queueName === queue);
    for (const claimer of [...claimers, { build_id: null, takes_new: true }]) {
      const claimed = await claimAs(query, {
        ask,
        queue,
        build: claimer.build_id,
        runs: names("run"),
        attempts: names("activity"),
      });
      for (const key of claimed) {
        const build = buildOf.get(key) ?? null;
        rows.push({ task_queue: queue, build_id: build, count: 1 });
        if (build === null ? claimer.takes_new : build === claimer.build_id) continue;
        findings.push(`I11: build ${claimer.build_id} could claim what is build ${build}'s: ${key}`);
      }
    }
  }
  return {
    queues: sumBy(rows, (row) => partOf(row.task_queue, null)),
    parts: sumBy(rows, (row) => partOf(row.task_queue, row.build_id)),
    findings,
  };
}

/** All that a worker of one build could claim, each by its key. */
async function claimAs(
  query: TransactionQuery,
  options: {
    ask(text: string): string;
    readonly queue: string;
    readonly build: string | null;
    readonly runs: readonly string[];
    readonly attempts: readonly string[];
  },
): Promise<readonly string[]> {
  const { ask, queue, build, runs, attempts } = options;
  const workerId = newId();
  await query({ text: ask(REGISTER), values: [workerId, build] });
  const claimed: ClaimedRow[] = [];
  for (const alone of [false, true]) {
    const values = [workerId, build, queue, runs, alone, SUSPECT_AFTER];
    claimed.push(...(await query<{ run_id: string }>({ text: ask(CLAIM_RUNS), values })).rows);
  }
  const values = [workerId, build, queue, attempts];
  claimed.push(
    ...(await query<{ run_id: string; position: number }>({ text: ask(CLAIM_ACTIVITIES), values })).rows,
  );
  return claimed.map(({ run_id: runId, position }) =>
    position === undefined ? runId : `${runId} ${position}`,
  );
}

const BUILD = " build ";

function partOf(queue: string, build: string | null): string {
  return build === null ? `"${queue}"` : `"${queue}"${BUILD}"${build}"`;
}

function sumBy<Row extends { readonly count: number }>(
  rows: readonly Row[],
  nameOf: (row: Row) => string,
): Counts {
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(nameOf(row), (counts.get(nameOf(row)) ?? 0) + row.count);
  return counts;
}

/** Those of which less or more could be claimed than was read before and after. */
function compare(
  before: Counts,
  claimed: Counts,
  after: Counts,
): readonly { readonly name: string; readonly low: number; readonly count: number; readonly high: number }[] {
  return [...new Set([...before.keys(), ...claimed.keys(), ...after.keys()])]
    .map((name) => ({
      name,
      low: before.get(name) ?? 0,
      count: claimed.get(name) ?? 0,
      high: after.get(name) ?? 0,
    }))
    .filter(({ low, count, high }) => count < low || high < count);
}
