-- What workers could claim and what they hold; claims, scaling and the checker of I11 read the same definition.

-- Attempts that dead incarnations took along and that are not yet released: the next one is work for the queue, the loss
-- of the last one is a message to its run.
create view lost_attempts as
select a.run_id, a.position, a.task_queue, a.name, a.priority, a.due_at,
  a.attempt >= coalesce((a.policy ->> 'maximumAttempts')::bigint, 1) as last, a.build_id
from workers w
join activities a on a.owner = w.worker_id
where w.dead_at is not null;

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
  and (
    r.busy or r.wake_at <= statement_timestamp()
    or exists (select 1 from inbox i where i.run_id = r.run_id)
    or exists (select 1 from lost_attempts l where l.run_id = r.run_id and l.last)
  )
union all
select r.run_id, r.task_queue, r.workflow_name, r.priority, l.due_at
from (select run_id, min(due_at) as due_at from lost_attempts where last group by run_id) l
join runs r using (run_id)
where r.owner is null and r.ready_at > statement_timestamp() and r.problem is null;

create view ready_activities as
select a.run_id, a.position, a.task_queue, a.name, a.priority, a.due_at
from activities a
where a.state = 'queued' and a.due_at <= statement_timestamp()
union all
select l.run_id, l.position, l.task_queue, l.name, l.priority, l.due_at
from lost_attempts l
where not l.last;

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
