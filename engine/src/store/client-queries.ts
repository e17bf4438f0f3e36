/**
 * The statements of a client: each is one call of a function of the migrations, or one bounded read.
 */
import { quoteIdentifier } from "./identifiers.ts";
import type { QueryText } from "./worker-queries.ts";

/** The client's statements for one schema. */
export type ClientQueries = Readonly<Record<keyof typeof TEXTS, QueryText>>;

const RUN_COLUMNS = `r.run_id, r.workflow_id, r.workflow_name, r.task_queue, r.status, r.hook, r.parent_run_id, r.entity_id, r.busy,
  coalesce((select max(e.event_no) from :schema.events e where e.run_id = r.run_id), 0) as event_count,
  extract(epoch from r.started_at)::double precision * 1000 as started_ms,
  extract(epoch from r.closed_at)::double precision * 1000 as closed_ms, r.problem::text as problem`;

const TEXTS = {
  startRuns: `select :schema.start_runs($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)::text as reply`,
  startSeededRuns: `
    with started as materialized (
      select :schema.start_runs($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)::text as reply
    ), seeded as materialized (
      -- From the row of the start: it comes after it.
      select :schema.seed_memories($12::json), :schema.pin_starts($12::json), started.reply from started
    )
    select seeded.reply from seeded`,
  startKeyedRuns: `
    select :schema.start_keyed_runs($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)::text as reply`,
  startKeyedSeededRuns: `
    with started as materialized (
      select :schema.start_keyed_runs($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)::text as reply
    ), seeded as materialized (
      select :schema.seed_memories($15::json), :schema.pin_starts($15::json), started.reply from started
    )
    select seeded.reply from seeded`,
  startedUnder: `
    select k.request_id, k.workflow_id, k.fingerprint, floor(extract(epoch from k.expires_at) * 1000)::double precision as expires_ms
    from :schema.idempotency_keys k
    where k.key = 'start:' || $1 and k.expires_at >= clock_timestamp()`,
  sendKeyedSignals: `select :schema.send_keyed_signals($1, $2, $3)::text as reply`,
  sendSignals: `select :schema.send_signals($1, $2, $3)::text as reply`,
  startHooks: `select :schema.start_hooks($1, $2, $3)::text as reply`,
  reserveRuns: `select :schema.reserve_runs($1, $2, $3)::text as reply`,
  reserveSeededRuns: `
    with reserved as materialized (
      select :schema.reserve_runs($1, $2, $3)::text as reply
    ), seeded as materialized (
      select :schema.seed_memories($4::json), reserved.reply from reserved
    )
    select seeded.reply from seeded`,
  refreshSnapshots: `select :schema.refresh_snapshots($1)`,
  staleMemories: `
    select e.entity_id, e.last_no, e.snapshot::text as document, e.search::text as search,
      array(
        select c.payload::text from :schema.events c
        where c.entity_id = e.entity_id and c.kind = 20 and c.entity_no > e.snapshot_no and c.entity_no <= e.last_no
        order by c.entity_no
      ) as tail
    from :schema.entities e
    where e.stale and e.entity_id < $1
    order by e.entity_id desc
    limit $2`,
  stopRuns: `select :schema.stop_runs($1, $2, $3)::text as reply`,
  flushReply: `select reply::text as reply from :schema.flushes where writer = $1 and number = $2`,
  watchRuns: `select :schema.watch_runs($1, $2) as run_id`,
  resumeRuns: `select * from :schema.resume_runs(null, null, null, null, $1)`,
  outcomes: `
    select r.run_id, r.status, r.result::text as result, r.failure::text as failure,
      r.failure is not null and coalesce(r.options -> 'retry' ->> 'throwOnError' = 'false', false) as failure_is_result
    from :schema.runs r
    where r.run_id = any ($1)`,
  runsById: `select :columns from :schema.runs r where r.run_id = any ($1)`,
  runByWorkflowId: `
    select :columns
    from :schema.workflow_ids w join :schema.runs r on r.run_id = w.run_id
    where w.workflow_id = $1`,
  runsByWorkflowIds: `select w.workflow_id, w.run_id from :schema.workflow_ids w where w.workflow_id = any ($1)`,
  listRuns: `
    select :columns
    from :schema.runs r
    where ($1::text is null or r.status = $1) and ($2::text is null or r.workflow_name = $2)
      and ($3::text is null or r.task_queue = $3) and not r.hook and ($4::uuid is null or r.run_id < $4)
    order by r.run_id desc
    limit $5`,
  familyOf: `
    with recursive family (run_id, depth) as (
      select $1::uuid, 0
      union all
      select r.run_id, family.depth + 1 from family join :schema.runs r on r.parent_run_id = family.run_id
      where family.depth < 100
    )
    select :columns from family join :schema.runs r on r.run_id = family.run_id
    order by r.run_id
    limit 10000`,
  eventsAfter: `
    select e.run_id, e.event_no, e.kind, e.position, extract(epoch from e.at)::double precision * 1000 as at_ms, e.name,
      e.payload::text as payload, e.entity_no
    from unnest($1::uuid[], $2::integer[]) as seen (run_id, event_no)
    cross join lateral (
      select * from :schema.events h where h.run_id = seen.run_id and h.event_no > seen.event_no order by h.event_no limit 5000
    ) e
    order by e.at, e.run_id, e.event_no`,
  eventPage: `
    select page.run_id, page.event_no, page.kind, page.position, page.at_ms, page.name, page.payload, page.entity_no
    from (
      select e.run_id, e.event_no, e.kind, e.position, extract(epoch from e.at)::double precision * 1000 as at_ms, e.name,
        e.payload::text as payload, e.entity_no,
        sum(coalesce(octet_length(e.payload::text), 0)) over (order by e.event_no) - coalesce(octet_length(e.payload::text), 0)
          as bytes_before
      from (
        select * from :schema.events h where h.run_id = $1 and h.event_no > $2 order by h.event_no limit $3
      ) e
    ) page
    -- A page is a few messages, not many large ones; its first event is always there.
    where page.bytes_before < $4
    order by page.event_no`,
  followedRuns: `
    select seen.run_id, r.status,
      (select max(e.event_no) from :schema.events e where e.run_id = seen.run_id and e.event_no > seen.event_no) as last_no
    from unnest($1::uuid[], $2::integer[]) with ordinality as seen (run_id, event_no, place)
    left join :schema.runs r on r.run_id = seen.run_id
    order by seen.place`,
  queueLoads: `
    select coalesce(l.task_queue, w.task_queue) as task_queue, coalesce(l.depth, 0)::double precision as depth,
      coalesce(l.in_flight, 0)::double precision as in_flight,
      extract(epoch from l.oldest_ready_at)::double precision * 1000 as oldest_ms,
      case when l.next_wake_at < 'infinity' then extract(epoch from l.next_wake_at)::double precision * 1000 end as wake_ms,
      coalesce(w.workers, 0)::integer as workers
    from :schema.queue_load l
    full join (
      select q ->> 'taskQueue' as task_queue, count(distinct w.worker_id) as workers
      from :schema.workers w
      cross join lateral json_array_elements(w.serves -> 'queues') q
      where w.dead_at is null and w.beat_at > clock_timestamp() - w.dead_after_ms * interval '1 millisecond'
      group by 1
    ) w on w.task_queue = l.task_queue
    order by 1`,
  emittedData: `
    select (e.payload -> $3)::text as data
    from unnest($1::uuid[], $2::integer[]) with ordinality as asked (run_id, event_no, place)
    cross join lateral (
      select h.payload from :schema.events h where h.run_id = asked.run_id and h.event_no = asked.event_no and h.kind = 30
      limit 1
    ) e
    order by asked.place`,
  memories: `
    select e.entity_id, e.snapshot::text as document, e.search::text as search,
      array(
        select c.payload::text from :schema.events c
        where c.entity_id = e.entity_id and c.kind = 20 and c.entity_no > e.snapshot_no
        order by c.entity_no
      ) as tail
    from :schema.entities e
    where e.entity_id = any ($1)`,
  entityOfId: `
    select r.run_id, r.status
    from :schema.workflow_ids w
    join :schema.runs r on r.run_id = w.run_id
    join :schema.entities e on e.entity_id = r.run_id
    where e.entity_type = $1 and w.workflow_id = $2`,
  entityIndexes: `
    select c.relname as name, i.indisvalid as valid
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_class t on t.oid = i.indrelid
    join pg_namespace n on n.oid = t.relnamespace
    where n.nspname = $1 and t.relname = 'entities' and c.relname ^@ 'entity_field_'
    order by c.relname`,
  foreignChanges: `
    select c.entity_no, c.payload::text as payload from :schema.events c
    where c.entity_id = $1 and c.kind = 20 and c.run_id <> $2
    order by c.entity_no`,
  exportRun: `
    select :columns, r.input::text as input, r.options::text as options, r.result::text as result, r.failure::text as failure,
      r.parent_position, r.dialect
    from :schema.runs r where r.run_id = $1`,
} as const;

/** The columns of a run's description, of `r`. */
export function runColumns(schema: string): string {
  return RUN_COLUMNS.replaceAll(":schema", () => quoteIdentifier(schema));
}

/** Builds the statements for a schema. */
export function clientQueries(schema: string): ClientQueries {
  const quoted = quoteIdentifier(schema);
  const entries = Object.entries(TEXTS).map(([name, text]) => [
    name,
    {
      name: `memflow_${name}`,
      text: text.replace(":columns", () => RUN_COLUMNS).replaceAll(":schema", () => quoted),
    },
  ]);
  return Object.fromEntries(entries) as ClientQueries;
}
