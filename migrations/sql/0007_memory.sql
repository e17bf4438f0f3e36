-- What readers outside workflows need of a run's memory: the type by which an entity is found, its search data, and
-- which snapshots lag behind their log.

alter table entities
  -- The type that the start gave (its option `entity`); null for none.
  add column entity_type text,
  -- True while the log goes on behind the snapshot. Changed at the first change after a snapshot and at the next one
  -- only, so that the changes in between stay HOT.
  add column stale boolean not null default false,
  -- Search data as of `snapshot_no`: a flat object of texts.
  add column search jsonb not null default '{}';

-- Serves Entity.find: the entities of a type, newest first (ids are made in the order of time).
create index entities_by_type on entities (entity_type, entity_id) where entity_type is not null;
-- Serves Entity.find: those whose snapshot can't answer.
create index entities_stale on entities (entity_type, entity_id) where stale and entity_type is not null;

-- Brings snapshots up to date: {run, entity, no, document, search} each, from a flush (p_live: only those of these runs) or
-- from a reader that has folded them, which names no run.
create function refresh_snapshots(p_snapshots json, p_live uuid[] default null)
returns void
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
begin
  perform 1
  from entities e
  where e.entity_id = any (array(
    select c.entity
    from json_to_recordset(p_snapshots) as c (run uuid, entity uuid)
    where p_live is null or c.run = any (p_live)
  ))
  order by e.entity_id
  for no key update;
  update entities e
  -- A document may be JSON null, which a record reads as SQL's.
  set snapshot = coalesce(c.document, 'null'), search = c.search, snapshot_no = c.no, stale = e.last_no > c.no
  from json_to_recordset(p_snapshots) as c (run uuid, entity uuid, no bigint, document jsonb, search jsonb)
  where e.entity_id = c.entity and e.snapshot_no < c.no and (p_live is null or c.run = any (p_live));
end;
$$;

-- Gives runs that have just been inserted their memory. `p_seeds` is a json array of {run, by, type, search}; with p_live,
-- only members whose `by` is among it count. Search data becomes the first event of its run and the next change of its
-- entity (that of its root, for a hook), which must be locked after all runs. A start that was refused has no run, and
-- one that is told twice has its event.
create function seed_memories(p_seeds json, p_live uuid[] default null)
returns void
language plpgsql
set search_path from current
set enable_seqscan = off
set enable_mergejoin = off
set enable_hashjoin = off
as $$
declare
  v_seeded uuid[];
begin
  insert into entities (entity_id, entity_type)
  select r.entity_id, min(s.type)
  from json_to_recordset(p_seeds) as s (run uuid, by uuid, type text, search json)
  cross join lateral (select k.entity_id from runs k where k.run_id = s.run limit 1) r
  where (p_live is null or s.by = any (p_live)) and (s.type is not null or s.search is not null)
  group by r.entity_id
  order by r.entity_id
  on conflict do nothing;

  perform 1
  from entities e
  where e.entity_id = any (array(
    select r.entity_id
    from json_to_recordset(p_seeds) as s (run uuid, by uuid, search json)
    cross join lateral (select k.entity_id from runs k where k.run_id = s.run limit 1) r
    where s.search is not null and (p_live is null or s.by = any (p_live))
  ))
  order by e.entity_id
  for no key update;

  with wanted as (
    select s.run, s.search, r.entity_id, r.started_at,
      row_number() over (partition by r.entity_id order by s.place) as step
    from rows from (json_to_recordset(p_seeds) as (run uuid, by uuid, search json))
      with ordinality as s (run, by, search, place)
    cross join lateral (select k.entity_id, k.started_at from runs k where k.run_id = s.run limit 1) r
    where s.search is not null and (p_live is null or s.by = any (p_live))
      -- Not by "exists", which may be answered by reading every event.
      and (select e.event_no from events e where e.run_id = s.run limit 1) is null
  ), noted as (
    insert into events (run_id, event_no, kind, at, name, payload, entity_id, entity_no)
    select w.run, 1, 20, w.started_at, 'search.set', json_build_object('op', 'search.set', 'fields', w.search),
      w.entity_id, e.last_no + w.step
    from wanted w
    cross join lateral (select k.last_no from entities k where k.entity_id = w.entity_id limit 1) e
    returning events.run_id, events.entity_id, events.entity_no
  ), grown as (
    update entities e set last_no = last.entity_no, changed_at = clock_timestamp(), stale = true
    from (select noted.entity_id, max(noted.entity_no) as entity_no from noted group by noted.entity_id) last
    where e.entity_id = last.entity_id
  )
  select array_agg(noted.run_id) into v_seeded from noted;

  -- A run with events is not a fresh one: who claims it reads them.
  update runs r set event_count = 1 where r.run_id = any (v_seeded);
end;
$$;
