/** How a run ended, now or within some time. */
import { decodePayload, FATAL_CODE, parseDurationMs, toErrorObject } from "@memflow/engine";
import type { FailureJson, StoreClient } from "@memflow/engine";
import type { StoreEntry } from "../stores/index.ts";
import type { Call, Handler } from "./call.ts";
import { admitRunById } from "./rights.ts";

/** How a run ended. */
interface RunEnd {
  readonly status: string;
  readonly result: string | null;
  readonly failure: FailureJson | null;
}

/** Statuses as answers have them. */
type Status = "running" | "completed" | "failed" | "canceled" | "terminated" | "continued_as_new";

/** What the database says is one of them: functions of the migrations write no other. */
export function asStatus(status: string): Status {
  return status as Status;
}

export const getResult: Handler<"getResult"> = async (call) => {
  const { entry, run } = await admitRunById(call);
  const { runId, workflowId } = run;
  const end = await endOf(entry, runId, waitMsOf(call), call.untilGone());
  return end === undefined
    ? pendingReply(call, { runId, workflowId }, {})
    : { status: 200, body: resultBody(runId, end) };
};

/** How long a request wants to wait, within the limit. */
export function waitMsOf(call: Call<"getResult"> | Call<"executeRun">): number {
  const { wait } = call.query;
  return wait === undefined ? 0 : Math.min(parseDurationMs(wait, "wait"), call.limits.waitMsMax);
}

/** How the run ended; undefined when it still runs after that time, or the signal has come. */
export async function endOf(
  { client }: StoreEntry,
  runId: string,
  waitMs: number,
  signal: AbortSignal,
): Promise<RunEnd | undefined> {
  return (
    (await endNow(client, runId)) ??
    (waitMs === 0 ? undefined : await client.outcomeWithin(runId, waitMs, signal))
  );
}

async function endNow(client: StoreClient, runId: string): Promise<RunEnd | undefined> {
  const { status, result, failure } = await client.row(runId);
  if (status === "running") return undefined;
  return { status, result, failure: failure === null ? null : (JSON.parse(failure) as FailureJson) };
}

/** It still runs: whoever waited may ask at once, who did not after a while. */
export function pendingReply(
  call: Call<"getResult"> | Call<"executeRun">,
  run: { readonly runId: string; readonly workflowId: string },
  headers: Readonly<Record<string, string>>,
) {
  const hasWaited = waitMsOf(call) > 0 && !call.untilGone().aborted;
  return {
    status: 202 as const,
    body: { ...run, status: "running" as const },
    headers: { ...headers, "Retry-After": hasWaited ? "0" : "1" },
  };
}

/** The answer's body. */
export function resultBody(runId: string, { status, result, failure }: RunEnd) {
  // Interrupted quietly: who waits gets nothing.
  const isQuiet = failure?.data?.["quiet"] === true;
  const value = decodePayload(result);
  return {
    runId,
    status: asStatus(status),
    ...(value === undefined ? {} : { result: value }),
    ...(failure === null || isQuiet ? {} : { failure: toErrorObject(failure, FATAL_CODE) }),
  };
}
