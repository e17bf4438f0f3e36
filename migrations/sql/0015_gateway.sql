-- Keys by which the same request, sent again, has the same outcome.

-- The requests that were made with a key. Written in the transaction of what they asked for: there is no key without its run or
-- signal, and none of these twice for one key while it is kept.
create table idempotency_keys (
  expires_at timestamptz not null,
  -- The run that was started; of a signal an id of its own.
  request_id uuid not null,
  -- What it was for, with whose key it is: `start:...`, `signal:<run>:...`.
  key text collate "C" not null,
  -- Hash of the request: another one under the key is refused.
  fingerprint text not null,
  -- Of a start: the workflow id that its run got.
  workflow_id text,
  constraint idempotency_keys_pkey primary key (key)
);

-- Serves prune_idempotency_keys.
create index idempotency_keys_expiring on idempotency_keys (expires_at);

-- Takes keys, in their order: before any run. Returns the requests that have theirs now; a key that is kept stays with the request
-- that took it first. `p_expires_ms` are milliseconds since 1970.
create function take_idempotency_keys(
  p_request uuid[], p_key text[], p_fingerprint text[], p_workflow_id text[], p_expires_ms bigint[]
)
returns uuid[]
language sql
set search_path from current
set enable_seqscan = off
as $$
  with taken as (
    insert into idempotency_keys as k (key, request_id, fingerprint, workflow_id, expires_at)
    select u.key, u.request, u.fingerprint, u.workflow_id, to_timestamp(u.expires_ms / 1000.0)
    from unnest(p_request, p_key, p_fingerprint, p_workflow_id, p_expires_ms)
      as u (request, key, fingerprint, workflow_id, expires_ms)
    order by u.key
    on conflict (key) do update
    set request_id = excluded.request_id, fingerprint = excluded.fingerprint, workflow_id = excluded.workflow_id,
      expires_at = excluded.expires_at
    -- The same request told twice has its key.
    where k.expires_at < clock_timestamp() or k.request_id = excluded.request_id
    returning k.request_id
  )
  select coalesce(array_agg(taken.request_id), '{}') from taken
$$;

-- Removes keys whose time is over, some at each call: whoever takes keys makes room.
create function prune_idempotency_keys()
returns void
language sql
set search_path from current
set enable_seqscan = off
as $$
  delete from idempotency_keys k
  where k.key = any (array(
    select o.key from idempotency_keys o
    where o.expires_at < clock_timestamp()
    order by o.expires_at
    limit 200
    for update skip locked
  ))
$$;

