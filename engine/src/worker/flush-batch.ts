/**
 * Turns what runs have to record into the parameters of one `flush_runs` call.
 *
 * Promises runs in ascending order of their ids, event numbers without gaps, and nothing but parameters: pure but for
 * the clock that it is given.
 */
import { EVENT_KIND, STRAY_SIGNAL_MS } from "../core/events.ts";
import type { EventDraft, HistoryEvent } from "../core/events.ts";
import {
  boolArray,
  int2Array,
  int4Array,
  jsonArray,
  textArray,
  timestamptzArray,
  uuidArray,
} from "../store/binary-arrays.ts";
import { payloadMember } from "../store/json-member.ts";
import type { OwnedRun, PendingEvent, RunContribution, RunProblem, WaitRow } from "./owned-run.ts";

/** Bounds of one flush: more waits for the next. */
export const FLUSH_RUNS_MAX = 2_000;
export const FLUSH_EVENTS_MAX = 5_000;
export const FLUSH_BYTES_MAX: number = 8 * 1024 * 1024;

/** A snapshot is written when its tail has outgrown it: the bytes written per change stay bounded. */
const SNAPSHOT_TAIL_BYTES_MIN = 16 * 1024;
/** At rest a snapshot of this size is written for any change, */
const SNAPSHOT_SMALL_BYTES = 8 * 1024;
/** a larger one when its tail has grown to this part of it. */
const SNAPSHOT_REST_SHARE = 4;

/** Takes what a run has to record now, at most `eventsMax` events; undefined when its row would not change. */
export function contributionOf(
  run: OwnedRun,
  limits: { readonly nowMs: number; readonly eventsMax: number; readonly bytesMax: number },
): RunContribution | undefined {
  if (run.diagnosing) return undefined;
  if (run.problem !== undefined) return givenUp(run, run.problem);
  const taken = takePending(run, run.oneByOne ? { ...limits, eventsMax: 1 } : limits);
  // Whole milliseconds: what a row keeps of a finer time could read as the next one on replay.
  const atMs = Math.floor(Math.max(limits.nowMs, run.lastEventMs));
  const events =
    taken.length === 0
      ? NONE
      : taken.map(({ draft }, index) => eventOf(draft, run.eventCount + index + 1, atMs));
  const all = taken.length === run.pending.length;
  if (run.pending.length === 0) run.oneByOne = false;
  const end =
    all && (!run.oneByOne || taken.length === 0) && run.unapplied.length === 0 ? run.end : undefined;
  const busy = run.busy;
  const wakeAtMs = busy ? null : run.wakeAtMs;
  const release = releaseOf(run, all && end === undefined);
  const waits = run.newWaits.size > 0 && isUpToDate(run) ? takeWaits(run) : NONE;
  const waitsDone =
    run.waitRows.size === 0
      ? NONE
      : rowsOf(run.waitRows).filter((row) => !run.machine.context.pending.has(row.position));
  // Progress forgives what earlier owners died of: the row says so with the first event.
  const forgiven = run.blamed && events.length > 0;
  const changed = forgiven || busy !== run.recorded.busy || wakeAtMs !== run.recorded.wakeAtMs;
  const snapshot = snapshotOf(run, { ending: end !== undefined, resting: !busy });
  if (
    !changed &&
    events.length === 0 &&
    end === undefined &&
    release === undefined &&
    waits.length === 0 &&
    waitsDone.length === 0 &&
    run.writes.size === 0 &&
    run.activitiesDone.length === 0 &&
    run.discarded.length === 0 &&
    !run.cancelsHooks &&
    snapshot === undefined
  )
    return undefined;
  if (release !== undefined) forgetUnbegun(run);
  const { activitiesDone, discarded, cancelsHooks } = run;
  const writes = run.writes.size === 0 ? NONE : [...run.writes.values()];
  if (writes.length > 0) run.writes = new Map();
  if (activitiesDone.length > 0) run.activitiesDone = [];
  if (discarded.length > 0) run.discarded = [];
  run.cancelsHooks = false;
  return {
    run,
    eventCount: run.eventCount + events.length,
    rowChanges: changed || end !== undefined,
    busy,
    wakeAtMs,
    events,
    pendings: taken,
    writes,
    // What stays with the run grows on; what is taken does not.
    activitiesDone: activitiesDone.length > 0 ? activitiesDone : NONE,
    waits,
    waitsDone,
    discarded: discarded.length > 0 ? discarded : NONE,
    cancelsHooks,
    snapshot,
    end,
    release,
  };
}

