-- Who owns which run and which attempt: claims, heartbeats, death, hand-over.

-- Whether a worker may claim a run with this problem: not where its own code, or its build's, did not match the history.
-- Without settings of its own, so that Postgres puts it into the statements that ask.
create function may_claim(p_problem json, p_worker uuid, p_build text)
returns boolean
language sql
immutable
as $$
  select p_problem is null
    or p_problem ->> 'worker' is distinct from p_worker::text
    and (p_build is null or p_problem ->> 'build' is distinct from p_build)
$$;

-- What of a queue a worker of a build may take: its own, and of what no build has the buckets from bucket_from up to
-- bucket_to, where it gets new runs; `pins` says that these are its own from then on. Without a build of its own a worker takes
-- all that no build has, and so does any worker of a queue without builds. Without settings of its own, so that Postgres
-- puts it into the statements that ask.
create function claim_routes(p_queue text, p_build text)
returns table (route text, bucket_from smallint, bucket_to smallint, pins boolean)
language sql
stable
as $$
  select p_build, 0::smallint, 100::smallint, false
  where p_build is not null
  union all
  -- The shares of the two make a hundred.
  select '', case q.role when 'Current' then 100 - q.share_percent else 0 end::smallint,
    case q.role when 'Ramping' then q.share_percent else 100 end::smallint, q.pinning = 'Pinned'
  from queue_builds q
  where q.task_queue = p_queue and q.build_id = p_build and q.role <> 'Draining'
  union all
  select '', 0::smallint, 100::smallint, false
  where p_build is null or not exists (select from queue_builds q where q.task_queue = p_queue)
$$;

-- Claims up to p_limit ready runs of a queue for a worker, for the workflows it knows, by priority, then by due time.
-- A run that was found busy at p_suspect_after takeovers without progress is claimed only with p_alone. `rest` is null for
-- a run that a client started and nobody owned before, as most are: fewer columns to write and to read. A run that was
-- parked because this worker's code, or its build's, did not match its history is left to others, and so is what is
-- another build's.
create function claim_runs(
  p_worker uuid, p_build text, p_queue text, p_workflows text[], p_limit integer, p_alone boolean,
  p_suspect_after integer
)
returns table (
  run_id uuid, epoch integer, started_ms double precision, workflow_id text, workflow_name text, input text, options text,
  rest text
)
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
  -- A volatile function is no condition for an index.
  v_now timestamptz := clock_timestamp();
  v_picked tid[] := '{}';
  -- What it may take: see claim_routes.
  v_routes text[] := '{""}';
  v_froms smallint[] := '{0}';
  v_tos smallint[] := '{100}';
  v_pins boolean := false;
  -- The kinds: a name, a priority and a route each.
  v_name text[];
  v_priority integer[];
  v_route text[];
  v_from smallint[];
  v_to smallint[];
  v_share integer[];
  v_kinds integer;