-- As start_runs, for starts with keys. The reply is null when all of them began, else {refused: as of start_runs, known: [{run,
-- request, workflow_id, fingerprint, expires_ms}]}: `known` are those whose key had been taken, with what took it; `request` is
-- null when that has just gone, and the start is to be sent again.
create function start_keyed_runs(
  p_client uuid, p_number bigint, p_run uuid[], p_workflow_id text[], p_workflow_name text[], p_task_queue text[],
  p_watcher text, p_delay_ms bigint[], p_retention_seconds integer[], p_input json[], p_options json[],
  p_key text[], p_fingerprint text[], p_expires_ms bigint[]
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
  v_fresh uuid[] := take_idempotency_keys(p_run, p_key, p_fingerprint, p_workflow_id, p_expires_ms);
  v_refused json;
  v_reply json;
begin
  if cardinality(v_fresh) = cardinality(p_run) then
    v_refused := start_runs(
      p_client, p_number, p_run, p_workflow_id, p_workflow_name, p_task_queue, p_watcher, p_delay_ms, p_retention_seconds,
      p_input, p_options
    );
  else
    select start_runs(
      p_client, p_number, coalesce(array_agg(u.run), '{}'), array_agg(u.workflow_id), array_agg(u.workflow_name),
      array_agg(u.task_queue), p_watcher, array_agg(u.delay_ms), array_agg(u.retention_seconds), array_agg(u.input),
      array_agg(u.options)
    )
    into v_refused
    from unnest(p_run, p_workflow_id, p_workflow_name, p_task_queue, p_delay_ms, p_retention_seconds, p_input, p_options)
      as u (run, workflow_id, workflow_name, task_queue, delay_ms, retention_seconds, input, options)
    where u.run = any (v_fresh);
  end if;

  -- What was refused may be asked for again, under the same key.
  if v_refused is not null then
    delete from idempotency_keys k
    where k.key = any (array(
      select u.key
      from unnest(p_run, p_key) as u (run, key)
      join json_to_recordset(v_refused) as r (run uuid) on r.run = u.run
    ));
  end if;
  perform prune_idempotency_keys();

  if v_refused is not null or cardinality(v_fresh) < cardinality(p_run) then
    select json_build_object('refused', coalesce(v_refused, '[]'), 'known', coalesce(json_agg(json_build_object(
      'run', u.run, 'request', k.request_id, 'workflow_id', k.workflow_id, 'fingerprint', k.fingerprint,
      'expires_ms', floor(extract(epoch from k.expires_at) * 1000)
    )), '[]'))
    into v_reply
    from unnest(p_run, p_key) as u (run, key)
    left join idempotency_keys k on k.key = u.key
    where u.run <> all (v_fresh);
    update flushes set reply = v_reply where writer = p_client and number = p_number;
  end if;
  return v_reply;
end;
$$;

-- As send_signals, for signals with keys: members of `p_signals` have {request, key, fingerprint, expires_ms} besides. The reply
-- says for each, in order, what that of send_signals says, or {known: true, request, fingerprint, expires_ms}.
create function send_keyed_signals(p_client uuid, p_number bigint, p_signals json)
returns json
language plpgsql
set search_path from current
as $$
declare
  v_fresh uuid[];
  v_sent json;
  v_reply json;
begin
  select take_idempotency_keys(
    array_agg(s.request), array_agg(s.key), array_agg(s.fingerprint), array_agg(null::text), array_agg(s.expires_ms)
  )
  into v_fresh
  from json_to_recordset(p_signals) as s (request uuid, key text, fingerprint text, expires_ms bigint);

  select send_signals(p_client, p_number, coalesce(json_agg(s.item order by s.place), '[]'))
  into v_sent
  from json_array_elements(p_signals) with ordinality as s (item, place)
  where (s.item ->> 'request')::uuid = any (v_fresh);

  -- What a closed run refuses may be asked for again, under the same key.
  delete from idempotency_keys k
  where k.request_id = any (array(
    select a.request
    from (
      select (s.item ->> 'request')::uuid as request, row_number() over (order by s.place) as turn
      from json_array_elements(p_signals) with ordinality as s (item, place)
      where (s.item ->> 'request')::uuid = any (v_fresh)
    ) a
    join json_array_elements(v_sent) with ordinality as sent (item, turn) on sent.turn = a.turn
    where not (sent.item ->> 'open')::boolean
  )) and k.key = any (array(select s.key from json_to_recordset(p_signals) as s (key text)));
  perform prune_idempotency_keys();

  select json_agg(
    coalesce(sent.item, json_build_object(
      'known', true, 'request', k.request_id, 'fingerprint', k.fingerprint,
      'expires_ms', floor(extract(epoch from k.expires_at) * 1000)
    ))
    order by a.place
  )
  into v_reply
  from (
    select s.place, s.item ->> 'key' as key, (s.item ->> 'request')::uuid = any (v_fresh) as fresh,
      sum(((s.item ->> 'request')::uuid = any (v_fresh))::integer) over (order by s.place) as turn
    from json_array_elements(p_signals) with ordinality as s (item, place)
  ) a
  left join json_array_elements(v_sent) with ordinality as sent (item, turn) on a.fresh and sent.turn = a.turn
  left join idempotency_keys k on not a.fresh and k.key = a.key;
  update flushes set reply = v_reply where writer = p_client and number = p_number;
  return v_reply;
end;
$$;
