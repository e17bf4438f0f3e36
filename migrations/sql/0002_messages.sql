-- How messages, signals, starts and ends cross from one run to another. Each function locks in the order that
-- 0001_tables.sql states and is called inside the transaction of its sender's flush.

-- Puts messages into the inboxes of open runs. `p_messages` is a json array of
-- {to, from, by, kind, position, name, payload, payload_null}; with p_live, only members whose `by` is among it count. The
-- target's row is locked against its end; a closed or missing target refuses. Returns one row per target: its owner, or
-- its queue when it has none.
create function deliver_messages(p_messages json, p_live uuid[] default null)
returns table (to_run uuid, open boolean, owner uuid, task_queue text)
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = on
as $$
declare
  v_targets uuid[];
  v_open uuid[];
begin
  select array_agg(distinct m."to") into v_targets
  from json_to_recordset(p_messages) as m ("to" uuid, by uuid)
  where p_live is null or m.by = any (p_live);

  select coalesce(array_agg(locked.run_id), '{}') into v_open
  from (
    select r.run_id
    from runs r
    where r.run_id = any (v_targets) and r.status = 'running'
    order by r.run_id
    for no key update
  ) locked;

  -- The identity is drawn while the target is locked, so the order of ids is the order of commits.
  insert into inbox (run_id, from_run_id, position, kind, name, payload)
  select m."to", m."from", m.position, m.kind, m.name, coalesce(m.payload, case when m.payload_null then 'null'::json end)
  from rows from (json_to_recordset(p_messages) as (
    "to" uuid, "from" uuid, by uuid, "position" integer, kind smallint, name text, payload json, payload_null boolean
  )) with ordinality as m ("to", "from", by, position, kind, name, payload, payload_null, place)
  where m."to" = any (v_open) and (p_live is null or m.by = any (p_live))
  order by m.place;

  update runs r
  set ready_at = least(r.ready_at, clock_timestamp())
  where r.run_id = any (v_open) and r.owner is null and r.ready_at > clock_timestamp() and r.problem is null;

  return query
  select target.id, target.id = any (v_open), r.owner, r.task_queue
  from unnest(v_targets) as target (id)
  left join lateral (select k.owner, k.task_queue from runs k where k.run_id = target.id limit 1) r on true;
end;
$$;

-- Takes the locks of signal ids, in key order, so that a sender and a waiter never miss each other.
create function lock_signal_ids(p_signal_ids text[])
returns void
language plpgsql
set search_path from current
as $$
begin
  perform pg_advisory_xact_lock(key)
  from (
    select distinct hashtextextended(current_schema() || chr(31) || id, 7349) as key
    from unnest(p_signal_ids) id
    order by 1
  ) keys;
end;
$$;

-- Routes signals that name no run. `p_signals` is a json array of {from, by, name, payload, payload_null, ttl_ms}; p_live as
-- above. A signal of a workflow run goes to the first that waits for the id among its hooks, then upwards among its
-- parents; otherwise (and for a client, whose `from` is null) to the run of this schema that has waited longest;
-- otherwise it is kept. Returns one row per signal, in order.
create function route_signals(p_signals json, p_live uuid[] default null)
returns table (place bigint, to_run uuid, owner uuid, task_queue text, kept_until timestamptz)
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
declare
  v_signal record;
  v_target record;
