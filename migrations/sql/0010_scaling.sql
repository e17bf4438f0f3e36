-- What the scaling of workers reads: the load of each queue by build, and what each living worker holds.

-- ready_runs in two parts, so that the first, which may be long, can be counted along its index.
create view orphaned_runs as
-- Of dead incarnations, not yet released.
select r.run_id, r.task_queue, r.workflow_name, r.priority, coalesce(r.wake_at, r.started_at) as ready_at, r.build_id
from workers w
join runs r on r.owner = w.worker_id
where w.dead_at is not null
  and (
    r.busy or r.wake_at <= statement_timestamp()
    or exists (select 1 from inbox i where i.run_id = r.run_id)
    or exists (select 1 from lost_attempts l where l.run_id = r.run_id and l.last)
  )
union all
select r.run_id, r.task_queue, r.workflow_name, r.priority, l.due_at, r.build_id
from (select run_id, min(due_at) as due_at from lost_attempts where last group by run_id) l
join runs r using (run_id)
where r.owner is null and r.ready_at > statement_timestamp() and r.problem is null;

create or replace view ready_runs as
select r.run_id, r.task_queue, r.workflow_name, r.priority, r.ready_at
from runs r
where r.ready_at is not null and r.ready_at <= statement_timestamp()
union all
select o.run_id, o.task_queue, o.workflow_name, o.priority, o.ready_at
from orphaned_runs o;

-- What each living worker holds, by queue; a worker that holds nothing has no row.
create view worker_load as
select w.worker_id, w.host, w.build_id, held.task_queue, sum(held.busy_runs)::bigint as busy_runs,
  sum(held.attempts)::bigint as attempts, sum(held.owned_runs)::bigint as owned_runs, min(held.wake_at) as next_wake_at
from workers w
cross join lateral (
  select r.task_queue, count(*) filter (where r.busy) as busy_runs, 0 as attempts, count(*) as owned_runs,
    min(r.wake_at) as wake_at
  from runs r
  where r.owner = w.worker_id
  group by r.task_queue
  union all
  select a.task_queue, 0, count(*), 0, null
  from activities a
  where a.owner = w.worker_id
  group by a.task_queue
) held
where w.dead_at is null
group by w.worker_id, held.task_queue;