/** Most parts of most contributions. */
const NONE: readonly never[] = [];

/** Written out: a spread costs several times as much, and there is one event per step. */
function eventOf({ kind, position, name, payload }: EventDraft, eventNo: number, atMs: number): HistoryEvent {
  return { kind, position, name, payload, eventNo, atMs, entityNo: null };
}

/** A run with a problem leaves as its rows say: what it wanted to record besides may be what Postgres refuses. */
function givenUp(run: OwnedRun, problem: RunProblem): RunContribution {
  return {
    run,
    eventCount: run.eventCount,
    rowChanges: true,
    busy: false,
    wakeAtMs: null,
    events: [],
    pendings: [],
    writes: [],
    activitiesDone: [],
    waits: [],
    waitsDone: [],
    discarded: [],
    cancelsHooks: false,
    snapshot: undefined,
    end: undefined,
    release: { ready: false, problem },
  };
}

/** Its code has seen everything there is: what it waits for now, it waits for until something comes. */
function isUpToDate(run: OwnedRun): boolean {
  return (
    run.pending.length === 0 &&
    run.unapplied.length === 0 &&
    !run.feeding &&
    !run.unread &&
    run.end === undefined
  );
}

/** The waits that need a row; those that were over before they got one never do. */
function takeWaits(run: OwnedRun): WaitRow[] {
  for (const position of run.newWaits.keys())
    if (!run.machine.context.pending.has(position)) run.newWaits.delete(position);
  return rowsOf(run.newWaits);
}

/** A run is given up when no attempt of it runs here; what it has not done yet, its next owner does. */
function releaseOf(run: OwnedRun, all: boolean): RunContribution["release"] {
  if (!run.releasing || !all || run.end !== undefined) return undefined;
  for (const { state } of run.activities.values()) if (state === "running") return undefined;
  return { ready: run.busy, problem: undefined };
}

/** A single attempt whose row came first and that has not begun is not lost with its owner: it leaves no row. */
function forgetUnbegun(run: OwnedRun): void {
  for (const [position, { state, written, command }] of run.activities) {
    if (!written || command.policy.maximumAttempts > 1 || (state !== "waiting" && state !== "writing"))
      continue;
    run.writes.delete(position);
    run.activitiesDone.push(position);
  }
}

function takePending(
  run: OwnedRun,
  limits: { readonly eventsMax: number; readonly bytesMax: number },
): readonly PendingEvent[] {
  if (run.pending.length === 0) return NONE;
  let bytes = 0;
  let count = 0;
  for (const pending of run.pending) {
    if (count >= limits.eventsMax) break;
    bytes += pending.draft.payload?.length ?? 0;
    if (count > 0 && bytes > limits.bytesMax) break;
    count += 1;
  }
  return run.pending.slice(0, count);
}

function rowsOf(rows: ReadonlyMap<number, string>): WaitRow[] {
  if (rows.size === 0) return [];
  return [...rows].map(([position, signalId]) => ({ position, signalId }));
}

function snapshotOf(
  run: OwnedRun,
  { ending, resting }: { readonly ending: boolean; readonly resting: boolean },
): RunContribution["snapshot"] {
  if (run.machine.context.entityNo <= run.snapshotNo) return undefined;
  const view = run.machine.context.entity;
  if (!ending && run.changedBytes < snapshotDueBytes(run, resting)) return undefined;
  const { document, search } = view.memory;
  return { no: view.entityNo, document: JSON.stringify(document), search: JSON.stringify(search) };
}

/** How long a tail may grow: at rest it is kept shorter, so that readers rarely fold, but never for the price of a long document. */
function snapshotDueBytes({ snapshotBytes }: OwnedRun, resting: boolean): number {
  if (!resting) return Math.max(SNAPSHOT_TAIL_BYTES_MIN, snapshotBytes);
  return snapshotBytes <= SNAPSHOT_SMALL_BYTES ? 1 : snapshotBytes / SNAPSHOT_REST_SHARE;
}

