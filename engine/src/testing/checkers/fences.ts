/**
 * I6: a stale owner writes nothing after a takeover.
 *
 * Who wrote an event is known by its flush: both rows carry the number of the transaction that inserted them. A dead
 * incarnation may still have committed before its runs were taken over; after another owner's first event, never.
 */
import type { StoreSnapshot } from "../store-snapshot.ts";

const STALE = `
  with written as materialized (
    select e.run_id, e.event_no, f.writer, f.at, w.dead_at
    from :schema.events e
    join :schema.flushes f on f.xmin = e.xmin
    left join :schema.workers w on w.worker_id = f.writer
  ), owners as (
    select w.run_id, w.writer, w.dead_at, min(w.event_no) as first_no, max(w.event_no) as last_no, min(w.at) as first_at
    from written w
    group by w.run_id, w.writer, w.dead_at
  )
  select stale.run_id, stale.writer as stale, fresh.writer as fresh, stale.last_no
  from owners stale join owners fresh using (run_id)
  where stale.writer <> fresh.writer and stale.dead_at is not null
    and fresh.first_at > stale.dead_at and fresh.first_no < stale.last_no`;

/** Finds runs in whose history a dead owner follows the one that took over. */
export async function checkFences(snapshot: StoreSnapshot): Promise<string[]> {
  const rows = await snapshot.rows<{ run_id: string; stale: string; fresh: string; last_no: number }>(STALE);
  return rows.map(
    ({ run_id: runId, stale, fresh, last_no: no }) =>
      `I6: run "${runId}": event ${no} was written by the dead worker "${stale}" after "${fresh}" had taken over`,
  );
}
