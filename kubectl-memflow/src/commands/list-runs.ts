/** `list` and `count`. */
import type { Run } from "@memflow/gateway/client";
import type { CommandSession } from "../cli/command-session.ts";
import type { GatewayConnection } from "../connect/connection.ts";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";
import { everyStore } from "./every-store.ts";
import { readCount, readDurationMs, readPairs } from "./durations.ts";
import { PLACED_RUN_VIEW, RUN_VIEW } from "./run-view.ts";
import type { PlacedRun } from "./run-view.ts";
import { watch } from "./watching.ts";

/** Which runs. */
interface RunFilters {
  readonly selector?: string;
  readonly workflow?: string;
  readonly status?: string;
  readonly taskQueue?: string;
  readonly idPrefix?: string;
  readonly since?: string;
}

/** The command line of `list`. */
export interface ListOptions extends RunFilters {
  readonly allNamespaces?: boolean;
  readonly sortBy: string;
  readonly limit: string;
  readonly watch?: boolean;
}

const PAGE_SIZE_MAX = 1_000;
const ORDERS = {
  startedAt: "startedAt desc",
  "startedAt-": "startedAt",
  closedAt: "closedAt desc",
  "closedAt-": "closedAt",
} as const;
const STATUSES = ["running", "completed", "failed", "canceled", "terminated", "continued_as_new"] as const;

/** Lists runs. */
export async function listRuns(session: CommandSession, options: ListOptions): Promise<number> {
  const view = options.allNamespaces === true ? PLACED_RUN_VIEW : RUN_VIEW;
  const look = (): Promise<readonly PlacedRun[]> => lookAtRuns(session, options);
  if (options.watch === true) return watch(session, { view, key: ({ runId }) => runId, look });
  const runs = await look();
  if (runs.length === 0) session.say("no runs found");
  await session.printer.list(view, runs);
  return EXIT_CODES.done;
}

/** Counts runs. */
export async function countRuns(session: CommandSession, options: RunFilters): Promise<number> {
  const { client, namespace, store } = await session.connect();
  const { body } = await client.call("countRuns", {
    path: { namespace },
    query: { store, ...filtersOf(options) },
  });
  const { printer } = session;
  if (printer.form.kind === "json" || printer.form.kind === "yaml" || printer.form.kind === "jsonpath") {
    await printer.value(body);
  } else {
    printer.line(String(body.count));
  }
  return EXIT_CODES.done;
}

async function lookAtRuns(session: CommandSession, options: ListOptions): Promise<readonly PlacedRun[]> {
  const connection = await session.connect();
  if (options.allNamespaces !== true) return readPages(connection, options);
  const places = await everyStore(session);
  const runs: PlacedRun[] = [];
  for (const { namespace, store } of places) {
    const found = await readPages({ ...connection, namespace, store }, options);
    runs.push(...found.map((run) => ({ namespace, ...(store === undefined ? {} : { store }), ...run })));
  }
  return runs;
}

async function readPages(
  { client, namespace, store }: GatewayConnection,
  options: ListOptions,
): Promise<readonly Run[]> {
  const orderBy = ORDERS[options.sortBy as keyof typeof ORDERS];
  if (orderBy === undefined) {
    throw new CommandError(
      EXIT_CODES.usage,
      `--sort-by "${options.sortBy}": it takes ${Object.keys(ORDERS).join(", ")}`,
    );
  }
  const limit = readCount(options.limit, "--limit");
  const filters = filtersOf(options);
  const runs: Run[] = [];
  let pageToken: string | undefined;
  do {
    const pageSize = Math.min(PAGE_SIZE_MAX, limit - runs.length);
    if (pageSize <= 0) break;
    const query = { store, ...filters, orderBy, pageSize, pageToken };
    const { body } = await client.call("listRuns", { path: { namespace }, query });
    runs.push(...body.runs);
    pageToken = body.nextPageToken;
  } while (pageToken !== undefined);
  return runs;
}

function filtersOf(options: RunFilters): {
  readonly workflow: string | undefined;
  readonly status: (typeof STATUSES)[number] | undefined;
  readonly taskQueue: string | undefined;
  readonly workflowIdPrefix: string | undefined;
  readonly startedAfter: string | undefined;
  readonly [name: `search.${string}`]: string | undefined;
} {
  const status = STATUSES.find((one) => one === options.status);
  if (options.status !== undefined && status === undefined) {
    throw new CommandError(EXIT_CODES.usage, `--status "${options.status}": it takes ${STATUSES.join(", ")}`);
  }
  const pairs = readPairs(
    (options.selector ?? "").split(",").filter((one) => one !== ""),
    "--selector",
  );
  const since = options.since === undefined ? undefined : readDurationMs(options.since, "--since");
  return {
    workflow: options.workflow,
    status,
    taskQueue: options.taskQueue,
    workflowIdPrefix: options.idPrefix,
    startedAfter: since === undefined ? undefined : new Date(Date.now() - since).toISOString(),
    ...Object.fromEntries(Object.entries(pairs).map(([field, value]) => [`search.${field}`, value])),
  };
}
