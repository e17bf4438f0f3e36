-- Definitions of workflows: what manifests say of a type of run, for those who start runs and for those who list them. Written
-- by the operator alone, whole and at once; a schema without any is as good as one with them.

create table workflow_definitions (
  defined_at timestamptz not null default clock_timestamp(),
  -- New starts are refused.
  suspended boolean not null default false,
  task_queue text collate "C" not null,
  workflow_name text collate "C" not null,
  -- The manifest: namespace/name of the Workflow.
  resource text not null,
  -- {input, output, timeouts: {executionMs, runMs}, retry: {maximumAttempts, backoffCoefficient, initialIntervalMs,
  -- maximumIntervalMs}, retention: {completedMs, failedMs}, searchAttributes, defaultArgs}; what a manifest leaves out is left out.
  definition json not null,
  -- Its retention, for those who close runs: null where it leaves that to the store's settings.
  completed_seconds integer generated always as (
    ceil((definition #>> '{retention,completedMs}')::numeric / 1000)::integer
  ) stored,
  failed_seconds integer generated always as (ceil((definition #>> '{retention,failedMs}')::numeric / 1000)::integer) stored,
  constraint workflow_definitions_pkey primary key (task_queue, workflow_name)
);

-- Who wrote last: one row, made here, so that writers wait for each other.
create table workflow_definition_fence (
  fence bigint not null,
  one boolean not null default true,
  constraint workflow_definition_fence_pkey primary key (one),
  constraint workflow_definition_fence_is_one check (one)
);
insert into workflow_definition_fence (fence) values (0);

-- Says all definitions of the store; those that are not said are removed. `p_definitions`: json array of {taskQueue, workflowName,
-- resource, suspended, definition}. `p_fence` is the token of who writes: after a newer one an older is refused with MF004,
-- whose detail is the newer. Returns how many rows changed.
create function set_workflow_definitions(p_definitions json, p_fence bigint)
returns integer
language plpgsql
set search_path from current
as $$
declare
  v_fence bigint;
  v_removed integer;
  v_written integer;
begin
  select f.fence into v_fence from workflow_definition_fence f for no key update;
  if v_fence > p_fence then
    raise exception using errcode = 'MF004', detail = v_fence::text,
      message = format('the definitions of workflows were written with fencing token %s, after %s', v_fence, p_fence);
  end if;
  if v_fence < p_fence then
    update workflow_definition_fence set fence = p_fence;
  end if;

  delete from workflow_definitions d
  where not exists (
    select
    from json_to_recordset(p_definitions) as s ("taskQueue" text, "workflowName" text)
    where s."taskQueue" = d.task_queue and s."workflowName" = d.workflow_name
  );
  get diagnostics v_removed = row_count;
  insert into workflow_definitions as d (task_queue, workflow_name, resource, suspended, definition)
  select s."taskQueue", s."workflowName", s.resource, s.suspended, s.definition
  from json_to_recordset(p_definitions) as s (
    "taskQueue" text, "workflowName" text, resource text, suspended boolean, definition json
  )
  on conflict (task_queue, workflow_name) do update
  set resource = excluded.resource, suspended = excluded.suspended, definition = excluded.definition,
    defined_at = clock_timestamp()
  where (d.resource, d.suspended, d.definition::text)
    is distinct from (excluded.resource, excluded.suspended, excluded.definition::text);
  get diagnostics v_written = row_count;
  return v_removed + v_written;
end;
$$;

-- The workflows that living workers announce, by queue and build; no build id is null.
create function announced_workflows()
returns table (task_queue text, build_id text, workflows text[])
language sql
stable
set search_path from current
as $$
  select q ->> 'taskQueue', w.build_id, coalesce(array_agg(distinct item.name) filter (where item.name is not null), '{}')
  from workers w
  cross join lateral json_array_elements(w.serves -> 'queues') q
  left join lateral json_array_elements_text(q -> 'workflows') as item (name) on true
  where w.dead_at is null and w.beat_at > clock_timestamp() - w.dead_after_ms * interval '1 millisecond'
  group by 1, 2
$$;

-- Runs by queue and workflow: open ones, and those that ended within p_seconds. Reads every run: for a look now and then.
create function count_runs(p_seconds integer)
returns table (task_queue text, workflow_name text, running bigint, completed bigint, failed bigint)
language sql
stable
set search_path from current
as $$
  select r.task_queue, r.workflow_name,
    count(*) filter (where r.closed_at is null),
    -- A run that went on as its successor has not ended.
    count(*) filter (where r.status = 'completed' and r.closed_at is not null),
    count(*) filter (where r.closed_at is not null and r.status not in ('completed', 'continued_as_new'))
  from runs r
  where not r.hook and (r.closed_at is null or r.closed_at > clock_timestamp() - p_seconds * interval '1 second')
  group by 1, 2
$$;
