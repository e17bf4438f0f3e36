/**
 * Decides what a schedule does now: which times fire, which are too late, what waits, and when to look again.
 *
 * A pure function of definition, state, open runs and the time. Promises that each time is settled exactly once, in order,
 * whatever the clock does; and that one call does a bounded piece of work: what is left has `nextMs` of now.
 */
import type { Backfill, ScheduleDefinition } from "./definition.ts";
import { OverlapDesk } from "./overlap-desk.ts";
import type { RunEnd } from "./overlap-desk.ts";
import { noteTriggers } from "./requests.ts";
import { backfillsOf, pauseOf } from "./state.ts";
import type { BackfillState, Cause, ScheduleState, StartRequest } from "./state.ts";
import { dueMs } from "./times.ts";
import type { Times } from "./times.ts";

/** What is known of a schedule. */
export interface FiringFacts {
  readonly scheduleId: string;
  readonly definition: ScheduleDefinition;
  readonly times: Times;
  readonly state: ScheduleState;
  /** Its open runs. */
  readonly open: readonly string[];
  /** How those ended that were open at the last look, and were not ended by the schedule. */
  readonly endedStatuses: readonly string[];
  readonly nowMs: number;
  /** Times that may be computed; shared by the schedules of one batch. */
  readonly budget: TimesBudget;
}

/** How many times may still be computed. */
export interface TimesBudget {
  left: number;
}

/** A run to start. */
export interface PlannedStart extends StartRequest {
  readonly workflowId: string;
}

/** What is to be done, in one transaction. */
export interface FiringPlan {
  readonly ends: readonly RunEnd[];
  readonly starts: readonly PlannedStart[];
  readonly state: ScheduleState;
  /** When to look at it again; undefined for never by itself. */
  readonly nextMs: number | undefined;
  /** True when the end of its runs should be heard of at once. */
  readonly watch: boolean;
}

/** A start that waits looks for the end of the open runs this often, should nobody tell. */
const LOOK_FOR_END_MS = 10_000;
/** So does a schedule that pauses when a run fails. */
const LOOK_FOR_FAILURE_MS = 60_000;

/** @returns The plan; `facts.budget` is used up by it. */
export function planFiring(facts: FiringFacts): FiringPlan {
  const { definition, nowMs, open } = facts;
  const state = notedFailure(facts);
  const paused = pauseOf(definition, state) !== undefined;
  const desk = new OverlapDesk({ open, mayStart: ({ kind }) => !paused || kind !== "time" });
  for (const request of state.buffer) if (isWithinLimit(facts, desk, request.cause)) desk.take(request);
  if (definition.trigger !== null && definition.trigger !== state.lastTrigger)
    desk.take({ atMs: nowMs, cause: { kind: "trigger" }, overlap: definition.overlap });
  for (const _ of state.requested?.triggers ?? [])
    desk.take({ atMs: nowMs, cause: { kind: "trigger" }, overlap: definition.overlap });
  const settled = paused
    ? { doneUntilMs: state.doneUntilMs, missed: 0, dueMs: undefined }
    : takeDue(facts, desk);
  const backfills = takeBackfills(facts, desk);

  const timesAmong = (requests: readonly StartRequest[]): StartRequest[] =>
    requests.filter(({ cause }) => cause.kind === "time");
  const fired = timesAmong(desk.starts);
  const firedMs = desk.starts.flatMap(({ atMs, cause }) => (cause.kind === "backfill" ? [] : [atMs]));
  return {
    ends: desk.ends,
    starts: desk.starts.map((start) => ({ ...start, workflowId: workflowIdOf(definition, start) })),
    state: {
      ...state,
      doneUntilMs: settled.doneUntilMs,
      lastFireMs: firedMs.length === 0 ? state.lastFireMs : Math.max(...firedMs, state.lastFireMs ?? 0),
      fired: state.fired + fired.length,
      missed: state.missed + settled.missed,
      skipped: state.skipped + desk.skipped.filter(({ cause }) => cause.kind !== "backfill").length,
      lastTrigger: definition.trigger ?? state.lastTrigger,
      buffer: desk.buffer,
      backfills: backfills.states,
      ...(state.requested === undefined ? {} : { requested: noteTriggers(state.requested) }),
    },
    nextMs: earliest([
      settled.dueMs,
      backfills.more ? nowMs : undefined,
      desk.waiting || backfills.waiting ? nowMs + LOOK_FOR_END_MS : undefined,
      definition.pauseOnFailure && !paused && desk.busy ? nowMs + LOOK_FOR_FAILURE_MS : undefined,
    ]),
    watch: definition.pauseOnFailure || backfills.waiting || buffers(definition.overlap) || desk.waiting,
  };
}

/**
 * The state when some starts were refused, because open runs of others have their workflow ids: such a time is left out.
 *
 * @param refused - Of the plan's starts.
 */
export function stateWithout(state: ScheduleState, refused: readonly StartRequest[]): ScheduleState {
  const countOf = (kind: Cause["kind"]): number => refused.filter(({ cause }) => cause.kind === kind).length;
  return {
    ...state,
    fired: state.fired - countOf("time"),
    skipped: state.skipped + countOf("time") + countOf("trigger"),
    backfills: state.backfills.map((backfill) => {
      const lost = refused.filter(
        ({ cause }) => cause.kind === "backfill" && cause.name === backfill.name,
      ).length;
      return { ...backfill, started: backfill.started - lost, skipped: backfill.skipped + lost };
    }),
  };
}

