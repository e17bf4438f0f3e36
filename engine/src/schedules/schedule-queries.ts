/**
 * The statements about schedules: each is one call of a function of the migrations, or one bounded read.
 */
import { quoteIdentifier } from "../store/identifiers.ts";

/** A prepared statement's name and text. */
interface QueryText {
  readonly name: string;
  readonly text: string;
}

/** The statements for one schema. */
export type ScheduleQueries = Readonly<Record<keyof typeof TEXTS, QueryText>>;

const TEXTS = {
  claimSchedules: `select * from :schema.claim_schedules(to_timestamp($1 / 1000.0::double precision), $2, $3)`,
  startScheduled: `select :schema.start_scheduled($1::json, $2::json) as reply`,
  advanceSchedules: `select :schema.advance_schedules($1::json)`,
  putOffSchedule: `select :schema.put_off_schedule($1, $2, $3)`,
  nextSchedule: `
    select extract(epoch from s.next_at - clock_timestamp())::double precision * 1000 as due_in_ms
    from :schema.schedules s
    where s.next_at is not null
    order by s.next_at
    limit 1`,
  assertLeader: `select :schema.assert_leader('schedules', $1::bigint)`,
  lockSchedule: `
    select s.keeper, s.origin, s.orphaned, s.definition::text as definition, s.state::text as state
    from :schema.schedules s
    where s.schedule_id = $1
    for no key update`,
  databaseTime: `select extract(epoch from clock_timestamp())::double precision * 1000 as now_ms`,
  putSchedule: `
    insert into :schema.schedules as s (schedule_id, next_at, keeper, origin, orphaned, definition, state)
    values ($1, clock_timestamp(), $2, $3, $4, $5, $6)
    on conflict (schedule_id) do update
    set next_at = excluded.next_at, keeper = excluded.keeper, origin = excluded.origin, orphaned = excluded.orphaned,
      definition = excluded.definition, state = excluded.state, revision = s.revision + 1`,
  forgetSchedules: `select :schema.forget_schedules($1, $2, $3::bigint) as schedule_id`,
  changedSchedules: `
    select s.schedule_id, s.origin, s.orphaned, s.revision::double precision as revision, s.definition::text as definition,
      s.state::text as state, s.fault, counted.running
    from :schema.schedules s
    cross join lateral (
      select count(*)::integer as running
      from :schema.schedule_runs k
      join :schema.runs r on r.run_id = k.run_id
      where k.schedule_id = s.schedule_id and r.status = 'running'
    ) counted
    left join unnest($2::text[], $3::bigint[], $4::integer[]) as known (schedule_id, revision, running)
      on known.schedule_id = s.schedule_id
    where s.keeper = $1
      and (known.revision is distinct from s.revision or known.running is distinct from counted.running)
    order by s.schedule_id`,
  allSchedules: `
    select s.schedule_id, coalesce(s.origin, '') as origin, s.orphaned, s.revision::double precision as revision,
      s.definition::text as definition, s.state::text as state, s.fault, counted.running
    from :schema.schedules s
    cross join lateral (
      select count(*)::integer as running
      from :schema.schedule_runs k
      join :schema.runs r on r.run_id = k.run_id
      where k.schedule_id = s.schedule_id and r.status = 'running'
    ) counted
    where $1::text is null or s.schedule_id = $1
    order by s.schedule_id`,
  requestSchedule: `
    update :schema.schedules s set state = $2, next_at = clock_timestamp(), revision = s.revision + 1
    where s.schedule_id = $1`,
} as const;

/** Builds the statements for a schema. */
export function scheduleQueries(schema: string): ScheduleQueries {
  const quoted = quoteIdentifier(schema);
  const entries = Object.entries(TEXTS).map(([name, text]) => [
    name,
    { name: `memflow_${name}`, text: text.replaceAll(":schema", () => quoted) },
  ]);
  return Object.fromEntries(entries) as ScheduleQueries;
}