begin
  if p_build is not null then
    select array_agg(c.route), array_agg(c.bucket_from), array_agg(c.bucket_to), bool_or(c.pins)
    into v_routes, v_froms, v_tos, v_pins
    from claim_routes(p_queue, p_build) c;
  end if;

  -- The kinds of which there is something to claim: mostly one.
  select array_agg(kind.name), array_agg(kind.priority), array_agg(kind.route), array_agg(kind.bucket_from),
    array_agg(kind.bucket_to), array_agg(p_limit)
  into v_name, v_priority, v_route, v_from, v_to, v_share
  from (
    select known.name, level.priority, allowed.*
    from unnest(p_workflows) as known (name)
    cross join generate_series(1, 5) as level (priority)
    cross join unnest(v_routes, v_froms, v_tos) as allowed (route, bucket_from, bucket_to)
    cross join lateral (
      select
      from runs r
      where r.ready_at is not null and r.ready_at <= v_now
        and r.task_queue = p_queue and r.workflow_name = known.name and r.priority = level.priority
        and coalesce(r.build_id, '') = allowed.route
        and run_bucket(r.run_id) >= allowed.bucket_from and run_bucket(r.run_id) < allowed.bucket_to
        and (r.busy_takeovers + r.busy::integer >= p_suspect_after) = p_alone
        and may_claim(r.problem, p_worker, p_build)
      limit 1
    ) found
  ) kind;
  if v_name is null then return; end if;
  v_kinds := cardinality(v_name);

  -- How many of the first p_limit are of which kind, so that no more rows are locked than are taken: what is locked here,
  -- no other worker can claim meanwhile.
  if v_kinds > 1 then
    select array_agg(counted.name), array_agg(counted.priority), array_agg(counted.route), array_agg(counted.bucket_from),
      array_agg(counted.bucket_to), array_agg(counted.share)
    into v_name, v_priority, v_route, v_from, v_to, v_share
    from (
      select first.name, first.priority, first.route, first.bucket_from, first.bucket_to, count(*)::integer as share
      from (
        select stream.*
        from unnest(v_name, v_priority, v_route, v_from, v_to) as stream (name, priority, route, bucket_from, bucket_to)
        cross join lateral (
          select r.ready_at
          from runs r
          where r.ready_at is not null and r.ready_at <= v_now
            and r.task_queue = p_queue and r.workflow_name = stream.name and r.priority = stream.priority
            and coalesce(r.build_id, '') = stream.route
            and run_bucket(r.run_id) >= stream.bucket_from and run_bucket(r.run_id) < stream.bucket_to
            and (r.busy_takeovers + r.busy::integer >= p_suspect_after) = p_alone
            and may_claim(r.problem, p_worker, p_build)
          order by r.ready_at
          limit p_limit
        ) ready
        order by stream.priority, ready.ready_at
        limit p_limit
      ) first
      group by first.name, first.priority, first.route, first.bucket_from, first.bucket_to
    ) counted;
  end if;

  for v_round in 1 .. 2 loop
    -- Locked by a statement of its own: only the next one sees every message that was there before the lock. A locked row
    -- stays where it is.
    select v_picked || coalesce(array_agg(picked.ctid), '{}') into v_picked
    from (
      select ready.ctid
      from unnest(v_name, v_priority, v_route, v_from, v_to, v_share)
        as stream (name, priority, route, bucket_from, bucket_to, share)
      cross join lateral (
        select r.ctid, r.priority, r.ready_at
        from runs r
        where r.ready_at is not null and r.ready_at <= v_now
          and r.task_queue = p_queue and r.workflow_name = stream.name and r.priority = stream.priority
          and coalesce(r.build_id, '') = stream.route
          and run_bucket(r.run_id) >= stream.bucket_from and run_bucket(r.run_id) < stream.bucket_to
          and (r.busy_takeovers + r.busy::integer >= p_suspect_after) = p_alone
          and may_claim(r.problem, p_worker, p_build)
          and r.ctid <> all (v_picked)
        order by r.ready_at
        limit stream.share
        for no key update skip locked
      ) ready
      order by ready.priority, ready.ready_at
      limit p_limit - cardinality(v_picked)
    ) picked;
    exit when v_kinds = 1 or cardinality(v_picked) = p_limit
      or (select coalesce(sum(share), 0) from unnest(v_share) as share) < p_limit;
    -- Others hold some of those that were counted: whatever is left, of any kind.
    select array_agg(known.name), array_agg(level.priority), array_agg(allowed.route), array_agg(allowed.bucket_from),
      array_agg(allowed.bucket_to), array_agg(p_limit - cardinality(v_picked))
    into v_name, v_priority, v_route, v_from, v_to, v_share
    from unnest(p_workflows) as known (name)
    cross join generate_series(1, 5) as level (priority)
    cross join unnest(v_routes, v_froms, v_tos) as allowed (route, bucket_from, bucket_to);
  end loop;

  -- Attempts that it queued before the queue had builds go with it.
  if v_pins then
    update activities a
    set build_id = p_build
    where a.task_queue = p_queue and a.run_id = any (array(
      select r.run_id from runs r where r.ctid = any (v_picked) and r.build_id is null and r.event_count > 0
    ));
  end if;

  return query
  update runs r
  set owner = p_worker, epoch = r.epoch + 1, ready_at = null, busy = true, problem = null,
    build_id = case when v_pins then p_build else r.build_id end,
    busy_takeovers = r.busy_takeovers + r.busy::integer
  where r.ctid = any (v_picked)
    and exists (
      select 1 from workers w
      where w.worker_id = p_worker and w.dead_at is null and (w.cordoned_until is null or w.cordoned_until < v_now)
    )
  returning r.run_id, r.epoch, date_part('epoch', r.started_at) * 1000, r.workflow_id, r.workflow_name, r.input::text,
    r.options::text,
    case
      when r.parent_run_id is null and r.entity_id = r.run_id and r.event_count = 0 and r.busy_takeovers = 0
        and r.dialect = 'memflow' and (select true from inbox i where i.run_id = r.run_id limit 1) is null
      then null
      else json_build_object(
        'entityId', r.entity_id, 'parentRunId', r.parent_run_id, 'parentPosition', r.parent_position, 'hook', r.hook,
        'eventCount', r.event_count, 'busyTakeovers', r.busy_takeovers, 'dialect', r.dialect,
        'hasInbox', (select true from inbox i where i.run_id = r.run_id limit 1) is not null
      )::text
    end;
