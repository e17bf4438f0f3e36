-- Schedules: rows that start runs at given times. Any worker of the store fires what is due, and so may the operator.
--
-- The times are computed in Node, never here: SQL only knows when to look at a row next. Whoever looks holds the row's lock
-- from its claim to the end of the transaction in which the runs are started and the row is advanced, so that a time is
-- fired exactly once whoever dies where. Order of locks: schedules, runs, workflow_ids.

create table schedules (
  schedule_id text collate "C" not null,
  -- When it must be looked at next; null for never by itself.
  next_at timestamptz,
  created_at timestamptz not null default clock_timestamp(),
  -- Grows with each change that readers may want to see.
  revision bigint not null default 0,
  -- Who looks after the row, and the resource that it comes from: both null when a client made it.
  keeper text,
  origin text,
  -- True: the row stays when its resource goes.
  orphaned boolean not null default false,
  -- What it is told, and what it has done (engine/src/schedules/core).
  definition json not null,
  state json not null,
  -- Why the last look at it failed; it is tried again.
  fault text,
  constraint schedules_pkey primary key (schedule_id)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- Serves claim_schedules and the workers' look at what is due next.
create index schedules_due on schedules (next_at) where next_at is not null;
-- Serves forget_schedules: the rows of one keeper.
create index schedules_kept on schedules (keeper) where keeper is not null;

-- The runs of each schedule that were open when it was looked at last.
create table schedule_runs (
  run_id uuid not null,
  schedule_id text collate "C" not null,
  constraint schedule_runs_pkey primary key (run_id)
) with (autovacuum_vacuum_scale_factor = 0.05);

-- Serves claim_schedules and the count of open runs.
create index schedule_runs_by_schedule on schedule_runs (schedule_id);

-- The newest leader that has written here: what an older one sends late is refused.
create table leaders (
  role text collate "C" not null,
  token bigint not null,
  constraint leaders_pkey primary key (role)
);

-- Refuses a leader that another one has followed (MF010), and keeps the next one waiting until this transaction ends.
create function assert_leader(p_role text, p_token bigint)
returns void
language plpgsql
set search_path from current
as $$
declare
  v_token bigint;
begin
  if not exists (select 1 from leaders l where l.role = p_role and l.token >= p_token) then
    insert into leaders as l (role, token) values (p_role, p_token)
    on conflict (role) do update set token = excluded.token where l.token < excluded.token;
  end if;
  select l.token into v_token from leaders l where l.role = p_role for share;
  if v_token > p_token then
    raise exception using errcode = 'MF010',
      message = format('leader %s of "%s" was followed by leader %s', p_token, p_role, v_token);
  end if;
end;
$$;

-- Claims schedules that are due, up to p_limit, for the transaction in which this is called; those that another holds are
-- left to it. With p_runs: the schedules of these runs instead, due or not. p_now stands for the clock in tests.
-- `open` are {run, workflowId} of its runs that are open, `ended` {run, status} of those that have ended since the last
-- look (status is null where the run is gone).
create function claim_schedules(p_now timestamptz, p_limit integer, p_runs uuid[])
returns table (schedule_id text, now_ms double precision, definition text, state text, open json, ended json)
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
declare
  v_now timestamptz := coalesce(p_now, clock_timestamp());
  v_held text[];
begin
  -- Locked by statements of their own: only the next one sees what was written before the lock.
  if p_runs is null then
    select array_agg(due.schedule_id) into v_held
    from (
      select s.schedule_id
      from schedules s
      where s.next_at <= v_now
      order by s.next_at
      limit p_limit
      for no key update skip locked
    ) due;
  else
    -- Who holds one of these has looked before the run ended: this look comes after.
    select array_agg(told.schedule_id) into v_held
    from (
      select s.schedule_id
      from schedules s
      where s.schedule_id = any (array(select r.schedule_id from schedule_runs r where r.run_id = any (p_runs)))
      order by s.schedule_id
      limit p_limit
      for no key update
    ) told;
  end if;

  return query
  select s.schedule_id, extract(epoch from v_now)::double precision * 1000, s.definition::text, s.state::text,
    (
      select coalesce(json_agg(json_build_object('run', standing.run_id, 'workflowId', standing.workflow_id)), '[]')
      from (
        select r.run_id, r.workflow_id
        from schedule_runs k
        join runs r on r.run_id = k.run_id
        where k.schedule_id = s.schedule_id and r.status = 'running'
        limit 1000
      ) standing
    ),
    (
      select coalesce(json_agg(json_build_object('run', gone.run_id, 'status', gone.status)), '[]')
      from (
        select k.run_id, r.status
        from schedule_runs k
        left join runs r on r.run_id = k.run_id
        where k.schedule_id = s.schedule_id and r.status is distinct from 'running'
        limit 1000
      ) gone
    )
  from schedules s
  where s.schedule_id = any (v_held)
  order by s.next_at;
end;
$$;

-- Starts and ends runs of claimed schedules. `p_starts` as of insert_runs, each with `schedule`; `p_ends` as of end_runs.
-- The reply is {refused: [run], ended: [as of end_runs]}.
create function start_scheduled(p_starts json, p_ends json)
returns json
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = on
as $$
declare
  v_ended json;
  v_stands uuid[];
begin
  select json_agg(e) into v_ended from end_runs(p_ends) e;
  v_stands := array(select i.run_id from insert_runs(p_starts) i where i.stands);
  insert into schedule_runs (run_id, schedule_id)
  select m.run, m.schedule from json_to_recordset(p_starts) as m (run uuid, schedule text) where m.run = any (v_stands);
  return json_build_object(
    'refused', (
      select coalesce(json_agg(m.run), '[]') from json_to_recordset(p_starts) as m (run uuid)
      where m.run <> all (v_stands)
    ),
    'ended', coalesce(v_ended, '[]')
  );
end;
$$;

-- Advances claimed schedules. `p_changes`: json array of {schedule, state, next_ms, ended}: `ended` are its runs that need
-- no further look.
create function advance_schedules(p_changes json)
returns void
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
begin
  delete from schedule_runs k
  using json_to_recordset(p_changes) as m (ended json), json_array_elements_text(m.ended) as gone (run)
  where k.run_id = gone.run::uuid;
  update schedules s
  set state = m.state, next_at = to_timestamp(m.next_ms / 1000), fault = null,
    revision = s.revision + (m.state::text <> s.state::text or s.fault is not null)::integer
  from json_to_recordset(p_changes) as m (schedule text, state json, next_ms double precision)
  where s.schedule_id = m.schedule;
end;
$$;

-- Puts off a schedule whose look failed, and says why.
create function put_off_schedule(p_schedule text, p_now_ms double precision, p_fault text)
returns void
language sql
set search_path from current
as $$
  update schedules s
  set next_at = to_timestamp(p_now_ms / 1000) + interval '1 minute', fault = p_fault,
    revision = s.revision + (s.fault is distinct from p_fault)::integer
  where s.schedule_id = p_schedule
$$;

-- Removes schedules that p_keeper looks after and whose resource is none of p_origins any more, but for those that stay
-- without it; returns the names of those that went.
create function forget_schedules(p_keeper text, p_origins text[], p_token bigint)
returns setof text
language plpgsql
set search_path from current
set enable_seqscan = off
as $$
begin
  perform assert_leader('schedules', p_token);
  return query
  with gone as (
    delete from schedules s
    where s.keeper = p_keeper and s.origin <> all (p_origins) and not s.orphaned
    returning s.schedule_id
  ), runs_gone as (
    delete from schedule_runs k using gone where k.schedule_id = gone.schedule_id
  )
  select gone.schedule_id from gone;
end;
$$;