begin
  perform lock_signal_ids(array(select m.name from json_to_recordset(p_signals) as m (name text)));
  for v_signal in
    select m.*
    from rows from (json_to_recordset(p_signals) as (
      "from" uuid, by uuid, name text, payload json, payload_null boolean, ttl_ms double precision
    )) with ordinality as m (from_run, by, name, payload, payload_null, ttl_ms, place)
    where p_live is null or m.by = any (p_live)
    order by m.place
  loop
    place := v_signal.place;
    to_run := null; owner := null; task_queue := null; kept_until := null;
    loop
      with recursive upwards (run_id, parent_run_id, rank) as (
        select r.run_id, r.parent_run_id, 1 from runs r where r.run_id = v_signal.from_run
        union all
        select p.run_id, p.parent_run_id, u.rank + 1
        from upwards u
        cross join lateral (select k.run_id, k.parent_run_id from runs k where k.run_id = u.parent_run_id limit 1) p
        where u.rank < 100
      ), related (run_id, rank) as (
        select h.run_id, 0 from runs h where h.parent_run_id = v_signal.from_run and h.hook and h.status = 'running'
        union all
        select u.run_id, u.rank from upwards u where u.rank > 1
      )
      select w.run_id, w.position into v_target
      from waits w left join related on related.run_id = w.run_id
      where w.signal_id = v_signal.name
        and w.run_id is distinct from v_signal.from_run
      order by related.rank nulls last, w.since, w.run_id, w.position
      limit 1;
      exit when v_target.run_id is null;

      select d.to_run, d.owner, d.task_queue into to_run, owner, task_queue
      from deliver_messages(json_build_array(json_build_object(
        'to', v_target.run_id, 'from', v_signal.from_run, 'kind', 4, 'name', v_signal.name, 'payload', v_signal.payload,
        'payload_null', v_signal.payload_null
      ))) d
      where d.open;
      -- The next signal of this id is for the next waiter.
      delete from waits w
      where w.signal_id = v_signal.name and w.run_id = v_target.run_id and w.position = v_target.position;
      -- A waiter that was about to end when it was found is passed by.
      exit when to_run is not null;
    end loop;
    if to_run is null then
      kept_until := clock_timestamp() + make_interval(secs => v_signal.ttl_ms / 1000);
      insert into stray_signals (expires_at, from_run_id, signal_id, payload)
      values (
        kept_until, v_signal.from_run, v_signal.name, coalesce(v_signal.payload, case when v_signal.payload_null then 'null'::json end)
      );
    end if;
    return next;
  end loop;
end;
$$;

-- Records that runs wait for signal ids ({run, position, name} each; p_live as above) and hands them what was kept for
-- these ids. Returns the runs that got a message.
create function await_signals(p_waits json, p_live uuid[] default null)
returns setof uuid
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = on
as $$
begin
  perform lock_signal_ids(array(select m.name from json_to_recordset(p_waits) as m (name text)));
  insert into waits (signal_id, run_id, position)
  select m.name, m.run, m.position
  from json_to_recordset(p_waits) as m (run uuid, "position" integer, name text)
  where p_live is null or m.run = any (p_live)
  on conflict do nothing;

  return query
  with waiting as (
    select w.signal_id, w.run_id, w.position,
      row_number() over (partition by w.signal_id order by w.since, w.run_id, w.position) as turn
    from json_to_recordset(p_waits) as m (run uuid, "position" integer, name text)
    cross join lateral (
      select * from waits known
      where known.signal_id = m.name and known.run_id = m.run and known.position = m.position
      limit 1
    ) w
    where p_live is null or m.run = any (p_live)
  ), kept as (
    select s.signal_id, s.stray_id, s.from_run_id, s.payload, row_number() over (partition by s.signal_id order by s.stray_id) as turn
    from stray_signals s
    where s.signal_id = any (array(select waiting.signal_id from waiting)) and s.expires_at > clock_timestamp()
  ), given as (
    insert into inbox (run_id, from_run_id, kind, name, payload)
    select waiting.run_id, kept.from_run_id, 4, kept.signal_id, kept.payload
    from waiting join kept using (signal_id, turn)
    order by kept.stray_id
    returning run_id
  ), taken as (
    delete from stray_signals s using kept, waiting
    where waiting.signal_id = kept.signal_id and waiting.turn = kept.turn
      and s.signal_id = kept.signal_id and s.stray_id = kept.stray_id
  ), served as (
    delete from waits w using waiting, kept
    where waiting.signal_id = kept.signal_id and waiting.turn = kept.turn
      and w.signal_id = waiting.signal_id and w.run_id = waiting.run_id and w.position = waiting.position
  )
  select distinct given.run_id from given;
