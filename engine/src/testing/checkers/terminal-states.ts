/**
 * I5: a terminal state is set once; a result never changes.
 */
import type { StoreSnapshot } from "../store-snapshot.ts";

/** What ended runs said at some moment: run id to its status, result, failure and time of end. */
export type EndedRuns = ReadonlyMap<string, string>;

const ENDED = `
  select r.run_id, json_build_array(r.status, r.result, r.failure, r.closed_at)::text as outcome
  from :schema.runs r
  where r.status <> 'running'`;

/** An ended run is nobody's and waits for nothing; an open one has no outcome yet. */
const MIXED = `
  select r.run_id, r.status
  from :schema.runs r
  where case
    when r.status = 'running' then
      r.closed_at is not null or r.result is not null or r.failure is not null or r.expires_at is not null
    else
      r.closed_at is null or r.expires_at is null or r.owner is not null or r.ready_at is not null or r.busy
      or exists (select 1 from :schema.inbox i where i.run_id = r.run_id)
      or exists (select 1 from :schema.activities a where a.run_id = r.run_id)
      or exists (select 1 from :schema.waits w where w.run_id = r.run_id)
  end`;

/** Remembers the outcomes that stand now, for a later `checkTerminalStates`. */
export async function rememberEndedRuns(snapshot: StoreSnapshot): Promise<EndedRuns> {
  const rows = await snapshot.rows<{ run_id: string; outcome: string }>(ENDED);
  return new Map(rows.map((row) => [row.run_id, row.outcome]));
}

/** Finds runs that are half ended, and outcomes that differ from those remembered before (a removed run is none). */
export async function checkTerminalStates(
  snapshot: StoreSnapshot,
  before: EndedRuns = new Map(),
): Promise<string[]> {
  const mixed = await snapshot.rows<{ run_id: string; status: string }>(MIXED);
  const now = await rememberEndedRuns(snapshot);
  const open = await snapshot.rows<{ run_id: string }>(
    `select r.run_id from :schema.runs r where r.status = 'running' and r.run_id = any ($1::uuid[])`,
    [[...before.keys()]],
  );
  const changed = [...before].filter(([runId, outcome]) => (now.get(runId) ?? outcome) !== outcome);
  return [
    ...mixed.map(
      ({ run_id: runId, status }) =>
        `I5: run "${runId}" is ${status} and holds what belongs to another state`,
    ),
    ...open.map(({ run_id: runId }) => `I5: run "${runId}" had ended and is open again`),
    ...changed.map(
      ([runId, outcome]) => `I5: run "${runId}" ended with ${outcome} and now says ${now.get(runId)}`,
    ),
  ];
}
