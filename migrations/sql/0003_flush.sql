-- The one way in which a worker writes: a group commit of everything its runs did since the last one.

-- Writes one flush of a worker. `p_run`: its runs in ascending order of run_id, each with the epoch its owner holds; a run
-- whose owner or epoch no longer match contributes no row at all and is returned as lost, the others commit. `p_row_*`:
-- those whose row changes (their event count is brought up to date with it); one with a status ends. When one that ends
-- has messages it has not applied, nothing is written and MF001 names it: its owner applies them first.
--
-- `p_event_*`: the events of these runs. `p_extra`: what most flushes have none of; a json object of arrays, each element
-- naming its run:
--   consumed {run, message}; messages {by, to, from, kind, position, name, payload}; signals {by, from, name, payload, ttl_ms};
--   children {by, no, at, position, run, ...as insert_runs}; activities {run, position, attempt, state, due_ms, task_queue,
--   name, args, policy, failure, priority}; activities_done {run, position}; waits {run, position, name};
--   waits_done {run, position, name}; entities {run, no, at, position, kind, name, payload, entity};
--   snapshots {run, entity, no, document, search}; seeds {by, run, type, search} (of children that start);
--   cancels {by, status, failure} (the hooks of `by` that still run);
--   releases {run, ready, problem}; interrupts {by, no, at, position, workflow_id, failure, descend, retention_seconds};
--   hooks {...as children, into: the workflow id of the run they run in}; reached (the workflow ids of both, as texts);
--   ended {run} (rows of attempts or waits may stand that end with it).
--
-- A payload that is JSON null is given as payload_null: true; one that is left out is undefined.
--
-- The reply (null when there is nothing to say) is kept with the flush's id, for a retry after a lost acknowledgement:
--   {lost: [run], watch: {channel: [run]}, extra: the reply of flush_extra}.
create function flush_runs(
  p_worker uuid, p_number bigint, p_run uuid[], p_epoch integer[],
  p_row uuid[], p_row_epoch integer[], p_row_event_count integer[], p_row_busy boolean[], p_row_wake_at timestamptz[], p_row_status text[],
  p_row_result json[], p_row_failure json[],
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
  v_epochs integer[];
  v_written uuid[];
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
      || array(
        select h.run_id
        from json_array_elements(p_extra -> 'cancels') m
        cross join lateral (
          select k.run_id from runs k where k.parent_run_id = (m ->> 'by')::uuid and k.hook and k.status = 'running' offset 0
        ) h
      )
      || array(
        select w.run_id
        from json_array_elements_text(p_extra -> 'reached') as m (workflow_id)
        cross join lateral (select k.run_id from workflow_ids k where k.workflow_id = m.workflow_id limit 1) w
      )
    )
    order by r.run_id
    for no key update;
  end if;

  -- The fence. A step only locks its run's row: writing it would cost two and a half times as much (bench, steps-500:
  -- 28 us of Postgres a step with an update, 13 us with a lock), and what it would write is known from the events. Where
  -- every row is written, in key order, the update itself is lock and fence.
  if p_row is distinct from p_run or p_extra is not null then
    select array_agg(locked.run_id), array_agg(locked.epoch) into v_live, v_epochs
    from (
      select r.run_id, r.epoch
      from runs r
      -- "is not distinct from" keeps the planner off the index on owner: runs are found by their key.
      where r.run_id = any (p_run) and r.owner is not distinct from p_worker
      order by r.run_id
      for no key update
    ) locked;

    if v_live is distinct from p_run or v_epochs is distinct from p_epoch then
      select coalesce(array_agg(known.id) filter (where held.id is not null), '{}'),
        array_agg(known.id) filter (where held.id is null)
      into v_live, v_lost
      from unnest(p_run, p_epoch) as known (id, epoch)
      left join unnest(v_live, v_epochs) as held (id, epoch) on held.id = known.id and held.epoch = known.epoch;
    end if;
  end if;

  if cardinality(p_row) > 0 then
    with written as (
      update runs r
      set event_count = u.event_count, busy = u.busy, wake_at = u.wake_at,
        busy_takeovers = case when r.event_count < u.event_count or not u.busy then 0 else r.busy_takeovers end,
        status = coalesce(u.status, 'running'), result = u.result, failure = u.failure,
        owner = case when u.status is null then p_worker end,
        closed_at = case when u.status is not null then clock_timestamp() end,
        expires_at = case
          when u.status is not null then clock_timestamp() + coalesce(r.retention_seconds, (
            -- The definition's, else the store's; looked up at the end of a run alone, and only where its start said nothing.
            select coalesce(
              case u.status when 'completed' then d.completed_seconds else d.failed_seconds end,
              case u.status when 'completed' then s.completed_seconds else s.failed_seconds end
            )
            from store_settings s
            left join workflow_definitions d on d.task_queue = r.task_queue and d.workflow_name = r.workflow_name
            where s.one
          )) * interval '1 second'
        end
      from unnest(
        p_row, p_row_epoch, p_row_event_count, p_row_busy, p_row_wake_at, p_row_status, p_row_result, p_row_failure
      ) as u (run_id, epoch, event_count, busy, wake_at, status, result, failure)
      where r.run_id = u.run_id and r.owner is not distinct from p_worker and r.epoch = u.epoch
      returning r.run_id, u.status is not null as ended, r.watchers
    )
    select array_agg(written.run_id), coalesce(array_agg(written.run_id) filter (where written.ended), '{}'),
      (
        select json_object_agg(told.channel, told.runs)
        from (
          select channel, array_agg(w.run_id) as runs
          from written w, unnest(w.watchers) as channel
          where w.ended
          group by channel
        ) told
      )
    into v_written, v_ended, v_watch
    from written;

    if p_row is not distinct from p_run and p_extra is null and v_written is distinct from p_run then
      v_live := coalesce(v_written, '{}');
      v_lost := array(select id from unnest(p_run) as id where id <> all (v_live));
    end if;
  end if;

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

  if v_lost is null then
    insert into events (run_id, event_no, kind, position, at, name, payload)
    select * from unnest(p_event_run, p_event_no, p_event_kind, p_event_position, p_event_at, p_event_name, p_event_payload);
  else
    insert into events (run_id, event_no, kind, position, at, name, payload)
    select *
    from unnest(p_event_run, p_event_no, p_event_kind, p_event_position, p_event_at, p_event_name, p_event_payload)
      as e (run_id, event_no, kind, position, at, name, payload)
    where e.run_id = any (v_live);
  end if;

  if p_extra is not null then
    v_extra := flush_extra(p_worker, case when v_lost is null then null else v_live end, v_ended, p_extra);
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

