/**
 * The tables of the raw loop: what the engine keeps of a run and of a step, without what an engine needs besides.
 */

/** Makes them. */
export const RAW_TABLES = `
  create table runs (
    run_id uuid primary key, started_at timestamptz not null default clock_timestamp(), closed_at timestamptz,
    status text not null default 'running', task_queue text not null, workflow_name text not null,
    workflow_id text not null, input json, result json
  ) with (fillfactor = 70);
  create table events (
    run_id uuid not null, at timestamptz not null, event_no integer not null, position integer,
    kind smallint not null, name text, payload json, primary key (run_id, event_no)
  )`;
