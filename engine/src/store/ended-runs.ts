/**
 * Runs that are ended from outside their own code, and who is to hear of it.
 *
 * Promises that ending may be repeated: a run that has ended already stays as it is. To tell is haste alone: who misses it finds
 * out at the next look.
 */
import { encodeFailure } from "../core/failure.ts";
import { channelName, queueChannel, quoteIdentifier } from "./identifiers.ts";
import type { Session } from "./session.ts";

/** A run that `end_runs` has ended: who had it, who waits for it, and the parent that got a message. */
export interface EndedRun {
  readonly run_id: string;
  readonly owner: string | null;
  readonly watchers: readonly string[] | null;
  readonly parent_run_id: string | null;
  readonly parent_owner: string | null;
  readonly parent_queue: string | null;
}

/** Channels, and what they are told when these runs have ended. */
export function noticesOf(
  schema: string,
  runs: readonly EndedRun[],
): readonly (readonly [channel: string, payload: string])[] {
  return runs.flatMap((run) => [
    ...(run.owner === null ? [] : [[channelName(schema, "worker", run.owner), run.run_id] as const]),
    ...(run.watchers ?? []).map((watcher) => [watcher, run.run_id] as const),
    ...parentNotice(schema, run),
  ]);
}

/**
 * Ends open runs at once, with all that they have started; their code is not asked.
 *
 * @param session - On the store's database.
 * @param schema - Of the store.
 * @param ends - Which runs, and the failure that they end with.
 * @returns How many have ended, those that they had started included.
 */
export async function terminateRuns(
  session: Session,
  schema: string,
  { runIds, failure }: { readonly runIds: readonly string[]; readonly failure: Error },
): Promise<number> {
  const encoded = encodeFailure(failure);
  const ends = runIds.map((run) => ({ run, status: "terminated", failure: encoded, descend: true }));
  const { rows } = await session.query<EndedRun>({
    text: `select * from ${quoteIdentifier(schema)}.end_runs($1::json)`,
    values: [JSON.stringify(ends)],
  });
  const notices = noticesOf(schema, rows);
  if (notices.length > 0) {
    await session.query({
      text: "select pg_notify(channel, payload) from unnest($1::text[], $2::text[]) as notice (channel, payload)",
      values: [notices.map(([channel]) => channel), notices.map(([, payload]) => payload)],
    });
  }
  return rows.length;
}

function parentNotice(
  schema: string,
  { parent_run_id: runId, parent_owner: owner, parent_queue: queue }: EndedRun,
): readonly (readonly [channel: string, payload: string])[] {
  if (runId === null) return [];
  if (owner !== null) return [[channelName(schema, "worker", owner), runId]];
  return queue === null ? [] : [[queueChannel(schema, queue), "runs"]];
}
