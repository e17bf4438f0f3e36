/**
 * I3: a workflow id has one open run at most, and leads to it.
 */
import type { StoreSnapshot } from "../store-snapshot.ts";

const SHARED = `
  select r.workflow_id, array_agg(r.run_id order by r.run_id) as run_ids
  from :schema.runs r
  where r.status = 'running'
  group by r.workflow_id
  having count(*) > 1`;

const UNREACHABLE = `
  select r.workflow_id, r.run_id, w.run_id as holder
  from :schema.runs r left join :schema.workflow_ids w using (workflow_id)
  where r.status = 'running' and w.run_id is distinct from r.run_id`;

/** Finds workflow ids with several open runs, and open runs that their workflow id does not lead to. */
export async function checkOpenRuns(snapshot: StoreSnapshot): Promise<string[]> {
  const shared = await snapshot.rows<{ workflow_id: string; run_ids: string[] }>(SHARED);
  const unreachable = await snapshot.rows<{ workflow_id: string; run_id: string; holder: string | null }>(
    UNREACHABLE,
  );
  return [
    ...shared.map(({ workflow_id: id, run_ids: runs }) => `I3: "${id}" has the open runs ${runs.join(", ")}`),
    ...unreachable.map(
      ({ workflow_id: id, run_id: runId, holder }) =>
        `I3: "${id}" leads to run ${holder === null ? "none" : `"${holder}"`}, its open run is "${runId}"`,
    ),
  ];
}
