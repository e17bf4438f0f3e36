/** `history`: the events of a run, page by page or as they come. */
import { followHistory } from "@memflow/gateway/client";
import type { HistoryEvent } from "@memflow/gateway/client";
import type { CommandSession } from "../cli/command-session.ts";
import type { GatewayConnection } from "../connect/connection.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import type { View } from "../print/printer.ts";
import { describeStep } from "../show/describe-step.ts";
import { readCount } from "./durations.ts";
import { findRun } from "./run-reference.ts";

/** The command line. */
export interface HistoryOptions {
  readonly reference: string;
  readonly follow?: boolean;
  readonly after: string;
}

const PAGE_SIZE = 1_000;

/** How events are shown. */
export const EVENT_VIEW: View<HistoryEvent> = {
  kind: "event",
  name: ({ eventNo }) => String(eventNo),
  columns: [
    { heading: "EVENT", cell: ({ eventNo }) => String(eventNo) },
    { heading: "TIME", cell: ({ at }) => at },
    { heading: "KIND", cell: ({ kind }) => kind },
    { heading: "NAME", cell: ({ name }) => name ?? "<none>" },
    { heading: "DETAIL", cell: (event) => describeStep({ ...event, payload: event.payload })?.text ?? "" },
    { heading: "POSITION", isWide: true, cell: ({ position }) => String(position ?? "<none>") },
    { heading: "PAYLOAD", isWide: true, cell: ({ payload }) => JSON.stringify(payload) ?? "" },
  ],
};

/** Prints the events. */
export async function history(session: CommandSession, options: HistoryOptions): Promise<number> {
  const connection = await session.connect();
  const { runId } = await findRun(connection, options.reference);
  const afterEvent = readCount(options.after, "--after");
  if (options.follow === true) return follow(session, { connection, runId, afterEvent });
  await session.printer.list(EVENT_VIEW, await readEvents(connection, runId, afterEvent));
  return EXIT_CODES.done;
}

/** All events of a run after one. */
export async function readEvents(
  { client, namespace, store }: GatewayConnection,
  runId: string,
  afterEvent = 0,
): Promise<readonly HistoryEvent[]> {
  const events: HistoryEvent[] = [];
  let next: number | undefined = afterEvent;
  while (next !== undefined) {
    const query: { store: string | undefined; afterEvent: number; pageSize: number } = {
      store,
      afterEvent: next,
      pageSize: PAGE_SIZE,
    };
    const { body } = await client.call("getHistory", { path: { namespace, runId }, query });
    events.push(...body.events);
    next = body.nextAfterEvent;
  }
  return events;
}

/** One row, or one line of JSON, an event; after a lost connection it goes on behind the last one. */
async function follow(
  session: CommandSession,
  place: { readonly connection: GatewayConnection; readonly runId: string; readonly afterEvent: number },
): Promise<number> {
  const { connection, runId, afterEvent } = place;
  const { client, namespace, store } = connection;
  const { printer } = session;
  const isTable = printer.form.kind === "table" || printer.form.kind === "wide";
  const signal = session.io.interruption();
  for await (const told of followHistory(client, { namespace, store, runId, afterEvent, signal })) {
    if (told.kind === "end") session.say(`the run is ${told.status}`);
    else if (isTable) printer.rows(EVENT_VIEW, [told.event]);
    else if (printer.form.kind === "json") printer.line(JSON.stringify(told.event));
    else await printer.one(EVENT_VIEW, told.event);
  }
  return EXIT_CODES.done;
}
