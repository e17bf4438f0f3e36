-- What workers could claim and what they hold; claims, scaling and the checker of I11 read the same definition.

create view ready_runs as
select r.run_id, r.task_queue, r.workflow_name, r.priority, r.ready_at
from runs r
where r.ready_at is not null and r.ready_at <= statement_timestamp()
union all
-- Of dead incarnations, not yet released.
select r.run_id, r.task_queue, r.workflow_name, r.priority, coalesce(r.wake_at, r.started_at)
from workers w
join runs r on r.owner = w.worker_id
where w.dead_at is not null
  and (r.busy or r.wake_at <= statement_timestamp() or exists (select 1 from inbox i where i.run_id = r.run_id));

create view ready_activities as
select a.run_id, a.position, a.task_queue, a.name, a.priority, a.due_at
from activities a
where a.state = 'queued' and a.due_at <= statement_timestamp()
union all
select a.run_id, a.position, a.task_queue, a.name, a.priority, a.due_at
from workers w
join activities a on a.owner = w.worker_id
where w.dead_at is not null;

create view queue_load as
select task_queue, sum(depth)::bigint as depth, sum(in_flight)::bigint as in_flight, min(oldest) as oldest_ready_at,
  min(wake_at) as next_wake_at
from (
  select task_queue, count(*) as depth, 0 as in_flight, min(ready_at) as oldest, null::timestamptz as wake_at
  from ready_runs group by task_queue
  union all
  select task_queue, count(*), 0, min(due_at), null from ready_activities group by task_queue
  union all
  select r.task_queue, 0, count(*) filter (where r.busy), null, min(r.wake_at)
  from workers w join runs r on r.owner = w.worker_id
  where w.dead_at is null
  group by r.task_queue
  union all
  select a.task_queue, 0, count(*), null, null
  from workers w join activities a on a.owner = w.worker_id
  where w.dead_at is null
  group by a.task_queue
  union all
  select task_queue, 0, 0, null, min(ready_at)
  from runs
  where ready_at is not null and ready_at > statement_timestamp() and ready_at < 'infinity'
  group by task_queue
) parts
group by task_queue;

-- A run's history in words.
create view history as
select e.run_id, e.event_no, k.word as kind, e.position, e.name, e.at, e.payload, e.entity_no
from events e join event_kinds k using (kind);
