/**
 * I9: replaying any history makes the same commands, and ends as the run ended.
 */
import { isDeepStrictEqual } from "node:util";
import type { Command } from "../../core/commands.ts";
import { EVENT_KIND } from "../../core/events.ts";
import type { EventKind, HistoryEvent } from "../../core/events.ts";
import type { FailureJson } from "../../core/failure.ts";
import type { Json } from "../../core/json.ts";
import type { NumberedChange } from "../../replay/entity-view.ts";
import type { Invoke } from "../../replay/run-machine.ts";
import type { RunFacts } from "../../replay/run-context.ts";
import { guardProcess } from "../../worker/process-guards.ts";
import type { StoreSnapshot } from "../store-snapshot.ts";
import { replayRun } from "./replay-run.ts";
import type { RecordedRun, Replay } from "./replay-run.ts";

interface RunRow {
  run_id: string;
  entity_id: string;
  parent_run_id: string | null;
  parent_position: number | null;
  hook: boolean;
  started_ms: number;
  status: string;
  task_queue: string;
  workflow_name: string;
  workflow_id: string;
  dialect: string;
  input: string | null;
  options: string | null;
  result: string | null;
  failure: FailureJson | null;
}

interface EventRow {
  run_id: string;
  event_no: number;
  kind: number;
  position: number | null;
  at_ms: number;
  name: string | null;
  payload: string | null;
  entity_id: string | null;
  entity_no: string | null;
}

/** How a run came out. */
type Outcome = Pick<RunRow, "status" | "result" | "failure">;

const RUNS = `
  select run_id, entity_id, parent_run_id, parent_position, hook, status, task_queue, workflow_name, workflow_id, dialect,
    extract(epoch from started_at)::double precision * 1000 as started_ms, input::text as input, options::text as options,
    result::text as result, failure
  from :schema.runs
  where problem is null and workflow_name = any ($1) and ($2::text is null or task_queue = $2)
  order by run_id`;

const EVENTS = `
  select run_id, event_no, kind, position, extract(epoch from at)::double precision * 1000 as at_ms, name,
    payload::text as payload, entity_id, entity_no
  from :schema.events
  where run_id = any ($1::uuid[]) or entity_id = any ($2::uuid[])
  order by run_id, event_no`;

/**
 * Replays every history of these workflows twice and compares commands, recorded answers and outcomes.
 *
 * @param options - `workflows`: workflow and hook functions by name, as a worker has them; other runs are left out.
 *   `taskQueue`: the runs of this queue alone.
 */
export async function checkReplays(
  snapshot: StoreSnapshot,
  {
    workflows,
    taskQueue,
  }: { readonly workflows: ReadonlyMap<string, Invoke>; readonly taskQueue?: string | undefined },
): Promise<string[]> {
  await guardProcess();
  const runs = await snapshot.rows<RunRow>(RUNS, [[...workflows.keys()], taskQueue ?? null]);
  const events = await snapshot.rows<EventRow>(EVENTS, [
    runs.map((run) => run.run_id),
    runs.map((run) => run.entity_id),
  ]);
  const histories = Map.groupBy(events, (row) => row.run_id);
  const logs = Map.groupBy(
    events.filter((row) => row.kind === EVENT_KIND.entityChanged),
    (row) => row.entity_id ?? "",
  );
  const findings: string[] = [];
  for (const run of runs) {
    const recorded: RecordedRun = {
      facts: factsOf(run, snapshot.schema),
      events: (histories.get(run.run_id) ?? []).map(toEvent),
      changes: (logs.get(run.entity_id) ?? []).map(toChange),
    };
    const found = await replayTwice(recorded, workflows.get(run.workflow_name), run);
    findings.push(...found.map((text) => `I9: run "${run.run_id}" of "${run.workflow_name}": ${text}`));
  }
  return findings;
}

