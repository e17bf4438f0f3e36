/**
 * I1: one recorded outcome per run and command position, in a history without gaps.
 *
 * Each checker of this folder returns its findings in words, none for a store that keeps the promise. It reads a
 * snapshot and knows nothing of the code that wrote it.
 */
import type { StoreSnapshot } from "../store-snapshot.ts";

/** Starts of children and hooks (10, 14) are followed by an outcome; attempts that failed (6) are none. */
const DOUBLED = `
  select e.run_id, e.position, array_agg(k.word order by e.event_no) as kinds
  from :schema.events e join :schema.event_kinds k using (kind)
  where e.position is not null and e.kind <> 6
  group by e.run_id, e.position, e.kind in (10, 14)
  having count(*) > 1`;

/** An open run's row may lag behind its history: a step alone does not write it. */
const GAPS = `
  select r.run_id, r.event_count, count(e.event_no)::integer as found, max(e.event_no) as last_no
  from :schema.runs r left join :schema.events e using (run_id)
  group by r.run_id
  having count(e.event_no) <> coalesce(max(e.event_no), 0) or count(e.event_no) < r.event_count
    or (r.status in ('completed', 'failed') and count(e.event_no) <> r.event_count)`;

/** Finds positions that were answered twice, and histories that miss an event. */
export async function checkOutcomes(snapshot: StoreSnapshot): Promise<string[]> {
  const doubled = await snapshot.rows<{ run_id: string; position: number; kinds: string[] }>(DOUBLED);
  const gaps = await snapshot.rows<{
    run_id: string;
    event_count: number;
    found: number;
    last_no: number | null;
  }>(GAPS);
  return [
    ...doubled.map(({ run_id: runId, position, kinds }) =>
      finding(runId, `position ${position} has ${kinds.length} outcomes: ${kinds.join(", ")}`),
    ),
    ...gaps.map(({ run_id: runId, event_count: count, found, last_no: last }) =>
      finding(runId, `says ${count} events, history has ${found}, the last is ${last}`),
    ),
  ];
}

function finding(runId: string, text: string): string {
  return `I1: run "${runId}": ${text}`;
}