end;
$$;

-- Leases up to p_limit due attempts of a queue's activities to a worker; those of another build's runs are left to it.
create function claim_activities(p_worker uuid, p_build text, p_queue text, p_activities text[], p_limit integer)
returns table (
  run_id uuid, "position" integer, attempt integer, name text, args text, policy text, workflow_id text, workflow_name text,
  written_ms double precision
)
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_now timestamptz := clock_timestamp();
  v_picked tid[] := '{}';
  v_routes text[] := '{""}';
  v_froms smallint[] := '{0}';
  v_tos smallint[] := '{100}';
  v_name text[];
  v_priority integer[];
  v_route text[];
  v_from smallint[];
  v_to smallint[];
  v_share integer[];
begin
  if p_build is not null then
    select array_agg(c.route), array_agg(c.bucket_from), array_agg(c.bucket_to)
    into v_routes, v_froms, v_tos
    from claim_routes(p_queue, p_build) c;
  end if;

  -- As in claim_runs: first how many of which, then no more locks than that, then what others left.
  select array_agg(counted.name), array_agg(counted.priority), array_agg(counted.route), array_agg(counted.bucket_from),
    array_agg(counted.bucket_to), array_agg(counted.share)
  into v_name, v_priority, v_route, v_from, v_to, v_share
  from (
    select first.name, first.priority, first.route, first.bucket_from, first.bucket_to, count(*)::integer as share
    from (
      select known.name, level.priority, allowed.*
      from unnest(p_activities) as known (name)
      cross join generate_series(1, 5) as level (priority)
      cross join unnest(v_routes, v_froms, v_tos) as allowed (route, bucket_from, bucket_to)
      cross join lateral (
        select a.due_at
        from activities a
        where a.state = 'queued' and a.due_at <= v_now
          and a.task_queue = p_queue and a.name = known.name and a.priority = level.priority
          and coalesce(a.build_id, '') = allowed.route
          and run_bucket(a.run_id) >= allowed.bucket_from and run_bucket(a.run_id) < allowed.bucket_to
        order by a.due_at
        limit p_limit
      ) due
      order by level.priority, due.due_at
      limit p_limit
    ) first
    group by first.name, first.priority, first.route, first.bucket_from, first.bucket_to
  ) counted;

  for v_round in 1 .. 2 loop
    select v_picked || coalesce(array_agg(picked.ctid), '{}') into v_picked
    from (
      select due.ctid
      from unnest(v_name, v_priority, v_route, v_from, v_to, v_share)
        as stream (name, priority, route, bucket_from, bucket_to, share)
      cross join lateral (
        select a.ctid, a.priority, a.due_at
        from activities a
        where a.state = 'queued' and a.due_at <= v_now
          and a.task_queue = p_queue and a.name = stream.name and a.priority = stream.priority
          and coalesce(a.build_id, '') = stream.route
          and run_bucket(a.run_id) >= stream.bucket_from and run_bucket(a.run_id) < stream.bucket_to
          and a.ctid <> all (v_picked)
        order by a.due_at
        limit stream.share
        for no key update skip locked
      ) due
      order by due.priority, due.due_at
      limit p_limit - cardinality(v_picked)
    ) picked;
    exit when cardinality(v_picked) = p_limit
      or (select coalesce(sum(share), 0) from unnest(v_share) as share) < p_limit;
    select array_agg(known.name), array_agg(level.priority), array_agg(allowed.route), array_agg(allowed.bucket_from),
      array_agg(allowed.bucket_to), array_agg(p_limit - cardinality(v_picked))
    into v_name, v_priority, v_route, v_from, v_to, v_share
    from unnest(p_activities) as known (name)
    cross join generate_series(1, 5) as level (priority)
    cross join unnest(v_routes, v_froms, v_tos) as allowed (route, bucket_from, bucket_to);
  end loop;

  return query
  update activities a
  set state = 'leased', owner = p_worker
  from runs r
  where a.ctid = any (v_picked) and r.run_id = a.run_id
    and exists (
      select 1 from workers w
      where w.worker_id = p_worker and w.dead_at is null and (w.cordoned_until is null or w.cordoned_until < v_now)
    )
  returning a.run_id, a.position, a.attempt, a.name, a.args::text, a.policy::text, r.workflow_id, r.workflow_name,
    extract(epoch from a.written_at)::double precision * 1000;