-- What waits in each queue, for all of them at once: `waiting` is a json array of {buildId, ready, unserved, oldestAgeMs,
-- nextTimerInMs}, one member for each build that something waits for, null for what any build may take; `workers` one of
-- {workerId, host, buildId, busyRuns, attempts, ownedRuns, nextTimerInMs}. Ready as in queue_load, but for names that no
-- living worker has of those that may take it, where one lives: these are `unserved`. Queues without either are left out.
--
-- Runs that wait without an owner may be many, and all are in the index of the claims. So their queues, names, builds and
-- priorities are found by skipping from each to the next, and only what is ready is counted. Of what is due later the
-- first of each is looked at.
create function observe_load()
returns table (task_queue text, waiting json, workers json)
language sql
stable
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_bitmapscan = off
as $$
  with recursive run_stream as (
    (
      select r.task_queue, r.workflow_name, coalesce(r.build_id, '') as route, r.priority
      from runs r
      where r.ready_at is not null
      order by r.task_queue, r.workflow_name, coalesce(r.build_id, ''), r.priority
      limit 1
    )
    union all
    select following.*
    from run_stream s
    cross join lateral (
      select r.task_queue, r.workflow_name, coalesce(r.build_id, ''), r.priority
      from runs r
      where r.ready_at is not null
        and (r.task_queue, r.workflow_name, coalesce(r.build_id, ''), r.priority)
          > (s.task_queue, s.workflow_name, s.route, s.priority)
      order by r.task_queue, r.workflow_name, coalesce(r.build_id, ''), r.priority
      limit 1
    ) following
  ), attempt_stream as (
    (
      select a.task_queue, a.name, coalesce(a.build_id, '') as route, a.priority
      from activities a
      where a.state = 'queued'
      order by a.task_queue, a.name, coalesce(a.build_id, ''), a.priority
      limit 1
    )
    union all
    select following.*
    from attempt_stream s
    cross join lateral (
      select a.task_queue, a.name, coalesce(a.build_id, ''), a.priority
      from activities a
      where a.state = 'queued'
        and (a.task_queue, a.name, coalesce(a.build_id, ''), a.priority) > (s.task_queue, s.name, s.route, s.priority)
      order by a.task_queue, a.name, coalesce(a.build_id, ''), a.priority
      limit 1
    ) following
  ), served as materialized (
    -- Of each name by which builds it is served; those that get new runs serve what no build has, too.
    select distinct w.task_queue, w.build_id, part.kind, item.name,
      w.build_id is null or b.role <> 'Draining'
        or not exists (select from queue_builds q where q.task_queue = w.task_queue) as takes_new
    from (
      select q ->> 'taskQueue' as task_queue, k.build_id, q.value as queue
      from workers k
      cross join lateral json_array_elements(k.serves -> 'queues') q
      where k.dead_at is null
    ) w
    left join queue_builds b on b.task_queue = w.task_queue and b.build_id = w.build_id
    cross join (values ('run', 'workflows'), ('attempt', 'activities')) as part (kind, member)
    cross join lateral json_array_elements_text(w.queue -> part.member) as item (name)
  ), part (kind, task_queue, name, build_id, ready, oldest, next_due) as (
    select 'run', s.task_queue, s.workflow_name, nullif(s.route, ''), now.ready, now.oldest, null::timestamptz
    from run_stream s
    cross join lateral (
      select count(*) as ready, min(r.ready_at) as oldest
      from runs r
      where r.ready_at is not null and r.ready_at <= statement_timestamp()
        and r.task_queue = s.task_queue and r.workflow_name = s.workflow_name and coalesce(r.build_id, '') = s.route
        and r.priority = s.priority
    ) now
    where now.ready > 0
    union all
    select 'run', s.task_queue, s.workflow_name, nullif(s.route, ''), 0, null, later.ready_at
    from run_stream s
    cross join lateral (
      select r.ready_at
      from runs r
      where r.ready_at is not null and r.ready_at > statement_timestamp() and r.ready_at < 'infinity'
        and r.task_queue = s.task_queue and r.workflow_name = s.workflow_name and coalesce(r.build_id, '') = s.route
        and r.priority = s.priority
      order by r.ready_at
      limit 1
    ) later
    union all
    select 'run', o.task_queue, o.workflow_name, o.build_id, count(*), min(o.ready_at), null
    from orphaned_runs o
    group by o.task_queue, o.workflow_name, o.build_id
    union all
    select 'attempt', s.task_queue, s.name, nullif(s.route, ''), now.ready, now.oldest, null
    from attempt_stream s
    cross join lateral (
      select count(*) as ready, min(a.due_at) as oldest
      from activities a
      where a.state = 'queued' and a.due_at <= statement_timestamp()
        and a.task_queue = s.task_queue and a.name = s.name and coalesce(a.build_id, '') = s.route
        and a.priority = s.priority
    ) now
    where now.ready > 0
    union all
    select 'attempt', s.task_queue, s.name, nullif(s.route, ''), 0, null, later.due_at
    from attempt_stream s
    cross join lateral (
      select a.due_at
      from activities a
      where a.state = 'queued' and a.due_at > statement_timestamp() and a.due_at < 'infinity'
        and a.task_queue = s.task_queue and a.name = s.name and coalesce(a.build_id, '') = s.route
        and a.priority = s.priority
      order by a.due_at
      limit 1
    ) later
    union all
    select 'attempt', l.task_queue, l.name, l.build_id, count(*), min(l.due_at), null
    from lost_attempts l
    where not l.last
    group by l.task_queue, l.name, l.build_id
  ), known as (
    select p.*,
      exists (
        select 1 from served v
        where v.task_queue = p.task_queue and case when p.build_id is null then v.takes_new else v.build_id = p.build_id end
      )
      and not exists (
        select 1 from served v
        where v.task_queue = p.task_queue and v.kind = p.kind and v.name = p.name
          and case when p.build_id is null then v.takes_new else v.build_id = p.build_id end
      ) as unserved
    from part p
  ), by_build as (
    select k.task_queue, k.build_id,
      coalesce(sum(k.ready) filter (where not k.unserved), 0) as ready,
      coalesce(sum(k.ready) filter (where k.unserved), 0) as unserved,
      extract(epoch from statement_timestamp() - min(k.oldest) filter (where not k.unserved)) * 1000 as oldest_age_ms,
      extract(epoch from min(k.next_due) filter (where not k.unserved) - statement_timestamp()) * 1000 as next_due_in_ms
    from known k
    group by k.task_queue, k.build_id
  ), waits as (
    select b.task_queue, json_agg(json_build_object(
      'buildId', b.build_id, 'ready', b.ready, 'unserved', b.unserved,
      'oldestAgeMs', b.oldest_age_ms::bigint, 'nextTimerInMs', b.next_due_in_ms::bigint
    ) order by b.build_id) as members
    from by_build b
    group by b.task_queue
  ), holds as (
    select l.task_queue, json_agg(json_build_object(
      'workerId', l.worker_id, 'host', l.host, 'buildId', l.build_id, 'busyRuns', l.busy_runs, 'attempts', l.attempts,
      'ownedRuns', l.owned_runs,
      'nextTimerInMs', (extract(epoch from l.next_wake_at - statement_timestamp()) * 1000)::bigint
    ) order by l.worker_id) as members
    from worker_load l
    group by l.task_queue
  )
  select coalesce(w.task_queue, h.task_queue), coalesce(w.members, '[]'), coalesce(h.members, '[]')
  from waits w
  full join holds h on h.task_queue = w.task_queue
$$;

-- Cordons workers for a while: they claim nothing, run out of work, and can go without losing any. A cordon that nobody
-- renews ends by itself.
create function cordon_workers(p_workers uuid[], p_ms double precision)
returns void
language sql
set search_path from current
as $$
  update workers w
  set cordoned_until = clock_timestamp() + make_interval(secs => p_ms / 1000)
  where w.worker_id = any (p_workers) and w.dead_at is null
$$;

-- Ends the cordons of all workers of a queue.
create function lift_cordons(p_queue text)
returns void
language sql
set search_path from current
as $$
  update workers w
  set cordoned_until = null
  where w.dead_at is null and w.cordoned_until is not null
    and exists (select 1 from json_array_elements(w.serves -> 'queues') q where q ->> 'taskQueue' = p_queue)
$$;
