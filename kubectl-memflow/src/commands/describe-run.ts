/** `describe`: all about a run, as kubectl describes things. */
import { GatewayProblem } from "@memflow/gateway/client";
import type { Run, RunResult } from "@memflow/gateway/client";
import type { CommandSession } from "../cli/command-session.ts";
import type { GatewayConnection } from "../connect/connection.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { ageOf, humanDuration } from "../print/age.ts";
import { layOut } from "../print/table.ts";
import { describeStep } from "../show/describe-step.ts";
import { findRun } from "./run-reference.ts";

const EVENTS_SHOWN = 10;
const LABEL_CHARACTERS = 14;

/** Prints it. */
export async function describeRun(session: CommandSession, reference: string): Promise<number> {
  const connection = await session.connect();
  const run = await findRun(connection, reference);
  const result = run.status === "running" ? undefined : await readResult(connection, run);
  const search = await readSearchData(connection, run);
  const { printer } = session;
  if (printer.form.kind !== "table" && printer.form.kind !== "wide") {
    await printer.value({ ...run, ...(result === undefined ? {} : { outcome: result }), search });
    return EXIT_CODES.done;
  }
  for (const [label, text] of facts(run, result))
    printer.line(`${`${label}:`.padEnd(LABEL_CHARACTERS)}${text}`);
  const fields = Object.entries(search ?? {});
  printer.line(
    `${"Search:".padEnd(LABEL_CHARACTERS)}${search === undefined ? "<not allowed>" : fields.length === 0 ? "<none>" : ""}`,
  );
  for (const [field, value] of fields) printer.line(`  ${field}: ${value}`);
  await printEvents(session, connection, run);
  return EXIT_CODES.done;
}

function facts(run: Run, result: RunResult | undefined): readonly (readonly [string, string])[] {
  const nowMs = Date.now();
  const took = run.closedAt === null ? undefined : Date.parse(run.closedAt) - Date.parse(run.startedAt);
  return [
    ["Run ID", run.runId],
    ["Workflow", run.workflow],
    ["Workflow ID", run.workflowId],
    ["Queue", run.taskQueue],
    ["Kind", run.hook ? "hook" : run.parentRunId === null ? "run" : "child"],
    ["Parent", run.parentRunId ?? "<none>"],
    ["Status", run.status],
    ["Started", `${run.startedAt} (${ageOf(run.startedAt, nowMs)} ago)`],
    ["Ended", took === undefined ? "<none>" : `${run.closedAt ?? ""} (took ${humanDuration(took)})`],
    ...(run.problem === null ? [] : [["Parked", `${run.problem.code}: ${run.problem.message}`] as const]),
    ...(result?.result === undefined ? [] : [["Result", JSON.stringify(result.result)] as const]),
    ...(result?.failure === undefined
      ? []
      : [
          [
            "Failure",
            `${result.failure.message} (${result.failure.name}, code ${result.failure.code})`,
          ] as const,
        ]),
  ];
}

/** The last ones; the run's count says where they begin. */
async function printEvents(
  { printer }: CommandSession,
  { client, namespace, store }: GatewayConnection,
  { runId, eventCount }: Run,
): Promise<void> {
  const afterEvent = Math.max(0, eventCount - EVENTS_SHOWN);
  const { body } = await client.call("getHistory", {
    path: { namespace, runId },
    query: { store, afterEvent },
  });
  printer.line(`Events:${eventCount === 0 ? "       <none>" : ""}`);
  if (body.events.length === 0) return;
  const nowMs = Date.now();
  const rows = body.events.map((event) => [
    `  ${event.eventNo}`,
    ageOf(event.at, nowMs),
    event.kind,
    describeStep({ ...event, payload: event.payload })?.text ?? event.name ?? "",
  ]);
  for (const line of layOut([["  EVENT", "AGE", "KIND", "DETAIL"], ...rows]).lines) printer.line(line);
}

async function readResult(
  { client, namespace, store }: GatewayConnection,
  { runId }: Run,
): Promise<RunResult | undefined> {
  const answer = await client.call("getResult", { path: { namespace, runId }, query: { store } });
  return answer.status === 200 ? answer.body : undefined;
}

/** Needs a right of its own, which who describes a run need not have. */
async function readSearchData(
  { client, namespace, store }: GatewayConnection,
  { runId }: Run,
): Promise<Readonly<Record<string, string>> | undefined> {
  try {
    const { body } = await client.call("getSearchData", { path: { namespace, runId }, query: { store } });
    return body.search;
  } catch (error) {
    if (error instanceof GatewayProblem && error.status === 403) return undefined;
    throw error;
  }
}
