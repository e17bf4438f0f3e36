/** `queues`. */
import type { Queue } from "@memflow/gateway/client";
import type { CommandSession } from "../cli/command-session.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { ageOf } from "../print/age.ts";
import type { Column, View } from "../print/printer.ts";
import { everyStore } from "./every-store.ts";
import { watch } from "./watching.ts";

/** The command line. */
export interface QueuesOptions {
  readonly name?: string | undefined;
  readonly allNamespaces?: boolean;
  readonly watch?: boolean;
}

interface PlacedQueue extends Queue {
  readonly namespace?: string;
}

/** What the last decision says; a cluster has one, and `memflow dev`. */
function scalingText(queue: Queue, field: "desired" | "limitedBy" | "reason"): string {
  const value = queue.scaling?.[field];
  return typeof value === "string" || typeof value === "number" ? String(value) : "<none>";
}

const COLUMNS: readonly Column<PlacedQueue>[] = [
  { heading: "NAME", cell: ({ name, taskQueue }) => name ?? taskQueue },
  { heading: "QUEUE", cell: ({ taskQueue }) => taskQueue },
  { heading: "READY", cell: ({ ready }) => String(ready) },
  { heading: "IN FLIGHT", cell: ({ inFlight }) => String(inFlight) },
  { heading: "WORKERS", cell: ({ workers }) => String(workers) },
  { heading: "DESIRED", cell: (queue) => scalingText(queue, "desired") },
  { heading: "OLDEST", cell: ({ oldestReadyAt }, nowMs) => ageOf(oldestReadyAt, nowMs) },
  { heading: "LIMITED BY", isWide: true, cell: (queue) => scalingText(queue, "limitedBy") },
  { heading: "NEXT TIMER", isWide: true, cell: ({ nextTimerAt }) => nextTimerAt ?? "<none>" },
  { heading: "REASON", isWide: true, cell: (queue) => scalingText(queue, "reason") },
];

const QUEUE_VIEW: View<PlacedQueue> = {
  kind: "taskqueue",
  name: ({ name, taskQueue }) => name ?? taskQueue,
  columns: COLUMNS,
};
const PLACED_QUEUE_VIEW: View<PlacedQueue> = {
  ...QUEUE_VIEW,
  columns: [{ heading: "NAMESPACE", cell: ({ namespace }) => namespace ?? "" }, ...COLUMNS],
};

/** Shows queues. */
export async function queues(session: CommandSession, options: QueuesOptions): Promise<number> {
  const view = options.allNamespaces === true ? PLACED_QUEUE_VIEW : QUEUE_VIEW;
  const look = (): Promise<readonly PlacedQueue[]> => lookAtQueues(session, options);
  const key = ({ namespace, taskQueue }: PlacedQueue): string => `${namespace ?? ""}/${taskQueue}`;
  if (options.watch === true) return watch(session, { view, key, look });
  const found = await look();
  const [only] = found;
  if (options.name !== undefined && only !== undefined) await session.printer.one(view, only);
  else await session.printer.list(view, found);
  if (found.length === 0) session.say("no queues found");
  return EXIT_CODES.done;
}

async function lookAtQueues(
  session: CommandSession,
  options: QueuesOptions,
): Promise<readonly PlacedQueue[]> {
  const { client, namespace, store } = await session.connect();
  if (options.name !== undefined) {
    const path = { namespace, queue: options.name };
    return [(await client.call("getQueue", { path, query: { store } })).body];
  }
  if (options.allNamespaces !== true) {
    return (await client.call("listQueues", { path: { namespace }, query: { store } })).body.queues;
  }
  const found: PlacedQueue[] = [];
  for (const place of await everyStore(session)) {
    const answer = await client.call("listQueues", {
      path: { namespace: place.namespace },
      query: { store: place.store },
    });
    found.push(...answer.body.queues.map((queue) => ({ namespace: place.namespace, ...queue })));
  }
  return found;
}
