-- What runs do to others that they name by workflow id, and the events of calls whose effect is outside the database.

insert into event_kinds (kind, word) values
  (30, 'emitted'), (31, 'traced'), (32, 'side_effect_marked'), (33, 'interrupt_sent'), (34, 'interrupt_refused'),
  (35, 'hook_attached');

-- Starts hooks inside other runs. `p_hooks` is a json array as of insert_runs, each member with `into`, the workflow id of
-- the run whose memory it shares; p_live as there. The target's row is locked against its end, before any other lock of
-- this function; a closed or missing target refuses. Its inbox gets a message, so that its end cancels the hook. Returns
-- one row per hook: whether it stands, and of the target its run, its status, and its owner, or its queue when it has none.
create function hook_into(p_hooks json, p_live uuid[] default null)
returns table (run_id uuid, stands boolean, to_run uuid, status text, owner uuid, task_queue text)
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = on
as $$
declare
  v_put json;
begin
  perform 1
  from runs r
  where r.run_id = any (array(
    select w.run_id
    from json_to_recordset(p_hooks) as m ("into" text)
    cross join lateral (select k.run_id from workflow_ids k where k.workflow_id = m."into" limit 1) w
  ))
  order by r.run_id
  for no key update;

  select json_agg(json_build_object(
    'run', m.run, 'by', m.by, 'workflow_id', m.workflow_id, 'workflow_name', m.workflow_name, 'task_queue', m.task_queue,
    'parent', r.run_id, 'hook', true, 'entity', r.entity_id, 'retention_seconds', m.retention_seconds,
    'priority', m.priority, 'dialect', m.dialect, 'delay_ms', m.delay_ms, 'input', m.input, 'options', m.options
  ))
  into v_put
  from json_to_recordset(p_hooks) as m (
    run uuid, by uuid, retention_seconds integer, priority smallint, delay_ms double precision, workflow_id text,
    workflow_name text, task_queue text, dialect text, "into" text, input json, options json
  )
  cross join lateral (
    select k.run_id, k.entity_id from workflow_ids w join runs k on k.run_id = w.run_id
    where w.workflow_id = m."into" and k.status = 'running'
    limit 1
  ) r
  where p_live is null or m.by = any (p_live);

  if v_put is not null then
    perform 1 from insert_runs(v_put);
  end if;

  return query
  with told as (
    select d.to_run, d.owner, d.task_queue
    from deliver_messages((
      select coalesce(json_agg(json_build_object(
        'to', p.parent, 'from', p.by, 'kind', 35, 'name', p.workflow_name,
        'payload', json_build_object('runId', p.run, 'workflowId', p.workflow_id)
      )), '[]')
      from json_to_recordset(v_put) as p (parent uuid, by uuid, run uuid, workflow_id text, workflow_name text)
    )) d
  )
  select m.run, p.parent is not null, r.run_id, r.status, told.owner, told.task_queue
  from json_to_recordset(p_hooks) as m (run uuid, by uuid, "into" text)
  left join lateral (
    select k.run_id, k.status from workflow_ids w join runs k on k.run_id = w.run_id where w.workflow_id = m."into" limit 1
  ) r on true
  left join json_to_recordset(v_put) as p (run uuid, parent uuid) on p.run = m.run
  left join told on told.to_run = p.parent
  where p_live is null or m.by = any (p_live);
end;
$$;