end;
$$;

-- Records what became of leased attempts. `p_outcomes` is a json array of {run, position, attempt, kind, payload, payload_null,
-- retry_ms, advance}: with retry_ms the attempt goes back to the queue, `advance` numbers on, else its outcome becomes a
-- message to the run (kind 1 or 2). An outcome whose lease is no longer the worker's writes nothing. Returns what to wake.
create function settle_activities(p_worker uuid, p_number bigint, p_outcomes json)
returns json
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
declare
  v_messages json;
  v_wake json;
begin
  insert into flushes (writer, number) values (p_worker, p_number);
  perform 1
  from runs r
  where r.run_id = any (array(select m.run from json_to_recordset(p_outcomes) as m (run uuid)))
  order by r.run_id
  for no key update;

  update activities a
  set state = 'queued', owner = null, attempt = a.attempt + m.advance, failure = coalesce(m.payload, a.failure),
    due_at = clock_timestamp() + make_interval(secs => m.retry_ms / 1000)
  from json_to_recordset(p_outcomes) as m (
    run uuid, "position" integer, attempt integer, payload json, retry_ms double precision, advance integer
  )
  where m.retry_ms is not null
    and a.run_id = m.run and a.position = m.position and a.owner is not distinct from p_worker and a.attempt = m.attempt;

  with settled as (
    delete from activities a
    using json_to_recordset(p_outcomes) as m (
      run uuid, "position" integer, attempt integer, kind smallint, payload json, payload_null boolean,
      retry_ms double precision
    )
    where m.retry_ms is null
      and a.run_id = m.run and a.position = m.position and a.owner is not distinct from p_worker and a.attempt = m.attempt
    returning a.run_id, a.position, a.name, m.kind, m.payload, m.payload_null
  )
  select json_agg(json_build_object(
    'to', settled.run_id, 'position', settled.position, 'kind', settled.kind, 'name', settled.name,
    'payload', settled.payload, 'payload_null', settled.payload_null
  )) into v_messages
  from settled;

  if v_messages is not null then
    select json_agg(json_build_object('run', d.to_run, 'owner', d.owner, 'queue', d.task_queue)) into v_wake
    from deliver_messages(v_messages) d
    where d.open;
  end if;
  update flushes set reply = v_wake where writer = p_worker and number = p_number and v_wake is not null;
  return v_wake;
end;
$$;