-- The part of a flush that reaches beyond its runs' own rows. p_live: the runs that still have their fence, null for all;
-- members of others are left out. Rows are found one by one, by key: each is locked by its run's row already.
create function flush_extra(p_worker uuid, p_live uuid[], p_ended uuid[], p_extra json)
returns json
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = on
as $$
declare
  v_parts record;
  v_wake json[] := '{}';
  v_refused json;
  v_started json;
  v_numbers json;
  v_inbox json;
  v_watch json;
  v_noted json[] := '{}';
  v_gone uuid[];
begin
  select * into v_parts
  from json_to_record(p_extra) as parts (
    consumed json, activities json, activities_done json, waits_done json, children json, messages json, cancels json,
    entities json, snapshots json, signals json, waits json, releases json, seeds json, hooks json, interrupts json
  );

  if v_parts.consumed is not null then
    delete from inbox
    where ctid = any (array(
      select i.ctid
      from json_to_recordset(v_parts.consumed) as c (run uuid, message bigint)
      cross join lateral (
        select m.ctid from inbox m where m.run_id = c.run and m.message_id = c.message limit 1
      ) i
      where p_live is null or c.run = any (p_live)
    ));
  end if;

  if v_parts.activities is not null then
    insert into activities (
      run_id, position, attempt, state, due_at, priority, task_queue, name, build_id, args, policy, failure
    )
    select c.run, c.position, c.attempt, c.state,
      clock_timestamp() + make_interval(secs => coalesce(c.due_ms, 0) / 1000), coalesce(c.priority, 3), c.task_queue,
      c.name, (select r.build_id from runs r where r.run_id = c.run and r.task_queue = c.task_queue), c.args, c.policy,
      c.failure
    from json_to_recordset(v_parts.activities) as c (
      run uuid, "position" integer, attempt integer, state text, due_ms double precision, priority smallint,
      task_queue text, name text, args json, policy json, failure json
    )
    where p_live is null or c.run = any (p_live)
    on conflict (run_id, position) do update
    set attempt = excluded.attempt, state = excluded.state, due_at = excluded.due_at, owner = null,
      failure = excluded.failure;
  end if;

  -- After the rows that are written: an attempt may fail and its next one succeed between two flushes.
  if v_parts.activities_done is not null then
    delete from activities
    where ctid = any (array(
      select a.ctid
      from json_to_recordset(v_parts.activities_done) as c (run uuid, "position" integer)
      cross join lateral (
        select k.ctid from activities k where k.run_id = c.run and k.position = c.position limit 1
      ) a
      where p_live is null or c.run = any (p_live)
    ));
  end if;

  if v_parts.waits_done is not null then
    delete from waits
    where ctid = any (array(
      select w.ctid
      from json_to_recordset(v_parts.waits_done) as c (run uuid, "position" integer, name text)
      cross join lateral (
        select k.ctid from waits k where k.signal_id = c.name and k.run_id = c.run and k.position = c.position limit 1
      ) w
      where p_live is null or c.run = any (p_live)
    ));
  end if;

  if v_parts.children is not null then
    with outcome as (
      select i.run_id, i.stands from insert_runs(v_parts.children, p_live) i
    ), noted as (
      insert into events (run_id, event_no, kind, position, at, name, payload)
      select c.by, c.no, (case when c.hook then 14 else 10 end) + (case when outcome.stands then 0 else 1 end), c.position,
        c.at, c.workflow_name, json_build_object('runId', c.run, 'workflowId', c.workflow_id)
      from json_to_recordset(v_parts.children) as c (
        by uuid, no integer, at timestamptz, "position" integer, run uuid, workflow_id text, workflow_name text, hook boolean
      )
      join outcome on outcome.run_id = c.run
      returning events.run_id, events.event_no, events.kind
    )
    select json_agg(json_build_object('run', noted.run_id, 'no', noted.event_no, 'kind', noted.kind)) into v_started
    from noted;
  end if;

  if v_parts.seeds is not null then perform seed_memories(v_parts.seeds, p_live); end if;

  if v_parts.messages is not null then
    select coalesce(array_agg(json_build_object('run', sent.to_run, 'owner', sent.owner, 'queue', sent.task_queue))
        filter (where sent.open), '{}'),
      json_agg(sent.to_run) filter (where not sent.open)
    into v_wake, v_refused
    from deliver_messages(v_parts.messages, p_live) sent;
  end if;

  if v_parts.hooks is not null then
    with put as (
      select h.* from hook_into(v_parts.hooks, p_live) h
    ), noted as (
      insert into events (run_id, event_no, kind, position, at, name, payload)
      select c.by, c.no, case when put.stands then 14 else 15 end, c.position, c.at, c.workflow_name,
        json_build_object(
          'runId', c.run, 'workflowId', c.workflow_id,
          'into', json_build_object('workflowId', c."into", 'runId', put.to_run, 'status', put.status)
        )
      from json_to_recordset(v_parts.hooks) as c (
        by uuid, no integer, at timestamptz, "position" integer, run uuid, workflow_id text, workflow_name text, "into" text
      )
      join put on put.run_id = c.run
      returning events.run_id, events.event_no, events.kind, events.payload
    )
    select v_noted || array(
        select json_build_object('run', noted.run_id, 'no', noted.event_no, 'kind', noted.kind, 'payload', noted.payload)
        from noted
      ),
      v_wake || array(
        select json_build_object('run', put.to_run, 'owner', put.owner, 'queue', put.task_queue) from put where put.stands
      )
    into v_noted, v_wake;
  end if;

  if v_parts.interrupts is not null then
    -- Says which of them find their run open, before these end below.
    with noted as (
      insert into events (run_id, event_no, kind, position, at, name, payload)
      select c.by, c.no, case when r.status = 'running' then 33 else 34 end, c.position, c.at, c.workflow_id,
        json_build_object('workflowId', c.workflow_id, 'runId', r.run_id, 'status', r.status)
      from json_to_recordset(v_parts.interrupts) as c (
        by uuid, no integer, at timestamptz, "position" integer, workflow_id text
      )
      left join lateral (
        select k.run_id, k.status from workflow_ids w join runs k on k.run_id = w.run_id
        where w.workflow_id = c.workflow_id
        limit 1
      ) r on true
      where p_live is null or c.by = any (p_live)
      returning events.run_id, events.event_no, events.kind, events.payload
    )
    select v_noted || array_agg(
      json_build_object('run', noted.run_id, 'no', noted.event_no, 'kind', noted.kind, 'payload', noted.payload)
    )
    into v_noted
    from noted;
  end if;

  if v_parts.cancels is not null or v_parts.interrupts is not null then
    with wanted as (
      -- Its own flushes start the hooks of a run, and who hooks into it has locked it: those that run now are all.
      select json_build_object('run', h.run_id, 'status', c.status, 'failure', c.failure) as member
      from json_to_recordset(v_parts.cancels) as c (by uuid, status text, failure json)
      cross join lateral (
        select k.run_id from runs k where k.parent_run_id = c.by and k.hook and k.status = 'running' offset 0
      ) h
      where p_live is null or c.by = any (p_live)
      union all
      select json_build_object(
        'run', w.run_id, 'status', 'canceled', 'failure', c.failure, 'descend', c.descend,
        'retention_seconds', c.retention_seconds
      )
      from json_to_recordset(v_parts.interrupts) as c (
        by uuid, workflow_id text, failure json, descend boolean, retention_seconds integer
      )
      cross join lateral (select k.run_id from workflow_ids k where k.workflow_id = c.workflow_id limit 1) w
      where p_live is null or c.by = any (p_live)
    ), ended as (
      select e.* from end_runs((select coalesce(json_agg(wanted.member), '[]') from wanted)) e
    )
    select v_wake
        || coalesce(array_agg(json_build_object('run', ended.run_id, 'owner', ended.owner)), '{}')
        || coalesce(
          array_agg(json_build_object('run', ended.parent_run_id, 'owner', ended.parent_owner, 'queue', ended.parent_queue))
            filter (where ended.parent_run_id is not null),
          '{}'
        ),
      (select json_object_agg(told.channel, told.runs)
        from (select channel, array_agg(e.run_id) as runs from ended e, unnest(e.watchers) channel group by channel) told),
      array_agg(ended.run_id)
    into v_wake, v_watch, v_gone
    from ended;

    -- They may have a part in this very flush: what ends here waits for nothing any more, and takes no signal along.
    if v_gone is not null and v_parts.waits is not null then
      select json_agg(w.member) into v_parts.waits
      from json_array_elements(v_parts.waits) as w (member)
      where (w.member ->> 'run')::uuid <> all (v_gone);
    end if;
  end if;

  if cardinality(p_ended) > 0 then
    delete from waits w where w.run_id = any (p_ended);
    delete from activities a where a.run_id = any (p_ended);
  end if;

  if v_parts.entities is not null then
    -- A run's first use of its memory makes the row. Numbers are given in the order of the flush.
    insert into entities (entity_id, stale)
    select c.entity, bool_or(c.kind = 20)
    from json_to_recordset(v_parts.entities) as c (run uuid, entity uuid, kind smallint)
    where p_live is null or c.run = any (p_live)
    group by c.entity
    order by c.entity
    on conflict do nothing;
    perform 1
    from entities e
    where e.entity_id = any (array(
      select distinct c.entity
      from json_to_recordset(v_parts.entities) as c (run uuid, entity uuid)
      where p_live is null or c.run = any (p_live)
    ))
    order by e.entity_id
    for no key update;
    with wanted as (
      select c.*, sum(case when c.kind = 20 then 1 else 0 end) over (partition by c.entity order by c.place) as step
      from rows from (json_to_recordset(v_parts.entities) as (
        run uuid, no integer, at timestamptz, "position" integer, kind smallint, name text, entity uuid, payload json,
        payload_null boolean
      )) with ordinality as c (run, no, at, position, kind, name, entity, payload, payload_null, place)
      where p_live is null or c.run = any (p_live)
    ), numbered as (
      select wanted.*, e.last_no + wanted.step as entity_no
      from wanted
      cross join lateral (select k.last_no from entities k where k.entity_id = wanted.entity limit 1) e
    ), noted as (
      insert into events (run_id, event_no, kind, position, at, name, payload, entity_id, entity_no)
      select run, no, kind, position, at, name, coalesce(payload, case when payload_null then 'null'::json end), entity,
        entity_no
      from numbered
      returning events.run_id, events.event_no, events.entity_no
    ), grown as (
      update entities e set last_no = last.entity_no, changed_at = clock_timestamp(), stale = true
      from (select numbered.entity, max(numbered.entity_no) as entity_no from numbered group by numbered.entity) last
      where e.entity_id = last.entity and e.last_no < last.entity_no
    )
    select json_agg(json_build_object('run', noted.run_id, 'no', noted.event_no, 'entity_no', noted.entity_no))
    into v_numbers
    from noted;
  end if;

  if v_parts.snapshots is not null then
    perform refresh_snapshots(v_parts.snapshots, p_live);
  end if;

  -- Signal ids come last: the longest wait for a lock is here, when all else is written.
  if v_parts.signals is not null then
    select v_wake || coalesce(array_agg(json_build_object('run', s.to_run, 'owner', s.owner, 'queue', s.task_queue))
      filter (where s.to_run is not null), '{}')
    into v_wake
    from route_signals(v_parts.signals, p_live) s;
  end if;

  if v_parts.waits is not null then
    select json_agg(w) into v_inbox from await_signals(v_parts.waits, p_live) w;
  end if;

  if v_parts.releases is not null then
    update runs r
    set owner = null, busy = false, problem = c.problem,
      ready_at = case
        when c.problem is not null then 'infinity'
        when c.ready or exists (select 1 from inbox i where i.run_id = r.run_id) then clock_timestamp()
        else coalesce(r.wake_at, 'infinity')
      end
    from json_to_recordset(v_parts.releases) as c (run uuid, ready boolean, problem json)
    where r.run_id = c.run and r.owner is not distinct from p_worker and r.status = 'running'
      and (p_live is null or c.run = any (p_live));
  end if;

  if cardinality(v_wake) = 0 and v_refused is null and v_started is null and v_numbers is null and v_inbox is null
    and v_watch is null and cardinality(v_noted) = 0 then
    return null;
  end if;
  return json_build_object(
    'wake', v_wake, 'refused', v_refused, 'started', v_started, 'numbers', v_numbers, 'inbox', v_inbox, 'watch', v_watch,
    'noted', v_noted
  );
end;
$$;