/** The parameters of `flush_runs` after the writer and the number. */
export function flushValues(contributions: readonly RunContribution[]): unknown[] {
  const runs = [...contributions].sort((a, b) => (a.run.id < b.run.id ? -1 : 1));
  const rows = runs.filter(({ rowChanges }) => rowChanges);
  const events: { readonly runId: string; readonly event: HistoryEvent }[] = [];
  for (const { run, events: own, pendings } of runs) {
    for (let index = 0; index < own.length; index += 1) {
      const event = own[index];
      if (event !== undefined && !insertedElsewhere(pendings[index])) events.push({ runId: run.id, event });
    }
  }
  return [
    uuidArray(runs.map(({ run }) => run.id)),
    int4Array(runs.map(({ run }) => run.epoch)),
    uuidArray(rows.map(({ run }) => run.id)),
    int4Array(rows.map(({ run }) => run.epoch)),
    int4Array(rows.map(({ eventCount }) => eventCount)),
    boolArray(rows.map(({ busy, end }) => busy && end === undefined)),
    timestamptzArray(rows.map(({ wakeAtMs }) => wakeAtMs)),
    textArray(rows.map(({ end }) => end?.status ?? null)),
    jsonArray(rows.map(({ end }) => end?.result ?? null)),
    jsonArray(
      rows.map(({ end }) => (end === undefined || end.failure === null ? null : JSON.stringify(end.failure))),
    ),
    uuidArray(events.map(({ runId }) => runId)),
    int4Array(events.map(({ event }) => event.eventNo)),
    int2Array(events.map(({ event }) => event.kind)),
    int4Array(events.map(({ event }) => event.position)),
    timestamptzArray(events.map(({ event }) => event.atMs)),
    textArray(events.map(({ event }) => event.name)),
    jsonArray(events.map(({ event }) => event.payload)),
    extraOf(runs),
  ];
}

/** Entity operations get their number, children, hooks and interrupts their fate, where they are written. */
function insertedElsewhere(pending: PendingEvent | undefined): boolean {
  return (
    pending?.command?.kind === "entity" ||
    pending?.command?.kind === "child" ||
    pending?.command?.kind === "hook" ||
    pending?.command?.kind === "interrupt"
  );
}

/** JSON of one array member, its payloads put in as they are. */
type Member = string;

/** The part of a flush that most flushes do not have; null then. */
function extraOf(runs: readonly RunContribution[]): string | null {
  const parts = new Map<string, Member[]>();
  const add = (part: string, member: Member): void => {
    const list = parts.get(part);
    if (list === undefined) parts.set(part, [member]);
    else list.push(member);
  };
  for (const contribution of runs) addExtra(contribution, add);
  if (parts.size === 0) return null;
  return `{${[...parts].map(([part, members]) => `"${part}":[${members.join(",")}]`).join(",")}}`;
}

function addExtra(contribution: RunContribution, add: (part: string, member: Member) => void): void {
  const { run } = contribution;
  const by = run.id;
  for (let index = 0; index < contribution.pendings.length; index += 1) {
    const pending = contribution.pendings[index];
    if (pending === undefined || (pending.messageId === undefined && pending.command === undefined)) continue;
    const event = contribution.events[index];
    if (pending.messageId !== undefined) add("consumed", object({ run: by, message: pending.messageId }));
    if (pending.command !== undefined && event !== undefined) addCommand(run, pending.command, event, add);
  }
  for (const message of contribution.discarded) add("consumed", object({ run: by, message }));
  for (const write of contribution.writes) {
    add(
      "activities",
      object(
        {
          run: by,
          position: write.position,
          attempt: write.attempt,
          state: write.state,
          due_ms: write.dueInMs,
          task_queue: write.taskQueue,
          name: write.name,
          policy: write.policy,
          failure: write.failure,
        },
        write.state === "queued" ? { args: write.args } : {},
      ),
    );
  }
  for (const position of contribution.activitiesDone) add("activities_done", object({ run: by, position }));
  for (const row of contribution.waits)
    add("waits", object({ run: by, position: row.position, name: row.signalId }));
  for (const row of contribution.waitsDone) {
    add("waits_done", object({ run: by, position: row.position, name: row.signalId }));
  }
  if (contribution.snapshot !== undefined) {
    const { no, document, search } = contribution.snapshot;
    add("snapshots", object({ run: by, entity: run.facts.entityId, no }, { document, search }));
  }
  if (contribution.release !== undefined) {
    add(
      "releases",
      object({ run: by, ready: contribution.release.ready, problem: contribution.release.problem }),
    );
  }
  if (contribution.cancelsHooks || (contribution.end !== undefined && run.hasHooks))
    add("cancels", object({ by, status: "canceled", failure: HOOK_CANCELED }));
  if (contribution.end !== undefined) addEnd(contribution, add);
}

