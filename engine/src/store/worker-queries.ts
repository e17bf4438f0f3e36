/**
 * The statements of a worker: each is one call of a function of the migrations, or one bounded read.
 *
 * Promises that user text goes in as parameters only; the schema is quoted once, here.
 */
import { quoteIdentifier } from "./identifiers.ts";

/** A prepared statement's name and text. */
export interface QueryText {
  readonly name: string;
  readonly text: string;
}

/** The worker's statements for one schema. */
export type WorkerQueries = Readonly<Record<keyof typeof TEXTS, QueryText>>;

const TEXTS = {
  flushRuns: `select :schema.flush_runs(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)::text as reply`,
  flushReply: `select reply::text as reply from :schema.flushes where writer = $1 and number = $2`,
  claimRuns: `select * from :schema.claim_runs($1, $2, $3, $4, $5, $6, $7)`,
  readyWork: `
    select * from :schema.ready_work($1, $2, $3, $4, $5, $6)
    union all
    (
      select 'schedules', '', s.next_at <= clock_timestamp(),
        case when s.next_at > clock_timestamp()
          then extract(epoch from s.next_at - clock_timestamp())::double precision * 1000
        end
      from :schema.schedules s
      where s.next_at is not null
      order by s.next_at
      limit 1
    )`,
  claimActivities: `select * from :schema.claim_activities($1, $2, $3, $4, $5)`,
  settleActivities: `select :schema.settle_activities($1, $2, $3)::text as reply`,
  registerWorker: `select :schema.register_worker($1, $2, $3, $4, $5) as database_ms`,
  resumeRuns: `select * from :schema.resume_runs($1, $2, $3, $4, '{}')`,
  buryWorkers: `select * from :schema.bury_workers($1, $2)`,
  releaseDead: `select * from :schema.release_dead($1)`,
  handOver: `select * from :schema.hand_over($1, $2)`,
  releaseUnknown: `select :schema.release_unknown($1, $2, $3, $4)`,
  retireWorker: `update :schema.workers set dead_at = clock_timestamp() where worker_id = $1 and dead_at is null`,
  retireProcesses: `
    update :schema.workers set dead_at = clock_timestamp()
    where dead_at is null and host = $1 and (serves ->> 'processId')::integer = any ($2::integer[])`,
  prune: `select * from :schema.prune($1)`,
  loadEvents: `
    select page.place, page.bytes::double precision, page.run_id, page.event_no, page.kind, page.position,
      extract(epoch from page.at)::double precision * 1000 as at_ms, page.name, page.payload::text as payload,
      page.entity_no
    from (
      select known.place::integer, e.*, pg_column_size(e.payload) as own_bytes,
        coalesce(sum(pg_column_size(e.payload)) over (rows unbounded preceding), 0) as bytes
      from unnest($1::uuid[], $2::integer[]) with ordinality as known (run_id, event_no, place)
      cross join lateral (
        select * from :schema.events h
        where h.run_id = known.run_id and h.event_no > known.event_no
        order by h.event_no
        limit $3
      ) e
      limit $3
    ) page
    where page.bytes - coalesce(page.own_bytes, 0) < $4`,
  loadInbox: `
    select page.place, page.bytes::double precision, page.run_id, page.message_id, page.kind, page.from_run_id,
      page.position, page.name, page.payload::text as payload
    from (
      select known.place::integer, i.*, pg_column_size(i.payload) as own_bytes,
        coalesce(sum(pg_column_size(i.payload)) over (rows unbounded preceding), 0) as bytes
      from unnest($1::uuid[], $2::bigint[]) with ordinality as known (run_id, message_id, place)
      cross join lateral (
        select * from :schema.inbox m
        where m.run_id = known.run_id and m.message_id > known.message_id
        order by m.message_id
        limit $3
      ) i
      limit $3
    ) page
    where page.bytes - coalesce(page.own_bytes, 0) < $4`,
  loadActivities: `
    select run_id, position, attempt, state, extract(epoch from due_at)::double precision * 1000 as due_ms
    from :schema.activities
    where run_id = any ($1)
    union all
    select run_id, position, 0, 'answered', 0
    from :schema.inbox
    where run_id = any ($1) and kind in (1, 2)`,
  loadWaits: `select run_id, signal_id, position from :schema.waits where run_id = any ($1)`,
  loadChanges: `
    select page.place, page.bytes::double precision, page.entity_id, page.entity_no, page.payload::text as payload
    from (
      select span.place::integer, e.entity_id, e.entity_no, e.payload, pg_column_size(e.payload) as own_bytes,
        coalesce(sum(pg_column_size(e.payload)) over (rows unbounded preceding), 0) as bytes
      from unnest($1::uuid[], $2::bigint[], $3::bigint[]) with ordinality
        as span (entity_id, first_no, last_no, place)
      cross join lateral (
        select * from :schema.events c
        where c.entity_id = span.entity_id and c.kind = 20 and c.entity_no between span.first_no and span.last_no
        order by c.entity_no
        limit $4
      ) e
      limit $4
    ) page
    where page.bytes - coalesce(page.own_bytes, 0) < $5`,
  sweepInbox: `select distinct run_id from :schema.inbox where run_id = any ($1)`,
  sweepOwned: `
    select r.run_id from unnest($1::uuid[], $2::integer[]) as mine (run_id, epoch)
    join :schema.runs r on r.run_id = mine.run_id
    where r.owner is distinct from $3 or r.epoch <> mine.epoch`,
  strandedNames: `
    with served (task_queue, kind, name) as (
      select q ->> 'taskQueue', part.kind, item.name
      from :schema.workers w
      cross join lateral json_array_elements(w.serves -> 'queues') q
      cross join (values ('workflow', 'workflows'), ('activity', 'activities')) as part (kind, member)
      cross join lateral json_array_elements_text(q -> part.member) as item (name)
      where w.dead_at is null and q ->> 'taskQueue' = any ($1)
    ), waiting (task_queue, kind, name) as (
      select r.task_queue, 'workflow', r.workflow_name from :schema.ready_runs r where r.task_queue = any ($1)
      union
      select a.task_queue, 'activity', a.name from :schema.ready_activities a where a.task_queue = any ($1)
    )
    select task_queue, kind, name from waiting
    except
    select task_queue, kind, name from served
    limit 20`,
} as const;

/** Builds the statements for a schema. */
export function workerQueries(schema: string): WorkerQueries {
  const quoted = quoteIdentifier(schema);
  const entries = Object.entries(TEXTS).map(([name, text]) => [
    name,
    { name: `memflow_${name}`, text: text.replaceAll(":schema", () => quoted) },
  ]);
  return Object.fromEntries(entries) as WorkerQueries;
}
