-- The one way in which a worker writes: a group commit of everything its runs did since the last one.

-- Writes one flush of a worker. Runs come in ascending order of run_id, each with the epoch its owner holds; a run whose
-- owner or epoch no longer match contributes no row at all and is returned as lost, the others commit. A run with a
-- status ends. When one that ends has messages it has not applied, nothing is written and MF001 names it: its owner
-- applies them first.
--
-- `p_event_*`: the events of these runs. `p_extra`: what most flushes have none of; a json object of arrays, each element
-- naming its run:
--   consumed {run, message}; messages {by, to, from, kind, position, name, payload}; signals {by, from, name, payload, ttl_ms};
--   children {by, no, at, position, run, ...as insert_runs}; activities {run, position, attempt, state, due_ms, task_queue,
--   name, args, policy, failure, priority}; activities_done {run, position}; waits {run, position, name};
--   waits_done {run, position, name}; entities {run, no, at, position, kind, name, payload, entity};
--   snapshots {run, entity, no, document}; cancels {by, run, status, failure}; releases {run, ready, problem};
--   ended {run} (rows of attempts or waits may stand that end with it).
--
-- The reply (null when there is nothing to say) is kept with the flush's id, for a retry after a lost acknowledgement:
--   {lost: [run], watch: {channel: [run]}, extra: the reply of flush_extra}.
create function flush_runs(
  p_worker uuid, p_number bigint,
  p_run uuid[], p_epoch integer[], p_event_count integer[], p_busy boolean[], p_wake_at timestamptz[],
  p_status text[], p_result json[], p_failure json[],
  p_event_run uuid[], p_event_no integer[], p_event_kind smallint[], p_event_position integer[],
  p_event_at timestamptz[], p_event_name text[], p_event_payload json[],
  p_extra json
)
returns json
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
  v_live uuid[];
  v_ended uuid[];
  v_lost uuid[];
  v_behind uuid[];
  v_watch json;
  v_reply json;
  v_extra json;
begin
  -- First, so that a retry whose original is still under way waits for it and is then refused by the key.
  insert into flushes (writer, number) values (p_worker, p_number);

  if p_extra is not null then
    perform 1
    from runs r
    where r.run_id = any (
      p_run
      || array(select (m ->> 'to')::uuid from json_array_elements(p_extra -> 'messages') m)
      || array(select (m ->> 'run')::uuid from json_array_elements(p_extra -> 'cancels') m)
    )
    order by r.run_id
    for no key update;
  end if;

  with advanced as (
    update runs r
    set event_count = u.event_count, busy = u.busy, wake_at = u.wake_at,
      busy_takeovers = case when r.event_count < u.event_count or not u.busy then 0 else r.busy_takeovers end,
      status = coalesce(u.status, 'running'), result = u.result, failure = u.failure,
      owner = case when u.status is null then p_worker end,
      closed_at = case when u.status is not null then clock_timestamp() end,
      expires_at = case
        when u.status is not null then clock_timestamp() + make_interval(secs => r.retention_seconds)
      end
    from unnest(p_run, p_epoch, p_event_count, p_busy, p_wake_at, p_status, p_result, p_failure)
      as u (run_id, epoch, event_count, busy, wake_at, status, result, failure)
    -- "is not distinct from" keeps the planner off the index on owner: runs are found by their key, one by one.
    where r.run_id = u.run_id and r.owner is not distinct from p_worker and r.epoch = u.epoch
    returning r.run_id, u.status is not null as ended, r.watchers
  )
  select coalesce(array_agg(advanced.run_id), '{}'),
    coalesce(array_agg(advanced.run_id) filter (where advanced.ended), '{}'),
    (
      select json_object_agg(told.channel, told.runs)
      from (
        select channel, array_agg(a.run_id) as runs
        from advanced a, unnest(a.watchers) as channel
        where a.ended
        group by channel
      ) told
    )
  into v_live, v_ended, v_watch
  from advanced;

  if cardinality(v_ended) > 0 and exists (select 1 from inbox i where i.run_id = any (v_ended)) then
    select array_agg(distinct i.run_id) into v_behind
    from inbox i
    where i.run_id = any (v_ended)
      and not exists (
        select 1 from json_array_elements(p_extra -> 'consumed') c
        where (c ->> 'run')::uuid = i.run_id and (c ->> 'message')::bigint = i.message_id
      );
    if v_behind is not null then
      raise exception using errcode = 'MF001', message = 'runs that end have messages to apply first',
        detail = array_to_string(v_behind, ',');
    end if;
  end if;

  if cardinality(v_live) = cardinality(p_run) then
    insert into events (run_id, event_no, kind, position, at, name, payload)
    select * from unnest(p_event_run, p_event_no, p_event_kind, p_event_position, p_event_at, p_event_name, p_event_payload);
  else
    select array_agg(id) into v_lost from unnest(p_run) id where id <> all (v_live);
    insert into events (run_id, event_no, kind, position, at, name, payload)
    select *
    from unnest(p_event_run, p_event_no, p_event_kind, p_event_position, p_event_at, p_event_name, p_event_payload)
      as e (run_id, event_no, kind, position, at, name, payload)
    where e.run_id = any (v_live);
  end if;

  if p_extra is not null then
    v_extra := flush_extra(p_worker, v_live, v_ended, p_extra);
  end if;

  if v_lost is not null or v_watch is not null or v_extra is not null then
    v_reply := json_build_object('lost', coalesce(v_lost, '{}'), 'watch', v_watch, 'extra', v_extra);
    -- A reply that only names watchers is not worth a row version: watchers poll too.
    if v_lost is not null or v_extra is not null then
      update flushes set reply = v_reply where writer = p_worker and number = p_number;
    end if;
  end if;
  return v_reply;
