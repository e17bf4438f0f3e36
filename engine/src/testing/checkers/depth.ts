/**
 * I11: the depth that scaling reads equals the rows that workers could claim, under load too.
 *
 * Holds the store still for a moment: whoever writes waits. In it the depth is read, then all that workers would do
 * next is done (dead workers' holdings are released, everything ready is claimed), counted and undone.
 */
import { newId } from "../../store/new-id.ts";
import { Session } from "../../store/session.ts";
import type { TransactionQuery } from "../../store/session.ts";
import { SUSPECT_AFTER } from "../../worker/worker-options.ts";
import { inSchema } from "../store-snapshot.ts";
import type { StorePlace } from "../store-snapshot.ts";

/** Depths by queue. */
type Depths = ReadonlyMap<string, number>;

/** The depth of a queue as the views have it, and as scaling observes it in the same moment. */
interface DepthRow {
  readonly task_queue: string;
  readonly depth: number;
  readonly observed: number;
}

/** What `checkDepth` found. */
export interface DepthCheck {
  readonly findings: readonly string[];
  /** What could be claimed, over all queues: a check that saw no work says nothing. */
  readonly claimable: number;
}

const LOCK = `
  lock table :schema.runs, :schema.activities, :schema.inbox, :schema.workers, :schema.waits, :schema.flushes
  in exclusive mode`;
const DEPTHS = `
  select coalesce(l.task_queue, o.task_queue) as task_queue, coalesce(l.depth, 0)::integer as depth,
    coalesce(o.depth, 0)::integer as observed
  from (select task_queue, depth from :schema.queue_load where depth > 0) l
  full join (
    select load.task_queue, sum(part.ready + part.unserved) as depth
    from :schema.observe_load() load
    cross join lateral json_to_recordset(load.waiting) as part (ready bigint, unserved bigint)
    group by load.task_queue
    having sum(part.ready + part.unserved) > 0
  ) o on o.task_queue = l.task_queue`;
const REGISTER = `select :schema.register_worker($1, '{"queues":[]}', null, null, 60000)`;
const RELEASE = `select task_queue from :schema.release_dead(100000)`;
const WORK = `
  select distinct task_queue, workflow_name as name, 'run' as kind from :schema.runs where status = 'running'
  union
  select distinct task_queue, name, 'activity' from :schema.activities`;
const CLAIM_RUNS = `select run_id from :schema.claim_runs($1, null, $2, $3, 100000, $4, $5)`;
const CLAIM_ACTIVITIES = `select run_id from :schema.claim_activities($1, $2, $3, 100000)`;

/** Compares the depth of each queue with what a worker that has everything could claim now. */
export async function checkDepth({ source, schema }: StorePlace): Promise<DepthCheck> {
  const session = new Session({ source, purpose: "check" });
  try {
    return await session.transaction(async (query) => {
      const ask = (text: string): string => inSchema(text, schema);
      await query({ text: ask(LOCK) });
      await query({ text: "savepoint still" });
      // Only time goes on: what becomes due between two looks makes the later one larger.
      const before = await readDepths(query, schema);
      const claimed = await claimEverything(query, schema);
      await query({ text: "rollback to savepoint still" });
      const after = await readDepths(query, schema);
      const { findings, claimable } = compare({
        before: depthsOf(before),
        claimed,
        after: depthsOf(after),
      });
      return { findings: [...findings, ...[...before, ...after].flatMap(compareObserved)], claimable };
    });
  } finally {
    await session.close();
  }
}

async function readDepths(query: TransactionQuery, schema: string): Promise<readonly DepthRow[]> {
  const { rows } = await query<DepthRow>({ text: inSchema(DEPTHS, schema) });
  return rows;
}

function depthsOf(rows: readonly DepthRow[]): Depths {
  return new Map(rows.map(({ task_queue: queue, depth }) => [queue, depth]));
}

function compareObserved({ task_queue: queue, depth, observed }: DepthRow): readonly string[] {
  if (depth === observed) return [];
  return [`I11: queue "${queue}" has a depth of ${depth}, scaling observes ${observed}`];
}

async function claimEverything(query: TransactionQuery, schema: string): Promise<Depths> {
  const ask = (text: string): string => inSchema(text, schema);
  const workerId = newId();
  await query({ text: ask(REGISTER), values: [workerId] });
  await query({ text: ask(RELEASE) });
  const { rows: work } = await query<{ task_queue: string; name: string; kind: string }>({ text: ask(WORK) });
  const claimed = new Map<string, number>();
  for (const [queue, known] of Map.groupBy(work, (row) => row.task_queue)) {
    const names = (kind: string): string[] =>
      known.filter((row) => row.kind === kind).map(({ name }) => name);
    let count = 0;
    for (const alone of [false, true]) {
      const values = [workerId, queue, names("run"), alone, SUSPECT_AFTER];
      count += (await query({ text: ask(CLAIM_RUNS), values })).rows.length;
    }
    const values = [workerId, queue, names("activity")];
    count += (await query({ text: ask(CLAIM_ACTIVITIES), values })).rows.length;
    if (count > 0) claimed.set(queue, count);
  }
  return claimed;
}

function compare({
  before,
  claimed,
  after,
}: Readonly<Record<"before" | "claimed" | "after", Depths>>): DepthCheck {
  const findings: string[] = [];
  let claimable = 0;
  for (const queue of new Set([...before.keys(), ...claimed.keys(), ...after.keys()])) {
    const [low, count, high] = [before, claimed, after].map((depths) => depths.get(queue) ?? 0) as [
      number,
      number,
      number,
    ];
    claimable += count;
    if (low <= count && count <= high) continue;
    findings.push(`I11: queue "${queue}" has a depth of ${low} (then ${high}), workers could claim ${count}`);
  }
  return { findings, claimable };
}