-- Registers a worker incarnation.
create function register_worker(p_worker uuid, p_serves json, p_build_id text, p_host text, p_dead_after_ms integer)
returns double precision
language sql
set search_path from current
as $$
  insert into workers (worker_id, serves, build_id, host, dead_after_ms)
  values (p_worker, p_serves, p_build_id, p_host, p_dead_after_ms)
  on conflict (worker_id) do update set serves = excluded.serves
  returning extract(epoch from clock_timestamp())::double precision * 1000
$$;

-- Makes parked runs ready again: of a queue's workflows whose history did not match their code (a worker registers whose
-- code may be another), or single runs whatever their problem (a person resumes them; their takeovers are forgiven). The
-- problem stays with a run that its former owner must not claim again. A worker resumes what its build may take, and a run
-- that no build has is its build's from then on: of two that get new runs it may be the other's share. Returns their queues.
create function resume_runs(p_worker uuid, p_build text, p_queue text, p_workflows text[], p_runs uuid[])
returns table (task_queue text, run_id uuid)
language sql
set search_path from current
set enable_seqscan = off
as $$
  update runs r
  set ready_at = clock_timestamp(), busy = false, busy_takeovers = 0, expires_at = null,
    problem = case when r.run_id = any (p_runs) or r.problem ->> 'worker' = p_worker::text then null else r.problem end,
    build_id = case
      when r.run_id = any (p_runs) or r.build_id is not null then r.build_id
      else (
        select q.build_id from queue_builds q
        where q.task_queue = p_queue and q.build_id = p_build and q.role <> 'Draining'
      )
    end
  where r.status = 'running' and r.problem is not null and r.owner is null and (
    (
      r.task_queue = p_queue and r.workflow_name = any (p_workflows) and r.problem ->> 'code' not in ('RUN_STUCK', 'PENDING')
      and (p_build is null or r.problem ->> 'build' is distinct from p_build or r.problem ->> 'worker' = p_worker::text)
      and coalesce(r.build_id, '') = any (array(select c.route from claim_routes(p_queue, p_build) c))
    )
    -- Only a reserved run has an end of its retention while it is open.
    or (r.run_id = any (p_runs) and (r.expires_at is null or r.expires_at > clock_timestamp()))
  )
  returning r.task_queue, r.run_id
$$;

-- One heartbeat: whether the incarnation still lives, and the database's clock.
create function beat_worker(p_worker uuid, p_turn_ms bigint)
returns table (alive boolean, database_ms double precision)
language plpgsql
set search_path from current
as $$
begin
  update workers w set beat_at = clock_timestamp(), turn_ms = p_turn_ms
  where w.worker_id = p_worker and w.dead_at is null;
  alive := found;
  database_ms := extract(epoch from clock_timestamp())::double precision * 1000;
  return next;
end;
$$;

-- Called by the thread that watches a worker's main loop, before it ends the process: the run (or the attempt's run) whose
-- code blocks the loop answers for it, the other runs of the worker do not. The worker is dead from here on.
create function blame_run(p_worker uuid, p_kind text, p_run uuid, p_position integer)
returns void
language plpgsql
set search_path from current
as $$
begin
  update workers set dead_at = clock_timestamp() where worker_id = p_worker and dead_at is null;
  -- Locked first, so that the next statement sees every message that was there before.
  perform 1 from runs r where r.owner = p_worker order by r.run_id for no key update;
  -- A blocked loop is certain guilt: it weighs four takeovers. What else the worker held is released without blame. An
  -- attempt that was leased from the queue answers as every lost one does (release_dead).
  update runs r
  set busy = r.run_id = p_run, busy_takeovers = r.busy_takeovers + case when r.run_id = p_run then 3 else 0 end,
    owner = null,
    ready_at = case
      when r.busy or exists (select 1 from inbox i where i.run_id = r.run_id) then clock_timestamp()
      else coalesce(r.wake_at, 'infinity')
    end
  where r.owner = p_worker and r.status = 'running';
end;
$$;

