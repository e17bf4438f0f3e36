-- Builds side by side: who says which of them get new runs, what the open runs of each are, and how runs get from one to
-- another. What a claim makes of it is claim_routes (0004_ownership.sql).

-- Says which builds a queue has, all of them at once. `p_builds` is a json object {pinning, builds}, `builds` an array of
-- {buildId, role, sharePercent}; an empty one takes the builds away. `p_fence` is the token of the leader that writes: one
-- that another has followed is refused (MF010). Returns whether anything changed.
create function set_queue_builds(p_queue text, p_builds json, p_fence bigint)
returns boolean
language plpgsql
set search_path from current
as $$
declare
  v_removed integer;
  v_written integer;
begin
  perform assert_leader('builds', p_fence);

  if exists (
    select
    from json_to_recordset(p_builds -> 'builds') as b (role text, "sharePercent" smallint)
    where b.role <> 'Draining'
    having count(*) > 0 and (
      sum(b."sharePercent") <> 100
      or count(*) filter (where b.role = 'Current') > 1 or count(*) filter (where b.role = 'Ramping') > 1
    )
  ) then
    raise exception using errcode = '22023',
      message = format('the builds of queue "%s" that get new runs must be one Current and one Ramping at most, and share 100 '
        'percent', p_queue);
  end if;

  delete from queue_builds q
  where q.task_queue = p_queue and q.build_id not in (
    select b."buildId" from json_to_recordset(p_builds -> 'builds') as b ("buildId" text)
  );
  get diagnostics v_removed = row_count;
  insert into queue_builds as q (task_queue, build_id, role, pinning, share_percent)
  select p_queue, b."buildId", b.role, p_builds ->> 'pinning', b."sharePercent"
  from json_to_recordset(p_builds -> 'builds') as b ("buildId" text, role text, "sharePercent" smallint)
  on conflict (task_queue, build_id) do update
  set role = excluded.role, pinning = excluded.pinning, share_percent = excluded.share_percent
  where (q.role, q.pinning, q.share_percent) is distinct from (excluded.role, excluded.pinning, excluded.share_percent);
  get diagnostics v_written = row_count;
  return v_removed + v_written > 0;
end;
$$;

-- Moves up to p_limit open runs from one build of a queue to another, or (null) to whichever gets new runs, with their
-- attempts on the queue. An owner keeps what it has in memory: the next one is the other build's. What was parked because it
-- did not match the code it leaves is tried again. Returns how many were moved.
create function move_runs(p_queue text, p_from text, p_to text, p_limit integer)
returns integer
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
declare
  v_runs uuid[];
begin
  select coalesce(array_agg(picked.run_id), '{}') into v_runs
  from (
    select r.run_id
    from runs r
    where r.task_queue = p_queue and r.build_id = p_from and r.status = 'running'
    order by r.run_id
    limit p_limit
    for no key update
  ) picked;
  update runs r
  set build_id = p_to,
    ready_at = case when parked.anew then clock_timestamp() else r.ready_at end,
    problem = case when parked.anew then null else r.problem end
  from (
    select k.run_id,
      k.owner is null and coalesce(k.problem ->> 'code' not in ('RUN_STUCK', 'PENDING'), false) as anew
    from runs k
    where k.run_id = any (v_runs)
  ) parked
  where r.run_id = any (v_runs) and r.run_id = parked.run_id;
  update activities a
  set build_id = p_to
  where a.run_id = any (v_runs) and a.task_queue = p_queue and a.build_id is not distinct from p_from;
  return cardinality(v_runs);
end;
$$;

-- Gives runs that have just been inserted the build that their start names. `p_starts` is a json array of {run, build}; a run
-- that somebody owned before, of a start that is told twice, keeps what it has.
create function pin_starts(p_starts json)
returns void
language sql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
  update runs r
  set build_id = s.build
  from json_to_recordset(p_starts) as s (run uuid, build text)
  -- The array makes it a look-up by key whatever the planner knows of the table.
  where r.run_id = any (array(select p.run from json_to_recordset(p_starts) as p (run uuid, build text) where p.build is not null))
    and s.run = r.run_id and r.epoch = 0
$$;

-- The open runs of each build, for all queues at once, counted up to p_count_max: `open_runs`, and `unowned` of them that no
-- worker has in memory; `workers` is how many that live serve the queue with this build. Unowned runs of a build without
-- workers are stranded for as long as none comes. Builds without open runs are left out.
--
-- Queues and builds are found by skipping from each to the next.
create function observe_builds(p_count_max integer)
returns table (task_queue text, build_id text, open_runs bigint, unowned bigint, workers bigint)
language sql
stable
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
set enable_bitmapscan = off
as $$
  with recursive pinned as (
    (
      select r.task_queue, r.build_id
      from runs r
      where r.build_id is not null and r.status = 'running'
      order by r.task_queue, r.build_id
      limit 1
    )
    union all
    select following.*
    from pinned p
    cross join lateral (
      select r.task_queue, r.build_id
      from runs r
      where r.build_id is not null and r.status = 'running' and (r.task_queue, r.build_id) > (p.task_queue, p.build_id)
      order by r.task_queue, r.build_id
      limit 1
    ) following
  ), serving as materialized (
    select q ->> 'taskQueue' as task_queue, w.build_id, count(*) as workers
    from workers w
    cross join lateral json_array_elements(w.serves -> 'queues') q
    where w.dead_at is null and w.build_id is not null
    group by 1, 2
  )
  select p.task_queue, p.build_id, counted.open_runs, counted.unowned, coalesce(s.workers, 0)
  from pinned p
  cross join lateral (
    select count(*) as open_runs, count(*) filter (where held.owner is null) as unowned
    from (
      select r.owner
      from runs r
      where r.task_queue = p.task_queue and r.build_id = p.build_id and r.status = 'running'
      limit p_count_max
    ) held
  ) counted
  left join serving s on s.task_queue = p.task_queue and s.build_id = p.build_id
$$;
