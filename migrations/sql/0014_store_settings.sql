-- What a Store says of all its runs: one row, that closing statements look at (flush_runs, end_runs). Written by the operator;
-- a store that nobody looks after has the defaults.

create table store_settings (
  -- How long a run stays after it has completed, and after any other end, where neither its start nor its workflow's
  -- definition says it.
  completed_seconds integer not null default 604800,
  failed_seconds integer not null default 604800,
  one boolean not null default true,
  constraint store_settings_pkey primary key (one),
  constraint store_settings_is_one check (one)
);
insert into store_settings default values;

-- Says them. `p_fence` is the token of the leader that writes: one that another has followed is refused (MF010). Returns
-- whether anything changed. Runs that have ended keep the time that they got.
create function set_store_settings(p_completed_seconds integer, p_failed_seconds integer, p_fence bigint)
returns boolean
language plpgsql
set search_path from current
as $$
begin
  perform assert_leader('settings', p_fence);
  update store_settings s
  set completed_seconds = p_completed_seconds, failed_seconds = p_failed_seconds
  where s.one and (s.completed_seconds, s.failed_seconds) is distinct from (p_completed_seconds, p_failed_seconds);
  return found;
end;
$$;