end;
$$;

-- The rows of an array member of a flush's extra part whose run is still live.
create function live_members(p_extra json, p_member text, p_run_key text, p_live uuid[])
returns table (m json, place bigint)
language sql
stable
as $$
  select list.m, list.place
  from json_array_elements(p_extra -> p_member) with ordinality as list(m, place)
  where (list.m ->> p_run_key)::uuid = any (p_live)
$$;

-- The part of a flush that reaches beyond its runs' own rows. Members of runs that lost their fence are left out.
create function flush_extra(p_worker uuid, p_live uuid[], p_ended uuid[], p_extra json)
returns json
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
declare
  v_part json;
  v_wake json[] := '{}';
  v_refused json;
  v_started json;
  v_numbers json;
  v_inbox json;
  v_watch json;
begin
  if p_extra -> 'consumed' is not null then
    delete from inbox i using live_members(p_extra, 'consumed', 'run', p_live) c
    where i.run_id = any (p_live) and i.run_id = (c.m ->> 'run')::uuid and i.message_id = (c.m ->> 'message')::bigint;
  end if;

  if p_extra -> 'activities' is not null then
    insert into activities (run_id, position, attempt, state, due_at, priority, task_queue, name, args, policy, failure)
    select (c.m ->> 'run')::uuid, (c.m ->> 'position')::integer, (c.m ->> 'attempt')::integer, c.m ->> 'state',
      clock_timestamp() + make_interval(secs => coalesce((c.m ->> 'due_ms')::double precision, 0) / 1000),
      coalesce((c.m ->> 'priority')::smallint, 3), c.m ->> 'task_queue', c.m ->> 'name', c.m -> 'args', c.m -> 'policy',
      c.m -> 'failure'
    from live_members(p_extra, 'activities', 'run', p_live) c
    on conflict (run_id, position) do update
    set attempt = excluded.attempt, state = excluded.state, due_at = excluded.due_at, owner = null,
      failure = excluded.failure;
  end if;

  -- After the rows that are written: an attempt may fail and its next one succeed between two flushes.
  if p_extra -> 'activities_done' is not null then
    delete from activities a using live_members(p_extra, 'activities_done', 'run', p_live) c
    where a.run_id = any (p_live) and a.run_id = (c.m ->> 'run')::uuid and a.position = (c.m ->> 'position')::integer;
  end if;

  if p_extra -> 'waits_done' is not null then
    delete from waits w using live_members(p_extra, 'waits_done', 'run', p_live) c
    where w.run_id = any (p_live) and w.signal_id = c.m ->> 'name' and w.run_id = (c.m ->> 'run')::uuid and w.position = (c.m ->> 'position')::integer;
  end if;

  if p_extra -> 'children' is not null then
    select json_agg(c.m order by c.place) into v_part from live_members(p_extra, 'children', 'by', p_live) c;
    if v_part is not null then
      with outcome as (
        select i.run_id, i.stands, i.holder from insert_runs(v_part) i
      ), noted as (
        insert into events (run_id, event_no, kind, position, at, name, payload)
        select (m ->> 'by')::uuid, (m ->> 'no')::integer,
          (case when (m ->> 'hook')::boolean then 14 else 10 end) + (case when outcome.stands then 0 else 1 end),
          (m ->> 'position')::integer, (m ->> 'at')::timestamptz, m ->> 'workflow_name',
          json_build_object('runId', m ->> 'run', 'workflowId', m ->> 'workflow_id')
        from json_array_elements(v_part) m
        join outcome on outcome.run_id = (m ->> 'run')::uuid
        returning events.run_id, events.event_no, events.kind
      )
      select json_agg(json_build_object('run', noted.run_id, 'no', noted.event_no, 'kind', noted.kind)) into v_started
      from noted;
    end if;
  end if;

  if p_extra -> 'messages' is not null then
    select json_agg(c.m order by c.place) into v_part from live_members(p_extra, 'messages', 'by', p_live) c;
    if v_part is not null then
      with sent as (select d.* from deliver_messages(v_part) d)
      select coalesce(array_agg(json_build_object('run', sent.to_run, 'owner', sent.owner, 'queue', sent.task_queue))
          filter (where sent.open), '{}'),
        json_agg(sent.to_run) filter (where not sent.open)
      into v_wake, v_refused
      from sent;
    end if;
  end if;

  if p_extra -> 'cancels' is not null then
    select json_agg(c.m order by c.place) into v_part from live_members(p_extra, 'cancels', 'by', p_live) c;
    if v_part is not null then
      with ended as (select e.* from end_runs(v_part) e)
      select v_wake || coalesce(array_agg(json_build_object('run', ended.run_id, 'owner', ended.owner)), '{}'),
        (select json_object_agg(told.channel, told.runs)
          from (select channel, array_agg(e.run_id) as runs from ended e, unnest(e.watchers) channel group by channel) told)
      into v_wake, v_watch
      from ended;
    end if;
  end if;

  if cardinality(p_ended) > 0 then
    delete from waits w where w.run_id = any (p_ended);
    delete from activities a where a.run_id = any (p_ended);
  end if;

  if p_extra -> 'entities' is not null then
    -- A run's first use of its memory makes the row. Numbers are given in the order of the flush.
    insert into entities (entity_id)
    select distinct (c.m ->> 'entity')::uuid from live_members(p_extra, 'entities', 'run', p_live) c
    order by 1
    on conflict do nothing;
    perform 1
    from entities e
    where e.entity_id = any (array(select (c.m ->> 'entity')::uuid from live_members(p_extra, 'entities', 'run', p_live) c))
    order by e.entity_id
    for no key update;
    with wanted as (
      select c.m, (c.m ->> 'entity')::uuid as entity_id, (c.m ->> 'kind')::smallint as kind,
        sum(case when (c.m ->> 'kind')::smallint = 20 then 1 else 0 end)
          over (partition by c.m ->> 'entity' order by c.place) as step
      from live_members(p_extra, 'entities', 'run', p_live) c
    ), numbered as (
      select wanted.*, e.last_no + wanted.step as entity_no
      from wanted join entities e using (entity_id)
    ), noted as (
      insert into events (run_id, event_no, kind, position, at, name, payload, entity_id, entity_no)
      select (m ->> 'run')::uuid, (m ->> 'no')::integer, kind, (m ->> 'position')::integer, (m ->> 'at')::timestamptz,
        m ->> 'name', m -> 'payload', entity_id, entity_no
      from numbered
      returning events.run_id, events.event_no, events.entity_no
    ), grown as (
      update entities e set last_no = last.entity_no, changed_at = clock_timestamp()
      from (select numbered.entity_id, max(numbered.entity_no) as entity_no from numbered group by numbered.entity_id) last
      where e.entity_id = last.entity_id and e.last_no < last.entity_no
    )
    select json_agg(json_build_object('run', noted.run_id, 'no', noted.event_no, 'entity_no', noted.entity_no))
    into v_numbers
    from noted;
  end if;

  if p_extra -> 'snapshots' is not null then
    update entities e set snapshot = (c.m -> 'document')::jsonb, snapshot_no = (c.m ->> 'no')::bigint
    from live_members(p_extra, 'snapshots', 'run', p_live) c
    where e.entity_id = (c.m ->> 'entity')::uuid and e.snapshot_no < (c.m ->> 'no')::bigint;
  end if;

  -- Signal ids come last: the longest wait for a lock is here, when all else is written.
  if p_extra -> 'signals' is not null then
    select json_agg(c.m order by c.place) into v_part from live_members(p_extra, 'signals', 'by', p_live) c;
    if v_part is not null then
      select v_wake || coalesce(array_agg(json_build_object('run', s.to_run, 'owner', s.owner, 'queue', s.task_queue))
        filter (where s.to_run is not null), '{}')
      into v_wake
      from route_signals(v_part) s;
    end if;
  end if;

  if p_extra -> 'waits' is not null then
    select json_agg(c.m) into v_part from live_members(p_extra, 'waits', 'run', p_live) c;
    if v_part is not null then
      select json_agg(w) into v_inbox from await_signals(v_part) w;
    end if;
  end if;

  if p_extra -> 'releases' is not null then
    update runs r
    set owner = null, busy = false, problem = c.m -> 'problem',
      ready_at = case
        when c.m -> 'problem' is not null then 'infinity'
        when (c.m ->> 'ready')::boolean or exists (select 1 from inbox i where i.run_id = r.run_id) then clock_timestamp()
        else coalesce(r.wake_at, 'infinity')
      end
    from live_members(p_extra, 'releases', 'run', p_live) c
    where r.run_id = (c.m ->> 'run')::uuid and r.owner = p_worker and r.status = 'running';
  end if;

  if cardinality(v_wake) = 0 and v_refused is null and v_started is null and v_numbers is null and v_inbox is null
    and v_watch is null then
    return null;
  end if;
  return json_build_object(
    'wake', v_wake, 'refused', v_refused, 'started', v_started, 'numbers', v_numbers, 'inbox', v_inbox, 'watch', v_watch
  );
end;
$$;