end;
$$;

-- Inserts runs. `p_runs` is a json array of {run, by, workflow_id, workflow_name, task_queue, parent, parent_position, hook,
-- entity, retention_seconds, priority, dialect, delay_ms, build_id, watcher, input, options}; p_live as above. A workflow
-- id that names another open run refuses. Workflow ids must differ within one call. On its parent's queue a run takes its
-- parent's build. Returns one row per run: whether it stands, and the run that holds the id.
create function insert_runs(p_runs json, p_live uuid[] default null)
returns table (run_id uuid, stands boolean, holder uuid)
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = on
as $$
declare
  v_taken uuid[];
  v_all boolean;
begin
  with wanted as (
    select m.run, m.workflow_id
    from json_to_recordset(p_runs) as m (run uuid, by uuid, workflow_id text)
    where p_live is null or m.by = any (p_live)
    order by m.workflow_id
  ), taken as (
    insert into workflow_ids as w (workflow_id, run_id)
    select wanted.workflow_id, wanted.run from wanted
    on conflict (workflow_id) do update set run_id = excluded.run_id
    where w.run_id = excluded.run_id
      -- Not by "exists", which may be answered by reading every run that has ended.
      -- A reservation that nobody resumed has given its id up.
      or (select r.status <> 'running' or r.expires_at < clock_timestamp() from runs r where r.run_id = w.run_id)
    returning w.run_id
  )
  select coalesce(array_agg(taken.run_id), '{}'), count(*) = (select count(*) from wanted) into v_taken, v_all from taken;

  insert into runs (
    run_id, entity_id, parent_run_id, parent_position, hook, ready_at, retention_seconds, priority, task_queue,
    workflow_name, workflow_id, dialect, build_id, watchers, input, options
  )
  select m.run, coalesce(m.entity, m.run), m.parent, m.parent_position, coalesce(m.hook, false),
    clock_timestamp() + make_interval(secs => coalesce(m.delay_ms, 0) / 1000), m.retention_seconds,
    coalesce(m.priority, 3), m.task_queue, m.workflow_name, m.workflow_id, coalesce(m.dialect, 'memflow'),
    coalesce(
      m.build_id, (select p.build_id from runs p where p.run_id = m.parent and p.task_queue = m.task_queue)
    ),
    case when m.watcher is null then null else array[m.watcher] end, m.input, m.options
  from json_to_recordset(p_runs) as m (
    run uuid, by uuid, entity uuid, parent uuid, parent_position integer, hook boolean, delay_ms double precision,
    retention_seconds integer, priority smallint, task_queue text, workflow_name text, workflow_id text, dialect text,
    build_id text, watcher text, input json, options json
  )
  where (p_live is null or m.by = any (p_live)) and (v_all or m.run = any (v_taken))
  order by m.run
  -- A start that meets its own run id has succeeded.
  on conflict on constraint runs_pkey do nothing;

  return query
  select m.run, v_all or w.run_id = m.run, w.run_id
  from json_to_recordset(p_runs) as m (run uuid, by uuid, workflow_id text)
  left join lateral (select k.run_id from workflow_ids k where k.workflow_id = m.workflow_id limit 1) w on true
  where p_live is null or m.by = any (p_live);
end;
$$;

-- Ends runs from outside their own code (cancel, interrupt, terminate, hooks of an ended run). `p_ends` is a json array
-- of {run, by, status, failure, descend, retention_seconds}; p_live as above. Tells parents; the fence moves, so that the
-- owner's next flush is refused. Returns one row per ended run: its former owner, its watchers, and the parent that got a
-- message.
create function end_runs(p_ends json, p_live uuid[] default null)
returns table (run_id uuid, owner uuid, watchers text[], parent_run_id uuid, parent_owner uuid, parent_queue text)
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = on
as $$
declare
  v_family uuid[];
  v_locked uuid[];
  v_ended json;
