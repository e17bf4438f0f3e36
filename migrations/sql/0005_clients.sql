-- What clients write: starts, signals, ends, and the wish to hear of a result. Each call is one group commit of the
-- client with a flush id of its own.

-- Starts runs (see insert_runs). The reply holds the refused ones and their holders.
create function start_runs(
  p_client uuid, p_number bigint, p_run uuid[], p_workflow_id text[], p_workflow_name text[], p_task_queue text[],
  p_watcher text, p_delay_ms bigint[], p_retention_seconds integer[], p_input json[], p_options json[]
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
  v_watchers text[] := case when p_watcher is not null then array[p_watcher] end;
  v_taken uuid[];
  v_reply json;
begin
  insert into flushes (writer, number) values (p_client, p_number);

  -- Ids are nearly always new, and to ask for a conflict first costs as much as a third of the insert.
  begin
    insert into workflow_ids (workflow_id, run_id)
    select u.workflow_id, u.run_id from unnest(p_workflow_id, p_run) as u (workflow_id, run_id) order by u.workflow_id;
    insert into runs (
      run_id, entity_id, ready_at, retention_seconds, task_queue, workflow_name, workflow_id, watchers, input, options
    )
    select u.run_id, u.run_id, clock_timestamp() + u.delay_ms * interval '1 millisecond', u.retention_seconds,
      u.task_queue, u.workflow_name, u.workflow_id, v_watchers, u.input, u.options
    from unnest(p_run, p_workflow_id, p_workflow_name, p_task_queue, p_delay_ms, p_retention_seconds, p_input, p_options)
      as u (run_id, workflow_id, workflow_name, task_queue, delay_ms, retention_seconds, input, options);
    return null;
  exception
    when unique_violation then null;
  end;

  with taken as (
    insert into workflow_ids as w (workflow_id, run_id)
    select u.workflow_id, u.run_id
    from unnest(p_workflow_id, p_run) as u (workflow_id, run_id)
    order by u.workflow_id
    on conflict (workflow_id) do update set run_id = excluded.run_id
    where w.run_id = excluded.run_id
      -- Not by "exists", which may be answered by reading every run that has ended.
      -- A reservation that nobody resumed has given its id up.
      or (select r.status <> 'running' or r.expires_at < clock_timestamp() from runs r where r.run_id = w.run_id)
    returning w.run_id
  )
  select coalesce(array_agg(taken.run_id), '{}') into v_taken from taken;

  insert into runs (
    run_id, entity_id, ready_at, retention_seconds, task_queue, workflow_name, workflow_id, watchers, input, options
  )
  select u.run_id, u.run_id, clock_timestamp() + u.delay_ms * interval '1 millisecond', u.retention_seconds,
    u.task_queue, u.workflow_name, u.workflow_id, v_watchers, u.input, u.options
  from unnest(p_run, p_workflow_id, p_workflow_name, p_task_queue, p_delay_ms, p_retention_seconds, p_input, p_options)
    as u (run_id, workflow_id, workflow_name, task_queue, delay_ms, retention_seconds, input, options)
  where u.run_id = any (v_taken)
  -- A start that meets its own run id has succeeded.
  on conflict on constraint runs_pkey do nothing;

  if cardinality(v_taken) < cardinality(p_run) then
    select json_agg(json_build_object('run', u.run_id, 'holder', w.run_id)) into v_reply
    from unnest(p_run, p_workflow_id) as u (run_id, workflow_id)
    left join workflow_ids w on w.workflow_id = u.workflow_id
    where u.run_id <> all (v_taken);
    update flushes set reply = v_reply where writer = p_client and number = p_number;
  end if;
  return v_reply;
end;
$$;

-- Sends signals of a client. `p_signals`: json array of {to, name, payload, payload_null} (to one run) or {name, payload,
-- payload_null, ttl_ms} (to the one that has waited longest). The reply says for each, in order: {run, owner, queue, open,
-- kept_until}.
create function send_signals(p_client uuid, p_number bigint, p_signals json)
returns json
language plpgsql
set search_path from current
as $$
declare
  v_direct json;
  v_routed json;
  v_reply json;
begin
  insert into flushes (writer, number) values (p_client, p_number);
  select
    coalesce(json_agg(json_build_object(
      'to', m."to", 'kind', 4, 'name', m.name, 'payload', m.payload, 'payload_null', m.payload_null
    ) order by m.place) filter (where m."to" is not null), '[]'),
    coalesce(json_agg(json_build_object(
      'name', m.name, 'payload', m.payload, 'payload_null', m.payload_null, 'ttl_ms', m.ttl_ms
    ) order by m.place) filter (where m."to" is null), '[]')
  into v_direct, v_routed
  from rows from (json_to_recordset(p_signals) as (
    "to" uuid, name text, payload json, payload_null boolean, ttl_ms double precision
  )) with ordinality as m ("to", name, payload, payload_null, ttl_ms, place);

  with direct as (
    select d.to_run, d.open, d.owner, d.task_queue from deliver_messages(v_direct) d
  ), routed as (
    select r.place, r.to_run, r.owner, r.task_queue, r.kept_until from route_signals(v_routed) r
  ), asked as (
    select m."to", m.place, sum(case when m."to" is null then 1 else 0 end) over (order by m.place) as turn
    from rows from (json_to_recordset(p_signals) as ("to" uuid)) with ordinality as m ("to", place)
  )
  select json_agg(json_build_object(
    'run', coalesce(direct.to_run, routed.to_run), 'owner', coalesce(direct.owner, routed.owner),
    'queue', coalesce(direct.task_queue, routed.task_queue), 'open', coalesce(direct.open, true),
    'kept_until', routed.kept_until
  ) order by asked.place)
  into v_reply
  from asked
  left join direct on direct.to_run = asked."to"
  left join routed on asked."to" is null and routed.place = asked.turn;
  update flushes set reply = v_reply where writer = p_client and number = p_number;
  return v_reply;
end;
$$;

-- Ends runs for a client (see end_runs).
create function stop_runs(p_client uuid, p_number bigint, p_ends json)
returns json
language plpgsql
set search_path from current
as $$
declare
  v_reply json;
begin
  insert into flushes (writer, number) values (p_client, p_number);
  select json_agg(e) into v_reply from end_runs(p_ends) e;
  update flushes set reply = v_reply where writer = p_client and number = p_number;
  return v_reply;
end;
$$;

-- Adds a client's channel to what an open run tells at its end. Serialised by the run's row: either the end is seen here
-- or the end sees the watcher. The last hundred are told: clients come and go, and all of them poll.
create function watch_runs(p_runs uuid[], p_channel text)
returns setof uuid
language sql
set search_path from current
set enable_seqscan = off
as $$
  with locked as (
    select r.run_id from runs r
    where r.run_id = any (p_runs) and r.status = 'running'
    order by r.run_id
    for no key update
  )
  update runs r set watchers = array_append(r.watchers[greatest(1, cardinality(r.watchers) - 98):], p_channel)
  from locked
  where r.run_id = locked.run_id and (r.watchers is null or p_channel <> all (r.watchers))
  returning r.run_id
$$;
