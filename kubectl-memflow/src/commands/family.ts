/** A run with its children and hooks, and the events of each. */
import type { HistoryEvent, Run } from "@memflow/gateway/client";
import type { GatewayConnection } from "../connect/connection.ts";
import { readEvents } from "./history.ts";

/** One of a family. */
export interface Member {
  readonly run: Run;
  readonly events: readonly HistoryEvent[];
}

/** Reads them. */
export async function readFamily(connection: GatewayConnection, run: Run): Promise<readonly Member[]> {
  return [{ run, events: await readEvents(connection, run.runId) }];
}
