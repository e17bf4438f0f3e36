/** `query` and `entity`: what a run says of itself. */
import type { CommandSession } from "../cli/command-session.ts";
import type { GatewayConnection } from "../connect/connection.ts";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";
import { setTimeout as delay } from "node:timers/promises";
import { findRun } from "./run-reference.ts";

const LOOK_MS = 1_000;

/** Prints a run's state, entity or search data. */
export async function query(
  session: CommandSession,
  { reference, what }: { readonly reference: string; readonly what: string },
): Promise<number> {
  const connection = await session.connect();
  const { client, namespace, store } = connection;
  if (what !== "state" && what !== "entity" && what !== "search-data") {
    throw new CommandError(EXIT_CODES.usage, `query "${what}": it takes state, entity or search-data`);
  }
  const { runId } = await findRun(connection, reference);
  const place = { path: { namespace, runId }, query: { store } };
  if (what === "state") await session.printer.value((await client.call("getState", place)).body);
  else if (what === "entity") await session.printer.value((await client.call("getEntity", place)).body);
  else await session.printer.value((await client.call("getSearchData", place)).body.search);
  return EXIT_CODES.done;
}

/** Prints a run's entity; with `watch` each time that it changed, until the run has ended. */
export async function entity(
  session: CommandSession,
  { reference, watch }: { readonly reference: string; readonly watch?: boolean },
): Promise<number> {
  const connection = await session.connect();
  const { runId } = await findRun(connection, reference);
  if (watch !== true) return query(session, { reference: runId, what: "entity" });
  return watchEntity(session, connection, runId);
}

async function watchEntity(
  session: CommandSession,
  connection: GatewayConnection,
  runId: string,
): Promise<number> {
  const { client, namespace, store } = connection;
  const signal = session.io.interruption();
  let known: string | undefined;
  while (!signal.aborted) {
    // Asked first: what led to its end is seen below.
    const { status } = await findRun(connection, runId);
    const answer = await client.call("getEntity", {
      path: { namespace, runId },
      query: { store },
      header: { "If-None-Match": known },
    });
    known = answer.headers.get("etag") ?? known;
    if (answer.status === 200) await session.printer.value(answer.body);
    if (status !== "running") return EXIT_CODES.done;
    await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
  return EXIT_CODES.interrupted;
}