-- Sets dead what has not been heard of, but for p_worker, which is heard of now: after a time without the database its look
-- may come before its beat. Returns how many incarnations died now, whether dead ones hold anything, and
-- whether runs are ready that p_suspect_after owners died on and that p_worker could claim.
create function bury_workers(p_worker uuid, p_suspect_after integer)
returns table (died integer, holding boolean, suspects boolean)
language plpgsql
set search_path from current
as $$
begin
  with silent as (
    select w.worker_id from workers w
    where w.dead_at is null and w.worker_id <> p_worker
      and w.beat_at < clock_timestamp() - make_interval(secs => w.dead_after_ms::double precision / 1000)
    order by w.worker_id
    for update skip locked
  )
  update workers w set dead_at = clock_timestamp() from silent where w.worker_id = silent.worker_id;
  get diagnostics died = row_count;
  holding := exists (
    select 1 from workers w
    where w.dead_at is not null and (
      exists (select 1 from runs r where r.owner = w.worker_id)
      or exists (select 1 from activities a where a.owner = w.worker_id)
    )
  );
  suspects := exists (
    select 1 from runs r
    where r.busy_takeovers >= 1 and r.ready_at is not null and r.ready_at <= clock_timestamp()
      and r.busy_takeovers + r.busy::integer >= p_suspect_after
      and exists (
        select 1
        from workers w
        cross join lateral json_array_elements(w.serves -> 'queues') q
        cross join lateral claim_routes(r.task_queue, w.build_id) c
        where w.worker_id = p_worker and q ->> 'taskQueue' = r.task_queue
          and r.workflow_name in (select json_array_elements_text(q -> 'workflows'))
          and c.route = coalesce(r.build_id, '')
          and run_bucket(r.run_id) >= c.bucket_from and run_bucket(r.run_id) < c.bucket_to
      )
  );
  return next;
end;
$$;

-- Releases up to p_limit runs and p_limit leases of dead incarnations; nothing is replayed here. A lost attempt counts as
-- one, for it may be what its worker died of; the last one becomes its run's failure. Returns the queues that have new work
-- and the owners that have messages.
create function release_dead(p_limit integer)
returns table (task_queue text, owner uuid, run_id uuid, released integer)
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
declare
  v_runs uuid[];
  v_messages json;
begin
  -- Locked by a statement of its own: only the next one sees every message that was there before the lock.
  select array_agg(orphaned.run_id) into v_runs
  from (
    select r.run_id
    from workers w
    cross join lateral (
      select o.run_id from runs o where o.owner = w.worker_id order by o.run_id limit p_limit for no key update skip locked
    ) r
    where w.dead_at is not null
    limit p_limit
  ) orphaned;

  return query
  with freed as (
    update runs r
    set owner = null,
      ready_at = case
        when r.busy or exists (select 1 from inbox i where i.run_id = r.run_id) then clock_timestamp()
        else coalesce(r.wake_at, 'infinity')
      end
    where r.run_id = any (v_runs) and r.status = 'running'
    returning r.task_queue
  )
  select freed.task_queue, null::uuid, null::uuid, count(*)::integer from freed group by freed.task_queue;

  -- The last attempt is never repeated: its loss is its outcome.
  with lost as (
    select a.run_id, a.position, a.attempt >= coalesce((a.policy ->> 'maximumAttempts')::bigint, 1) as last
    from workers w
    join activities a on a.owner = w.worker_id
    where w.dead_at is not null
    order by a.run_id, a.position
    limit p_limit
    for no key update of a skip locked
  ), requeued as (
    update activities a set state = 'queued', owner = null, attempt = a.attempt + 1, due_at = clock_timestamp()
    from lost
    where not lost.last and a.run_id = lost.run_id and a.position = lost.position
    returning a.task_queue
  ), failed as (
    delete from activities a using lost
    where lost.last and a.run_id = lost.run_id and a.position = lost.position
    returning a.run_id, a.position, a.name, a.attempt
  )
  select json_agg(json_build_object('to', failed.run_id, 'position', failed.position, 'kind', 2, 'name', failed.name,
    -- As AttemptLostError (engine/src/core/errors/attempt-errors.ts) is recorded by an owner.
    'payload', json_build_object('name', 'AttemptLostError', 'base', 'AttemptLostError', 'code', 'ATTEMPT_LOST',
      'data', json_build_object('activityName', failed.name, 'attempt', failed.attempt),
      'message', format('attempt %s of activity "%s" was lost with its worker and the retry policy allows no other; '
        'check whether the work was done, or allow more attempts', failed.attempt, failed.name))))
  into v_messages
  from failed;

  if v_messages is not null then
    return query
    select d.task_queue, d.owner, d.to_run, 1 from deliver_messages(v_messages) d where d.open;
  end if;
