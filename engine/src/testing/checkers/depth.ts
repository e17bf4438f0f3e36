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

/** What `checkDepth` found. */
export interface DepthCheck {
  readonly findings: readonly string[];
  /** What could be claimed, over all queues: a check that saw no work says nothing. */
  readonly claimable: number;
}

const LOCK = `
  lock table :schema.runs, :schema.activities, :schema.inbox, :schema.workers, :schema.waits, :schema.flushes
  in exclusive mode`;
const DEPTHS = `select task_queue, depth::integer as depth from :schema.queue_load where depth > 0`;
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
      return compare({ before, claimed, after });
    });
  } finally {
    await session.close();
  }
}

async function readDepths(query: TransactionQuery, schema: string): Promise<Depths> {
  const { rows } = await query<{ task_queue: string; depth: number }>({ text: inSchema(DEPTHS, schema) });
  return new Map(rows.map(({ task_queue: queue, depth }) => [queue, depth]));
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
