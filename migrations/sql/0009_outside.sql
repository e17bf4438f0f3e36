-- What clients do besides: hooks from outside, reserved workflow ids, and searches in the words of SQL.

-- Starts hooks of a client inside open runs. `p_hooks` is a json array as of hook_into, each with `search`, which the run has
-- before the hook begins. The reply says for each, in order: {stands, run, status, owner, queue} of the target.
create function start_hooks(p_client uuid, p_number bigint, p_hooks json)
returns json
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
declare
  v_reply json;
begin
  insert into flushes (writer, number) values (p_client, p_number);
  select json_agg(json_build_object(
    'stands', h.stands, 'run', h.to_run, 'status', h.status, 'owner', h.owner, 'queue', h.task_queue
  ) order by m.place)
  into v_reply
  from hook_into(p_hooks) h
  join rows from (json_to_recordset(p_hooks) as (run uuid)) with ordinality as m (run, place) on m.run = h.run_id;
  -- A hook that was refused has no run and gets no seed.
  perform seed_memories((
    select coalesce(json_agg(json_build_object('run', m.run, 'search', m.search)), '[]')
    from json_to_recordset(p_hooks) as m (run uuid, search json)
    where m.search is not null
  ));
  update flushes set reply = v_reply where writer = p_client and number = p_number;
  return v_reply;
end;
$$;

-- Reserves workflow ids: runs that no worker claims before resume_runs makes them ready. `p_runs` is a json array as of
-- insert_runs, each with pending_seconds: a run that is not resumed until then gives its id up and goes with the next
-- prune. The reply is that of start_runs.
create function reserve_runs(p_client uuid, p_number bigint, p_runs json)
returns json
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
declare
  v_stands uuid[];
  v_reply json;
begin
  insert into flushes (writer, number) values (p_client, p_number);
  select coalesce(array_agg(i.run_id) filter (where i.stands), '{}'),
    json_agg(json_build_object('run', i.run_id, 'holder', i.holder)) filter (where not i.stands)
  into v_stands, v_reply
  from insert_runs(p_runs) i;

  update runs r
  set ready_at = 'infinity', expires_at = clock_timestamp() + make_interval(secs => m.pending_seconds),
    problem = json_build_object('name', 'PendingError', 'code', 'PENDING', 'message', format(
      'the run is reserved for %s seconds and waits for handle.resume()', m.pending_seconds
    ))
  from json_to_recordset(p_runs) as m (run uuid, pending_seconds double precision)
  where r.run_id = m.run and r.run_id = any (v_stands) and r.epoch = 0;
  update flushes set reply = v_reply where writer = p_client and number = p_number and v_reply is not null;
  return v_reply;
end;
$$;

-- Runs as HotMesh's users know them, one row each; hooks are part of their run.
create view jobs as
select r.run_id as id, r.workflow_id as key, e.entity_type as entity, r.task_queue, r.workflow_name, r.status as state,
  case r.status when 'running' then 1 when 'canceled' then -1000000000 when 'terminated' then -1000000000 else 0 end as status,
  r.status = 'running' as is_live, coalesce(e.snapshot, '{}') as context, coalesce(e.stale, false) as is_stale,
  r.started_at as created_at, greatest(r.started_at, r.closed_at, e.changed_at) as updated_at, r.expires_at as expired_at
from runs r
left join entities e on e.entity_id = r.run_id
where not r.hook;

-- Search data of runs, one row for each field; HotMesh's names of fields begin with an underscore.
create view jobs_attributes as
select e.entity_id as job_id, '_' || f.key as field, f.value, 'udata'::text as type
from entities e
cross join lateral jsonb_each_text(e.search) f;

-- The role that searches run as: it has no login and sees nothing but the two views above. Roles belong to the whole
-- server, so its name tells the database and the schema apart.
create function search_role()
returns text
language sql
stable
set search_path from current
as $$
  select 'memflow_search_' || left(md5(current_database() || chr(31) || current_schema()), 16)
$$;

-- Executes a prepared statement of this session, whose parameters are given as texts, and returns its rows as JSON.
-- Refuses to run as anyone but the role of searches, whose the function is once prepare_search has given it away: what
-- the statement calls can't become another role then, since Postgres lets no role change inside such a function.
create function run_search(p_name text, p_parameters text[], p_rows_max integer, p_bytes_max bigint)
returns setof json
language plpgsql
set search_path from current
as $$
declare
  v_row record;
  v_json json;
  v_rows integer := 0;
  v_bytes bigint := 0;
begin
  if current_user <> search_role() then
    raise exception using errcode = 'MF002', message = 'searches are not prepared in this schema';
  end if;
  -- The texts are quoted by Postgres; their types are those that it has found for the parameters.
  for v_row in execute format('execute %I%s', p_name, (
    select '(' || string_agg(quote_nullable(value), ', ' order by place) || ')'
    from unnest(p_parameters) with ordinality as parameter (value, place)
  )) loop
    v_json := row_to_json(v_row);
    v_rows := v_rows + 1;
    v_bytes := v_bytes + octet_length(v_json::text);
    if v_rows > p_rows_max or v_bytes > p_bytes_max then
      raise exception using errcode = 'MF003',
        message = format('it gives more than %s rows or %s bytes', p_rows_max, p_bytes_max);
    end if;
    return next v_json;
  end loop;
end;
$$;

-- Makes the role of searches and gives run_search to it. Once per schema, by a role that owns the schema's objects (or is
-- a superuser) and may create roles; may be repeated.
create function prepare_search()
returns void
language plpgsql
set search_path from current
as $$
declare
  v_role text := search_role();
  v_schema text := current_schema();
  v_superuser boolean;
begin
  perform pg_advisory_xact_lock(hashtextextended(v_schema || chr(31) || 'prepare_search', 7349));
  if exists (
    select 1 from pg_proc p
    where p.oid = 'run_search'::regproc and p.prosecdef and pg_get_userbyid(p.proowner) = v_role
  ) then
    return;
  end if;
  if not exists (select 1 from pg_roles r where r.rolname = v_role) then
    execute format('create role %I nologin', v_role);
    execute format(
      'comment on role %I is %L', v_role,
      format('MemFlow''s searches in schema "%s" of database "%s"', v_schema, current_database())
    );
  end if;
  execute format('grant select on %I.jobs, %I.jobs_attributes to %I', v_schema, v_schema, v_role);
  -- Who gets a function must be able to create one, and who gives it away must be a member: both for this moment.
  execute format('grant usage, create on schema %I to %I', v_schema, v_role);
  select r.rolsuper into v_superuser from pg_roles r where r.rolname = current_user;
  if not v_superuser then execute format('grant %I to current_user', v_role); end if;
  execute format('alter function %I.run_search(text, text[], integer, bigint) security definer', v_schema);
  execute format('alter function %I.run_search(text, text[], integer, bigint) owner to %I', v_schema, v_role);
  if not v_superuser then execute format('revoke %I from current_user', v_role); end if;
  execute format('revoke create on schema %I from %I', v_schema, v_role);
end;
$$;