end;
$$;

-- Gives back what a worker owns without knowing it: a claim whose answer was lost. `p_known` are the runs it holds in
-- memory; p_activity_runs and p_activity_positions the leases.
create function release_unknown(p_worker uuid, p_known uuid[], p_activity_runs uuid[], p_activity_positions integer[])
returns void
language plpgsql
set search_path from current
as $$
begin
  update runs r set owner = null, busy = false, ready_at = clock_timestamp()
  where r.owner = p_worker and r.run_id <> all (p_known);
  update activities a set state = 'queued', owner = null
  where a.owner = p_worker
    and (a.run_id, a.position) not in (select * from unnest(p_activity_runs, p_activity_positions));
end;
$$;

-- Hands over what a worker that stops still owns, at once and without blame, up to p_limit runs a call. With p_retire
-- the incarnation ends. Returns the queues that have new work.
create function hand_over(p_worker uuid, p_limit integer)
returns table (task_queue text, released integer)
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
declare
  v_held uuid[];
begin
  update activities a set state = 'queued', owner = null, due_at = clock_timestamp() where a.owner = p_worker
    and coalesce((a.policy ->> 'maximumAttempts')::bigint, 1) > 1;
  -- Locked by a statement of its own: only the next one sees every message that was there before the lock.
  select array_agg(held.run_id) into v_held
  from (
    select o.run_id from runs o where o.owner = p_worker order by o.run_id limit p_limit for no key update
  ) held;
  return query
  with freed as (
    update runs r
    set owner = null, busy = false,
      ready_at = case
        when r.busy or exists (select 1 from inbox i where i.run_id = r.run_id) then clock_timestamp()
        else coalesce(r.wake_at, 'infinity')
      end
    where r.run_id = any (v_held) and r.status = 'running'
    returning r.task_queue
  )
  select freed.task_queue, count(*)::integer from freed group by freed.task_queue;
end;
$$;

-- Removes closed runs whose retention is over, with all that is theirs, and what else has expired; p_limit runs a call,
-- by whoever gets the lock. Returns how many runs went, and whether there may be more to remove.
create function prune(p_limit integer)
returns table (removed integer, more boolean)
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
declare
  v_runs uuid[];
  v_hooks uuid[];
  v_flushes integer;
  v_now timestamptz := clock_timestamp();
begin
  removed := 0;
  more := false;
  if not pg_try_advisory_xact_lock(hashtextextended(current_schema() || chr(31) || 'prune', 7349)) then
    return next;
    return;
  end if;
  select array_agg(expired.run_id) into v_runs
  from (
    select r.run_id
    from runs r
    where r.expires_at < v_now
      -- A hook's events are part of its run's memory: they go with it.
      and not (r.hook and exists (select 1 from runs p where p.run_id = r.parent_run_id))
    order by r.expires_at
    limit p_limit
    for update skip locked
  ) expired;
  if v_runs is not null then
    v_hooks := array(select h.run_id from runs h where h.parent_run_id = any (v_runs) and h.hook and h.status <> 'running');
    removed := cardinality(v_runs);
    v_runs := v_runs || v_hooks;
    delete from events e where e.run_id = any (v_runs);
    delete from inbox i where i.run_id = any (v_runs);
    delete from entities e where e.entity_id = any (v_runs);
    delete from workflow_ids w using runs r
    where r.run_id = any (v_runs) and w.workflow_id = r.workflow_id and w.run_id = r.run_id;
    delete from runs r where r.run_id = any (v_runs);
  end if;
  delete from flushes f
  where f.ctid = any (array(
    select o.ctid from flushes o where o.at < v_now - interval '1 hour' order by o.at limit 20000
  ));
  get diagnostics v_flushes = row_count;
  delete from stray_signals s where s.expires_at < v_now;
  -- A dead incarnation that holds nothing is forgotten after an hour.
  delete from workers w
  where w.dead_at < v_now - interval '1 hour'
    and not exists (select 1 from runs r where r.owner = w.worker_id)
    and not exists (select 1 from activities a where a.owner = w.worker_id);
  more := removed = p_limit or v_flushes = 20000;
  return next;
