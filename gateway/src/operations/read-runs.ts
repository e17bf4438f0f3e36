/** Reads of one run: its description, its memory, its history, its whole story. */
import { createHash } from "node:crypto";
import { WorkflowNotFoundError } from "@memflow/engine";
import type { EventDescription, RunDescription } from "@memflow/engine";
import { WorkflowHandle } from "@memflow/sdk";
import type { ExportPart } from "@memflow/sdk";
import { stateOf } from "@memflow/sdk/service";
import type { ServerSentEvent } from "../http/event-stream.ts";
import { invalid } from "../http/problem.ts";
import type { StoreEntry } from "../stores/index.ts";
import type { Call, Handler } from "./call.ts";
import { asStatus } from "./results.ts";
import { admitMemory, admitRun, admitRunById } from "./rights.ts";
import type { AdmittedRun } from "./rights.ts";

export const getRun: Handler<"getRun"> = async (call) => {
  const { run } = await admitRunById(call);
  return { status: 200, body: runBody(run) };
};

export const getRunByWorkflowId: Handler<"getRunByWorkflowId"> = async (call) => {
  const { workflow, workflowId } = call.params;
  const { run } = await admitRun(call, (entry) => findOf(entry, workflow, workflowId), workflowId);
  return { status: 200, body: runBody(run) };
};

/** Only a run of that Workflow: an id alone says nothing of others. */
async function findOf(
  entry: StoreEntry,
  workflow: string,
  workflowId: string,
): Promise<RunDescription | undefined> {
  try {
    const run = await entry.client.find(workflowId);
    const definition = entry.workflowOf(run.workflowName, run.taskQueue);
    return run.workflowName === workflow || definition?.name === workflow ? run : undefined;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

export const getState: Handler<"getState"> = async (call) => {
  const { entry, run } = await admitRunById(call);
  return { status: 200, body: { ...stateOf(await entry.client.row(run.runId)) } };
};

export const getEntity: Handler<"getEntity"> = async (call) => {
  const admitted = await admitRunById(call);
  await admitMemory(call, admitted);
  const document = await admitted.entry.client.entity(admitted.run.entityId);
  const etag = `"${createHash("sha256").update(JSON.stringify(document)).digest("base64url")}"`;
  const known = call.headers["if-none-match"]?.split(",").map((tag) => tag.trim().replace(/^W\//u, ""));
  const headers = { ETag: etag, "Cache-Control": "no-cache" };
  return known?.includes(etag) === true || known?.includes("*") === true
    ? { status: 304, body: undefined, headers }
    : { status: 200, body: document, headers };
};

export const getSearchData: Handler<"getSearchData"> = async (call) => {
  const admitted = await admitRunById(call);
  await admitMemory(call, admitted);
  const { search } = await admitted.entry.client.memory(admitted.run.entityId);
  return { status: 200, body: { search: { ...search } } };
};

export const exportRun: Handler<"exportRun"> = async (call) => {
  const admitted = await admitRunById(call);
  await admitMemory(call, admitted);
  const { entry, run } = admitted;
  const { parts, values } = call.query;
  const exported = await new WorkflowHandle(entry.client, run).export({
    ...(parts === undefined ? {} : { allow: parts.split(",") as ExportPart[] }),
    values: values !== "false",
  });
  return { status: 200, body: { ...exported } };
};

export const getHistory: Handler<"getHistory"> = async (call) => {
  const admitted = await admitRunById(call);
  const accepts = call.headers.accept ?? "";
  if (accepts.includes("text/event-stream")) return { stream: followed(call, admitted, afterEventOf(call)) };
  const { client } = admitted.entry;
  const { afterEvent, pageSize } = call.query;
  const events = await client.eventPage(admitted.run.runId, afterEvent, pageSize);
  const last = events.at(-1)?.eventNo;
  const hasMore = last !== undefined && last < (await client.describe(admitted.run.runId)).eventCount;
  return {
    status: 200,
    body: { events: events.map(eventBody), ...(hasMore ? { nextAfterEvent: last } : {}) },
  };
};

const EVENT_NUMBER = /^[0-9]{1,9}$/u;

/** What a client of a stream has seen: it says so in a header when it comes back. */
function afterEventOf(call: Call<"getHistory">): number {
  const last = call.headers["last-event-id"];
  if (last === undefined || last === "") return call.query.afterEvent;
  if (typeof last === "string" && EVENT_NUMBER.test(last)) return Number(last);
  throw invalid([{ path: "header.Last-Event-ID", message: "must be the number of an event" }]);
}

async function* followed(
  call: Call<"getHistory">,
  { entry, run }: AdmittedRun,
  afterEvent: number,
): AsyncGenerator<readonly ServerSentEvent[]> {
  for await (const part of entry.client.followEvents(run.runId, afterEvent, call.untilGone())) {
    if (part.kind === "end") yield [{ event: "end", data: { status: part.status } }];
    else
      yield part.events.map((event) => ({
        event: "history",
        id: String(event.eventNo),
        data: eventBody(event),
      }));
  }
}

/** A run as answers have it. */
export function runBody(run: RunDescription) {
  return {
    runId: run.runId,
    workflowId: run.workflowId,
    workflow: run.workflowName,
    taskQueue: run.taskQueue,
    status: asStatus(run.status),
    hook: run.hook,
    parentRunId: run.parentRunId,
    eventCount: run.eventCount,
    startedAt: run.startedAt.toISOString(),
    closedAt: run.closedAt?.toISOString() ?? null,
    problem: run.problem === null ? null : { ...run.problem },
  };
}

function eventBody(event: EventDescription) {
  const { eventNo, at, atMs, kind, position, name, entityNo, payload } = event;
  return {
    eventNo,
    at: at.toISOString(),
    atMs,
    kind,
    position,
    name,
    entityNo,
    ...(payload === undefined ? {} : { payload }),
  };
}
