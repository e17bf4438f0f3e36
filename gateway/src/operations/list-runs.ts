/**
 * Lists and counts of runs, narrowed to what the caller may list.
 *
 * Whoever may list all runs of the namespace sees all. Else a list must name a Workflow, and shows the runs of its type on its
 * queue: those of the type elsewhere belong to no Workflow or to another one.
 */
import { createHash } from "node:crypto";
import type { RunFilter, RunPlace } from "@memflow/engine";
import { ProblemError } from "../http/problem.ts";
import type { StoreEntry, WorkflowDefinition } from "../stores/index.ts";
import { storeOf } from "./call.ts";
import type { Call, Handler } from "./call.ts";
import { runBody } from "./read-runs.ts";
import { admit } from "./rights.ts";
import { queueNameOf } from "./start-runs.ts";

export const listRuns: Handler<"listRuns"> = async (call) => {
  const entry = await storeOf(call);
  const filter = await admittedFilter(call, entry);
  const { orderBy, pageSize, pageToken } = call.query;
  const order = {
    by: orderBy.startsWith("closedAt") ? "closedAt" : "startedAt",
    descending: orderBy.endsWith(" desc"),
  } as const;
  const marker = markerOf({ filter, orderBy, store: entry.name });
  const page = await entry.client.listPage({
    filter,
    order,
    limit: pageSize,
    after: pageToken === undefined ? undefined : readPageToken(pageToken, marker),
  });
  return {
    status: 200,
    body: {
      runs: page.runs.map(runBody),
      ...(page.next === undefined ? {} : { nextPageToken: pageTokenOf(page.next, marker) }),
    },
  };
};

export const countRuns: Handler<"countRuns"> = async (call) => {
  const entry = await storeOf(call);
  return { status: 200, body: { count: await entry.client.countRuns(await admittedFilter(call, entry)) } };
};

/** What is asked for, as far as the caller may list it. */
async function admittedFilter(
  call: Call<"listRuns"> | Call<"countRuns">,
  entry: StoreEntry,
): Promise<RunFilter> {
  const { query, params } = call;
  const access = { verb: "list", resource: "workflows/runs", namespace: params.namespace } as const;
  const asked = query.taskQueue === undefined ? undefined : queueNameOf(entry, query.taskQueue);
  const definitions = query.workflow === undefined ? [] : definitionsOf(entry, query.workflow, asked);
  const filter = filterOf(query, definitions[0]?.workflowName ?? query.workflow);
  call.note({ access });
  if (await call.gatekeeper.may(call.subject, access)) {
    return asked === undefined ? filter : { ...filter, taskQueues: [asked] };
  }
  if (definitions.length === 0) await admit(call, access);
  for (const { name } of definitions) await admit(call, { ...access, name });
  return { ...filter, taskQueues: definitions.map(({ taskQueue }) => taskQueue) };
}

/** The Workflow of a name, else all that define a type. */
function definitionsOf(
  entry: StoreEntry,
  workflow: string,
  taskQueue: string | undefined,
): readonly WorkflowDefinition[] {
  const all = entry.workflows();
  const named = all.filter(({ name }) => name === workflow);
  const found = named.length > 0 ? named : all.filter(({ workflowName }) => workflowName === workflow);
  return taskQueue === undefined ? found : found.filter((definition) => definition.taskQueue === taskQueue);
}

function filterOf(query: Call<"countRuns">["query"], workflowName: string | undefined): RunFilter {
  const { status, workflowIdPrefix, startedAfter, startedBefore, closedAfter, closedBefore, search } = query;
  return {
    status,
    workflowName,
    workflowIdPrefix,
    startedAfterMs: msOf(startedAfter),
    startedBeforeMs: msOf(startedBefore),
    closedAfterMs: msOf(closedAfter),
    closedBeforeMs: msOf(closedBefore),
    search:
      search === undefined
        ? undefined
        : Object.fromEntries(
            Object.entries(search).map(([name, value]) => [name.slice("search.".length), value]),
          ),
  };
}

function msOf(time: string | undefined): number | undefined {
  return time === undefined ? undefined : Date.parse(time);
}

const MARKER_LENGTH = 16;

/** What a page token belongs to: the list without its page. */
function markerOf(list: unknown): string {
  return createHash("sha256").update(JSON.stringify(list)).digest("base64url").slice(0, MARKER_LENGTH);
}

function pageTokenOf({ runId, closedAt }: RunPlace, marker: string): string {
  return Buffer.from(JSON.stringify([marker, runId, closedAt])).toString("base64url");
}

const RUN_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u;
/** As Postgres writes a time with its zone. */
const PLACE_TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?[+-]\d\d(:\d\d)?$/u;

function readPageToken(token: string, marker: string): RunPlace {
  try {
    const place = JSON.parse(Buffer.from(token, "base64url").toString("utf8")) as unknown;
    if (!Array.isArray(place)) throw new TypeError("no list");
    const [itsMarker, runId, closedAt] = place as readonly unknown[];
    const isTime = closedAt === null || (typeof closedAt === "string" && PLACE_TIME.test(closedAt));
    if (itsMarker === marker && typeof runId === "string" && RUN_ID.test(runId) && isTime)
      return { runId, closedAt };
  } catch (cause) {
    throw badToken(cause);
  }
  throw badToken();
}

function badToken(cause?: unknown): ProblemError {
  return new ProblemError("BadPageToken", "the page token is none of this list with these filters", {
    remedy: "begin again without a page token",
    ...(cause === undefined ? {} : { cause }),
  });
}