async function replayTwice(
  recorded: RecordedRun,
  invoke: Invoke | undefined,
  outcome: Outcome,
): Promise<string[]> {
  if (invoke === undefined) return [];
  try {
    const replay = await inMacrotask(() => replayRun(recorded, invoke));
    const again = await inMacrotask(() => replayRun(recorded, invoke));
    const same = isDeepStrictEqual(replay.commands.map(plain), again.commands.map(plain));
    return [
      ...(same ? [] : ["two replays of it made different commands"]),
      ...compareAnswers(recorded.events, replay.commands),
      ...compareOutcome(replay, outcome),
    ];
  } catch (error) {
    return [`its replay failed: ${String(error)}`];
  }
}

/** What history recorded of a command must be what the replay asks for. */
function compareAnswers(events: readonly HistoryEvent[], commands: readonly Command[]): string[] {
  const byPosition = new Map(
    commands.filter(({ kind }) => kind !== "cancel_timer").map((command) => [command.position, command]),
  );
  const findings: string[] = [];
  for (const event of events) {
    if (event.position === null || event.kind === EVENT_KIND.attemptFailed) continue;
    const command = byPosition.get(event.position);
    if (command === undefined)
      findings.push(`event ${event.eventNo} answers position ${event.position}, which no command has`);
    else if (!isRecorded(event, command)) {
      findings.push(
        `event ${event.eventNo} holds ${event.payload}, the replay asks for ${JSON.stringify(plain(command))}`,
      );
    }
  }
  return findings;
}

/** Children and entity changes are recorded with what was asked; other events hold answers alone. */
function isRecorded(event: HistoryEvent, command: Command): boolean {
  if (command.kind === "entity" && event.kind !== EVENT_KIND.commandFailed) {
    return isDeepStrictEqual(parse(event.payload), parse(command.payload));
  }
  const started = event.kind === EVENT_KIND.childStarted || event.kind === EVENT_KIND.hookStarted;
  if (!started || (command.kind !== "child" && command.kind !== "hook")) return true;
  const { runId, workflowId } = command;
  return isDeepStrictEqual(parse(event.payload), { runId, workflowId });
}

function compareOutcome({ state }: Replay, { status, result, failure }: Outcome): string[] {
  if (status === "completed") {
    const same = state.kind === "completed" && isDeepStrictEqual(parse(state.result), parse(result));
    return same ? [] : [`it completed with ${result}, its replay is ${describe(state)}`];
  }
  // A result that Postgres refused fails the run in its place.
  if (status !== "failed" || failure?.code === "RECORD_REFUSED") return [];
  const { name, message } = failure ?? { name: "", message: "" };
  const same = state.kind === "failed" && state.failure.name === name && state.failure.message === message;
  return same ? [] : [`it failed with ${name}: ${message}, its replay is ${describe(state)}`];
}

function describe(state: Replay["state"]): string {
  if (state.kind === "completed") return `completed with ${state.result}`;
  return state.kind === "waiting" ? "waiting" : `failed with ${state.failure.name}: ${state.failure.message}`;
}

/** A command without the function that only this process has. */
function plain(command: Command): Command {
  return command.kind === "activity" ? { ...command, implementation: undefined } : command;
}

function parse(text: string | null): Json | undefined {
  return text === null ? undefined : (JSON.parse(text) as Json);
}

function factsOf(run: RunRow, namespace: string): RunFacts {
  return {
    runId: run.run_id,
    workflowId: run.workflow_id,
    workflowName: run.workflow_name,
    taskQueue: run.task_queue,
    namespace,
    entityId: run.entity_id,
    parentRunId: run.parent_run_id,
    parentPosition: run.parent_position,
    hook: run.hook,
    dialect: run.dialect,
    startedMs: run.started_ms,
    input: run.input,
    options: run.options,
  };
}

function toEvent(row: EventRow): HistoryEvent {
  return {
    eventNo: row.event_no,
    kind: row.kind as EventKind,
    position: row.position,
    atMs: row.at_ms,
    name: row.name,
    payload: row.payload,
    entityNo: row.entity_no === null ? null : Number(row.entity_no),
  };
}

function toChange(row: EventRow): NumberedChange {
  return { entityNo: Number(row.entity_no), payload: row.payload ?? "null" };
}

/** Inside a microtask a machine's drain does nothing. */
function inMacrotask<Result>(work: () => Result): Promise<Result> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(work());
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}
