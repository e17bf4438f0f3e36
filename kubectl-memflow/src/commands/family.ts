/** A run with its children and hooks, and the events of each. */
import { GatewayProblem } from "@memflow/gateway/client";
import type { HistoryEvent, Run } from "@memflow/gateway/client";
import type { GatewayConnection } from "../connect/connection.ts";
import { readEvents } from "./history.ts";

/** One of a family. */
export interface Member {
  readonly run: Run;
  readonly events: readonly HistoryEvent[];
}

/** Reads them; the run itself is first. */
export async function readFamily(connection: GatewayConnection, runId: string): Promise<readonly Member[]> {
  const { client, namespace, store } = connection;
  const { body } = await client.call("getFamily", { path: { namespace, runId }, query: { store } });
  const members: Member[] = [];
  for (const run of body.runs) members.push({ run, events: await readEventsIfThere(connection, run) });
  return members;
}

/** Its retention may end while the family is read. */
async function readEventsIfThere(
  connection: GatewayConnection,
  { runId }: Run,
): Promise<readonly HistoryEvent[]> {
  try {
    return await readEvents(connection, runId);
  } catch (error) {
    if (error instanceof GatewayProblem && error.status === 404) return [];
    throw error;
  }
}
