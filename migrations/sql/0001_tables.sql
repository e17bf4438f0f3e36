-- The tables of one Store: everything a run touches lives in this schema, and no statement leaves it.
--
-- Words: a run is one execution of a workflow (or of a hook); its history is its rows in `events`; an owner is a
-- worker incarnation (a row of `workers`) that keeps the run in memory; `epoch` grows with each claim and is the fence.
-- Order of locks everywhere: runs, workflow_ids, entities, signal ids; each in ascending key order.

-- One row per run. Narrow and updated in place (HOT): a step changes `event_count`, `busy` and `wake_at` only, and no
-- index holds one of these. No check constraints: Postgres parses them anew for each statement that writes (60 us, a
-- quarter of a small flush), and only the functions beside this file write here.
create table runs (
  run_id uuid not null,
  entity_id uuid not null,
  parent_run_id uuid,
  owner uuid,
  started_at timestamptz not null default clock_timestamp(),
  -- When an unowned open run may be claimed: null while owned or closed, infinity while it waits for a message alone.
  ready_at timestamptz,
  closed_at timestamptz,
  expires_at timestamptz,
  parent_position integer,
  -- How long it stays once it is closed, as its start said; null: as its workflow's definition says, or the store's settings.
  retention_seconds integer,
  priority smallint not null default 3,
  hook boolean not null default false,
  -- From here: what a step changes, together, so that the log of an update is short.
  epoch integer not null default 0,
  event_count integer not null default 0,
  busy_takeovers smallint not null default 0,
  -- True while its owner has local work outstanding for it.
  busy boolean not null default false,
  wake_at timestamptz,
  status text not null default 'running',
  task_queue text collate "C" not null,
  workflow_name text collate "C" not null,
  workflow_id text collate "C" not null,
  dialect text not null default 'memflow',
  -- The build whose workers alone may claim it; null: whichever gets new runs.
  build_id text collate "C",
  -- Channels to tell when the run has ended (clients that wait for its result).
  watchers text[],
  input json,
  -- Retry policy and the like, as the client gave them.
  options json,
  result json,
  failure json,
  -- Why the run is parked until other code, or a person, resumes it.
  problem json,
  constraint runs_pkey primary key (run_id)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

-- Where a run stands among a hundred, evenly and for good: of two builds that both get new runs, one takes those below its
-- share.
create function run_bucket(p_run uuid)
returns smallint
language sql
immutable
parallel safe
as $$
  select ((uuid_hash_extended(p_run, 0) & 9223372036854775807) % 100)::smallint
$$;

-- Serves claim_runs: the unowned open runs of a queue and workflow, of one build or of none, by priority, then by due time.
-- The bucket is in it so that a build passes by what is another's without looking at the rows.
create index runs_claimable on runs
  (task_queue, workflow_name, (coalesce(build_id, '')), priority, ready_at, (run_bucket(run_id)))
  where ready_at is not null;
-- Serves release_dead and hand-over: what an incarnation owns.
create index runs_owned on runs (owner) where owner is not null;
-- Serves prune: closed runs by the time their retention ends.
create index runs_expiring on runs (expires_at) where expires_at is not null;
-- Serves resume_runs: parked runs, tried again by the builds that register.
create index runs_parked on runs (task_queue, workflow_name) where problem is not null;
-- Serves the search for runs that several owners died on.
create index runs_suspect on runs (task_queue) where busy_takeovers >= 1 and ready_at is not null;
-- Serves the cancelation of hooks and the walk from a run to its hooks and children.
create index runs_by_parent on runs (parent_run_id) where parent_run_id is not null;

-- Serves observe_builds and move_runs: the open runs of a build.
create index runs_pinned on runs (task_queue, build_id, run_id)
  where build_id is not null and status = 'running';

-- Which run a workflow id names: the open one, else the latest. One row per id makes one open run per id.
create table workflow_ids (
  workflow_id text collate "C" not null,
  run_id uuid not null,
  constraint workflow_ids_pkey primary key (workflow_id)
) with (autovacuum_vacuum_scale_factor = 0.05);

-- History: append-only, ordered by event_no within a run (1-based, no gaps).
create table events (
  run_id uuid not null,
  at timestamptz not null,
  event_no integer not null,
  -- The command this event answers, by its number in program order; null for what came from outside.
  position integer,
  kind smallint not null,
  entity_id uuid,
  entity_no bigint,
  name text,
  payload json,
  constraint events_pkey primary key (run_id, event_no)
) with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.2);

-- Serves the fold of an entity: its change log is its events, in the order of their numbers (kind 20: a change).
create unique index events_entity_log on events (entity_id, entity_no) where kind = 20;

-- The words for events.kind.
create table event_kinds (
  kind smallint not null,
  word text not null,
  constraint event_kinds_pkey primary key (kind)
);
insert into event_kinds (kind, word) values
  (1, 'activity_completed'), (2, 'activity_failed'), (3, 'timer_fired'), (4, 'signal_received'), (5, 'signal_sent'),
  (6, 'attempt_failed'), (7, 'command_failed'),
  (10, 'child_started'), (11, 'child_start_failed'), (12, 'child_completed'), (13, 'child_failed'),
  (14, 'hook_started'), (15, 'hook_start_failed'), (16, 'hook_completed'), (17, 'hook_failed'),
  (20, 'entity_changed'), (21, 'entity_read');