begin
  -- A run may start a hook or child while its lock is waited for: the family is whole when all of it is locked.
  loop
    with recursive family (id, descend, depth) as (
      select m.run, coalesce(m.descend, false), 0
      from json_to_recordset(p_ends) as m (run uuid, by uuid, descend boolean)
      where p_live is null or m.by = any (p_live)
      union all
      select r.run_id, family.descend, family.depth + 1
      from family
      cross join lateral (
        select k.run_id, k.hook from runs k where k.parent_run_id = family.id and k.status = 'running' offset 0
      ) r
      where (r.hook or family.descend) and family.depth < 1000
    )
    select coalesce(array_agg(distinct family.id), '{}') into v_family from family;
    exit when v_family <@ v_locked;

    perform 1
    from runs r
    where r.run_id = any (v_family || array(select c.parent_run_id from runs c where c.run_id = any (v_family)))
    order by r.run_id
    for no key update;
    v_locked := v_family;
  end loop;

  with recursive wanted (id, status, failure, descend, retention_seconds, depth) as (
    select m.run, m.status, m.failure::text, coalesce(m.descend, false), m.retention_seconds, 0
    from json_to_recordset(p_ends) as m (
      run uuid, by uuid, status text, failure json, descend boolean, retention_seconds integer
    )
    where p_live is null or m.by = any (p_live)
    union all
    select r.run_id, wanted.status, wanted.failure, wanted.descend, wanted.retention_seconds, wanted.depth + 1
    from wanted
    cross join lateral (
      select k.run_id from runs k where k.parent_run_id = wanted.id and k.run_id = any (v_family) offset 0
    ) r
    where wanted.depth < 1000
  ), family as (
    select distinct on (wanted.id) wanted.* from wanted order by wanted.id, wanted.depth
  ), before as (
    select r.run_id, r.owner, r.watchers
    from runs r
    where r.run_id = any (v_family) and r.status = 'running'
  ), ended as (
    update runs r
    set status = family.status, failure = family.failure::json, owner = null, ready_at = null, busy = false,
      wake_at = null, epoch = r.epoch + 1, closed_at = clock_timestamp(),
      expires_at = clock_timestamp() + make_interval(secs => coalesce(family.retention_seconds, r.retention_seconds, (
        -- By the run's end, as in flush_runs.
        select coalesce(
          case family.status when 'completed' then d.completed_seconds else d.failed_seconds end,
          case family.status when 'completed' then s.completed_seconds else s.failed_seconds end
        )
        from store_settings s
        left join workflow_definitions d on d.task_queue = r.task_queue and d.workflow_name = r.workflow_name
        where s.one
      )))
    from before, family
    where r.run_id = any (v_family) and r.run_id = before.run_id and family.id = r.run_id
    returning r.run_id, before.owner, before.watchers, r.parent_run_id, r.parent_position, r.hook, r.workflow_name, r.failure
  )
  select json_agg(ended) into v_ended from ended;
  if v_ended is null then return; end if;

  v_family := array(select e.run_id from json_to_recordset(v_ended) as e (run_id uuid));
  delete from inbox i where i.run_id = any (v_family);
  delete from activities a where a.run_id = any (v_family);
  delete from waits w where w.run_id = any (v_family);

  return query
  with told as (
    select d.to_run, d.owner, d.task_queue
    from deliver_messages((
      select coalesce(json_agg(json_build_object(
        'to', e.parent_run_id, 'from', e.run_id, 'position', e.parent_position,
        'kind', case when e.hook then 17 else 13 end, 'name', e.workflow_name, 'payload', e.failure
      )), '[]'::json)
      from json_to_recordset(v_ended) as e (
        run_id uuid, parent_run_id uuid, parent_position integer, hook boolean, workflow_name text, failure json
      )
      where e.parent_run_id is not null and e.parent_position is not null
    )) d
    where d.open
  )
  select e.run_id, e.owner, e.watchers, told.to_run, told.owner, told.task_queue
  from json_to_recordset(v_ended) as e (run_id uuid, owner uuid, watchers text[], parent_run_id uuid)
  left join told on told.to_run = e.parent_run_id;
end;
$$;