/** True when no time fires any more. */
export function isFinished(definition: ScheduleDefinition, state: ScheduleState, times: Times): boolean {
  const reached = definition.limitRuns !== null && state.fired >= definition.limitRuns;
  return reached || times.after(state.doneUntilMs) === undefined;
}

function notedFailure({ definition, endedStatuses, state }: FiringFacts): ScheduleState {
  const failed = definition.pauseOnFailure && endedStatuses.some((status) => status !== "completed");
  return failed && !definition.paused ? { ...state, pausedOnFailure: true } : state;
}

function isWithinLimit({ definition, state }: FiringFacts, desk: OverlapDesk, cause: Cause): boolean {
  if (cause.kind !== "time" || definition.limitRuns === null) return true;
  const taken = [...desk.starts, ...desk.buffer].filter(({ cause: other }) => other.kind === "time").length;
  return state.fired + taken < definition.limitRuns;
}

/** Takes the times that are due, as far as the budget goes. */
function takeDue(
  facts: FiringFacts,
  desk: OverlapDesk,
): { readonly doneUntilMs: number; readonly missed: number; readonly dueMs: number | undefined } {
  const { budget, definition, nowMs, scheduleId, state, times } = facts;
  const { jitterMs } = definition.when;
  let { doneUntilMs } = state;
  let missed = 0;
  for (;;) {
    if (!isWithinLimit(facts, desk, { kind: "time" })) return { doneUntilMs, missed, dueMs: undefined };
    if (budget.left <= 0) return { doneUntilMs, missed, dueMs: nowMs };
    budget.left -= jitterMs > 0 ? 2 : 1;
    const atMs = times.after(doneUntilMs);
    if (atMs === undefined) return { doneUntilMs, missed, dueMs: undefined };
    const followingMs = jitterMs > 0 ? times.after(atMs) : undefined;
    const due = dueMs({ scheduleId, atMs, followingMs, jitterMs });
    if (due > nowMs) return { doneUntilMs, missed, dueMs: due };
    if (nowMs - due > definition.catchupWindowMs) missed += 1;
    else desk.take({ atMs, cause: { kind: "time" }, overlap: definition.overlap });
    doneUntilMs = atMs;
  }
}

interface BackfillRound {
  readonly states: readonly BackfillState[];
  /** Some can go on at once. */
  readonly more: boolean;
  /** One waits until no run is open. */
  readonly waiting: boolean;
}

/** Takes the next times of each backfill, as far as the budget goes. */
function takeBackfills(facts: FiringFacts, desk: OverlapDesk): BackfillRound {
  const states: BackfillState[] = [];
  let more = false;
  let waiting = false;
  for (const backfill of backfillsOf(facts.definition, facts.state)) {
    const before =
      facts.state.backfills.find(({ name }) => name === backfill.name) ?? begun(backfill, facts.nowMs);
    const after =
      before.phase === "Completed" ? before : takeBackfill(facts, desk, { backfill, state: before });
    states.push(after);
    if (after.phase === "Completed") continue;
    if (backfill.overlap === "BufferAll" && desk.busy) waiting = true;
    else more = true;
  }
  return { states, more, waiting };
}

function begun({ name, startAtMs, endAtMs }: Backfill, nowMs: number): BackfillState {
  const untilMs = Math.min(endAtMs, nowMs);
  return { name, phase: "Running", doneUntilMs: startAtMs - 1, untilMs, started: 0, skipped: 0 };
}

function takeBackfill(
  { budget, times }: FiringFacts,
  desk: OverlapDesk,
  { backfill, state }: { readonly backfill: Backfill; readonly state: BackfillState },
): BackfillState {
  const { name, overlap } = backfill;
  const count = (requests: readonly StartRequest[]): number =>
    requests.filter(({ cause }) => cause.kind === "backfill" && cause.name === name).length;
  let { doneUntilMs } = state;
  let phase: BackfillState["phase"] = "Running";
  while (budget.left > 0) {
    // One after another: the span itself is the buffer, however long it is.
    if (overlap === "BufferAll" && desk.busy) break;
    budget.left -= 1;
    const atMs = times.after(doneUntilMs);
    if (atMs === undefined || atMs > state.untilMs) {
      phase = "Completed";
      break;
    }
    desk.take({ atMs, cause: { kind: "backfill", name }, overlap });
    doneUntilMs = atMs;
  }
  const started = state.started + count(desk.starts);
  return { ...state, phase, doneUntilMs, started, skipped: state.skipped + count(desk.skipped) };
}

function buffers(overlap: ScheduleDefinition["overlap"]): boolean {
  return overlap === "BufferOne" || overlap === "BufferAll";
}

/** A trigger is told from a time of the same second by its milliseconds, as far as it has some. */
function workflowIdOf({ run }: ScheduleDefinition, { atMs }: StartRequest): string {
  return `${run.workflowIdPrefix}-${new Date(atMs).toISOString().replace(".000Z", "Z")}`;
}

function earliest(moments: readonly (number | undefined)[]): number | undefined {
  const known = moments.filter((ms) => ms !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