-- Messages for a run, addressed to the run and never to an owner; deleted by the flush that records them.
create table inbox (
  run_id uuid not null,
  message_id bigint generated always as identity,
  from_run_id uuid,
  sent_at timestamptz not null default clock_timestamp(),
  -- The command of the receiver that this answers; null for a signal.
  position integer,
  kind smallint not null,
  name text,
  payload json,
  constraint inbox_pkey primary key (run_id, message_id)
) with (autovacuum_vacuum_scale_factor = 0.05);

-- Activity attempts that are known to the database: queued for any worker, leased by one, or written early by their
-- run's owner (local). A local activity that succeeds at once has no row here.
create table activities (
  run_id uuid not null,
  position integer not null,
  -- The attempt that runs, or runs next; 1-based.
  attempt integer not null,
  state text not null,
  -- The worker that holds the lease; null unless state is leased.
  owner uuid,
  -- When a queued attempt may start: infinity for none.
  due_at timestamptz not null,
  written_at timestamptz not null default clock_timestamp(),
  priority smallint not null default 3,
  task_queue text collate "C" not null,
  name text collate "C" not null,
  -- Its run's build, where it is an attempt on the run's own queue.
  build_id text collate "C",
  args json,
  policy json,
  failure json,
  constraint activities_pkey primary key (run_id, position),
  constraint activities_state_known check (state in ('queued', 'leased', 'local'))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- Serves claim_activities.
create index activities_claimable on activities
  (task_queue, name, (coalesce(build_id, '')), priority, due_at, (run_bucket(run_id)))
  where state = 'queued';
-- Serves the release of a dead worker's leases.
create index activities_leased on activities (owner) where owner is not null;

-- Worker incarnations: one heartbeat row per process. Death is set once and never taken back.
create table workers (
  worker_id uuid not null,
  started_at timestamptz not null default clock_timestamp(),
  beat_at timestamptz not null default clock_timestamp(),
  dead_at timestamptz,
  -- Until then it claims nothing: it is to run out of work, and go.
  cordoned_until timestamptz,
  dead_after_ms integer not null,
  turn_ms bigint,
  build_id text,
  -- [{"taskQueue", "workflows": [..], "activities": [..]}], host and process id.
  serves json not null,
  host text,
  constraint workers_pkey primary key (worker_id)
) with (fillfactor = 20);

-- Which builds of a queue get new runs: one Current, or one Current and one Ramping that share them. A Draining build keeps
-- the runs that are pinned to it and gets no other. A queue without rows has no builds: nothing of it is pinned.
create table queue_builds (
  task_queue text collate "C" not null,
  build_id text collate "C" not null,
  role text not null,
  -- Pinned: a run stays with the build that first claims it. AutoUpgrade: it is claimed by what is current each time.
  pinning text not null,
  -- Of new runs.
  share_percent smallint not null,
  constraint queue_builds_pkey primary key (task_queue, build_id),
  constraint queue_builds_role_known check (role in ('Current', 'Ramping', 'Draining')),
  constraint queue_builds_pinning_known check (pinning in ('Pinned', 'AutoUpgrade')),
  constraint queue_builds_share_fits
    check (case role when 'Draining' then share_percent = 0 else share_percent between 0 and 100 end)
);

-- The flushes that have committed, so that a lost acknowledgement is found out: a retry asks here first.
-- Insert-only; cleared after an hour.
create table flushes (
  writer uuid not null,
  number bigint not null,
  at timestamptz not null default clock_timestamp(),
  reply json,
  constraint flushes_pkey primary key (writer, number)
);

-- Serves prune.
create index flushes_by_age on flushes (at);

-- Signal ids that runs wait for, so that a signal without an address finds the run that has waited longest.
create table waits (
  signal_id text collate "C" not null,
  run_id uuid not null,
  position integer not null,
  since timestamptz not null default clock_timestamp(),
  constraint waits_pkey primary key (signal_id, run_id, position)
);
-- Serves the end of a run.
create index waits_by_run on waits (run_id);

-- Signals without an address that nobody waited for; kept until one waits or the stated time is over.
create table stray_signals (
  stray_id bigint generated always as identity,
  expires_at timestamptz not null,
  -- The run that sent it; null when a client did.
  from_run_id uuid,
  signal_id text collate "C" not null,
  payload json,
  constraint stray_signals_pkey primary key (signal_id, stray_id)
);

-- Serves prune.
create index stray_signals_expiring on stray_signals (expires_at);

-- The memory of a run (and of its hooks). The document is the fold of the change log; the row holds the number of the
-- last change and a snapshot of the document as of `snapshot_no`, for readers.
create table entities (
  entity_id uuid not null,
  last_no bigint not null default 0,
  snapshot_no bigint not null default 0,
  changed_at timestamptz not null default clock_timestamp(),
  snapshot jsonb not null default '{}',
  constraint entities_pkey primary key (entity_id)
) with (fillfactor = 70);