end;
$$;

-- What a worker asks now and then, in one statement for all its queues: for each of them whether runs, or queued attempts, are ready, and the earliest due time after now
-- (null for none). `p_run_queues` and `p_workflows` are pairs, and so are `p_attempt_queues` and `p_activities`. Runs that
-- p_suspect_after owners died on are left out: they are claimed alone. What is another build's is not told, and queues with
-- neither are left out.
create function ready_work(
  p_build text, p_run_queues text[], p_workflows text[], p_attempt_queues text[], p_activities text[],
  p_suspect_after integer
)
returns table (kind text, task_queue text, ready boolean, due_in_ms double precision)
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
  -- A volatile function is no condition for an index.
  v_now timestamptz := clock_timestamp();
begin
  return query
  select 'runs', known.task_queue, bool_or(now.found is not null),
    extract(epoch from min(later.ready_at) - v_now)::double precision * 1000
  from unnest(p_run_queues, p_workflows) as known (task_queue, name)
  cross join lateral claim_routes(known.task_queue, p_build) allowed
  cross join generate_series(1, 5) as level (priority)
  left join lateral (
    select true as found
    from runs r
    where r.ready_at is not null and r.ready_at <= v_now
      and r.task_queue = known.task_queue and r.workflow_name = known.name and r.priority = level.priority
      and coalesce(r.build_id, '') = allowed.route
      and run_bucket(r.run_id) >= allowed.bucket_from and run_bucket(r.run_id) < allowed.bucket_to
      and r.busy_takeovers + r.busy::integer < p_suspect_after
    limit 1
  ) now on true
  left join lateral (
    select r.ready_at
    from runs r
    where r.ready_at is not null and r.ready_at > v_now and r.ready_at < 'infinity'
      and r.task_queue = known.task_queue and r.workflow_name = known.name and r.priority = level.priority
      and coalesce(r.build_id, '') = allowed.route
      and run_bucket(r.run_id) >= allowed.bucket_from and run_bucket(r.run_id) < allowed.bucket_to
    order by r.ready_at
    limit 1
  ) later on true
  where now.found is not null or later.ready_at is not null
  group by known.task_queue;

  return query
  select 'activities', known.task_queue, bool_or(now.found is not null),
    extract(epoch from min(later.due_at) - v_now)::double precision * 1000
  from unnest(p_attempt_queues, p_activities) as known (task_queue, name)
  cross join lateral claim_routes(known.task_queue, p_build) allowed
  cross join generate_series(1, 5) as level (priority)
  left join lateral (
    select true as found
    from activities a
    where a.state = 'queued' and a.due_at <= v_now
      and a.task_queue = known.task_queue and a.name = known.name and a.priority = level.priority
      and coalesce(a.build_id, '') = allowed.route
      and run_bucket(a.run_id) >= allowed.bucket_from and run_bucket(a.run_id) < allowed.bucket_to
    limit 1
  ) now on true
  left join lateral (
    select a.due_at
    from activities a
    where a.state = 'queued' and a.due_at > v_now and a.due_at < 'infinity'
      and a.task_queue = known.task_queue and a.name = known.name and a.priority = level.priority
      and coalesce(a.build_id, '') = allowed.route
      and run_bucket(a.run_id) >= allowed.bucket_from and run_bucket(a.run_id) < allowed.bucket_to
    order by a.due_at
    limit 1
  ) later on true
  where now.found is not null or later.due_at is not null
  group by known.task_queue;
end;
$$;