function addCommand(
  run: OwnedRun,
  command: NonNullable<PendingEvent["command"]>,
  event: HistoryEvent,
  add: (part: string, member: Member) => void,
): void {
  const at = new Date(event.atMs).toISOString();
  switch (command.kind) {
    case "entity":
      add(
        "entities",
        object(
          {
            run: run.id,
            no: event.eventNo,
            at,
            position: event.position,
            kind: event.kind,
            name: event.name,
            entity: run.facts.entityId,
          },
          { payload: event.payload },
        ),
      );
      return;
    case "signal":
      if (command.toRunId === null) {
        add(
          "signals",
          object(
            { by: run.id, from: run.id, name: command.signalId, ttl_ms: STRAY_SIGNAL_MS },
            { payload: command.payload },
          ),
        );
      } else {
        add(
          "messages",
          object(
            {
              by: run.id,
              to: command.toRunId,
              from: run.id,
              kind: EVENT_KIND.signalReceived,
              name: command.signalId,
            },
            { payload: command.payload },
          ),
        );
      }
      return;
    case "emit":
    case "trace":
    case "mark":
      // The event says it all.
      return;
    case "interrupt":
      add("reached", JSON.stringify(command.workflowId));
      add(
        "interrupts",
        object(
          {
            by: run.id,
            no: event.eventNo,
            at,
            position: command.position,
            workflow_id: command.workflowId,
            descend: command.descend,
            retention_seconds: command.retentionSeconds,
          },
          { failure: command.failure },
        ),
      );
      return;
    default:
      if (command.into !== null) add("reached", JSON.stringify(command.into));
      add(
        command.into === null ? "children" : "hooks",
        object(
          {
            by: run.id,
            no: event.eventNo,
            at,
            position: command.position,
            run: command.runId,
            workflow_id: command.workflowId,
            workflow_name: command.workflowName,
            task_queue: command.taskQueue,
            into: command.into,
            parent: run.id,
            parent_position: command.awaited ? command.position : null,
            hook: command.kind === "hook",
            entity: command.kind === "hook" ? run.facts.entityId : null,
            dialect: run.facts.dialect,
            retention_seconds: command.retentionSeconds,
            delay_ms: command.delayMs,
          },
          { input: command.args, options: command.options },
        ),
      );
      if (command.entityType !== null || command.search !== null)
        add(
          "seeds",
          object({ by: run.id, run: command.runId, type: command.entityType }, { search: command.search }),
        );
  }
}

function addEnd(contribution: RunContribution, add: (part: string, member: Member) => void): void {
  const { run, end } = contribution;
  if (end === undefined) return;
  if (run.rowsOutside || run.waitRows.size > 0) add("ended", object({ run: run.id }));
  const { parentRunId, parentPosition } = run.facts;
  if (parentRunId !== null && parentPosition !== null) {
    const completed = end.status === "completed";
    const kind = run.facts.hook
      ? completed
        ? EVENT_KIND.hookCompleted
        : EVENT_KIND.hookFailed
      : completed
        ? EVENT_KIND.childCompleted
        : EVENT_KIND.childFailed;
    add(
      "messages",
      object(
        {
          by: run.id,
          to: parentRunId,
          from: run.id,
          position: parentPosition,
          kind,
          name: run.facts.workflowName,
        },
        { payload: completed ? end.result : JSON.stringify(end.failure) },
      ),
    );
  }
}

const HOOK_CANCELED = {
  name: "CanceledError",
  base: "CanceledError",
  code: "CANCELED",
  message: "the run of this hook has ended",
} as const;

/** One member: plain values are encoded, `raw` holds JSON text as it is; null and undefined are left out. */
function object(
  plain: Readonly<Record<string, unknown>>,
  raw: Readonly<Record<string, string | null>> = {},
): Member {
  const parts: string[] = [];
  for (const [key, value] of Object.entries(plain)) {
    if (value !== undefined && value !== null) parts.push(`"${key}":${JSON.stringify(value)}`);
  }
  for (const [key, text] of Object.entries(raw)) {
    const member = payloadMember(key, text);
    if (member !== undefined) parts.push(member);
  }
  return `{${parts.join(",")}}`;
}
