/**
 * What a schedule has done so far, and what becomes of it when the schedule is told something else. Kept as JSON in its row.
 */
import type { Backfill, OverlapPolicy, ScheduleDefinition } from "./definition.ts";

/** Why a run starts: a time, the trigger, or a backfill by its name. */
export type Cause =
  | { readonly kind: "time" | "trigger" }
  | { readonly kind: "backfill"; readonly name: string };

/** A start that waits for its turn. */
export interface StartRequest {
  readonly atMs: number;
  readonly cause: Cause;
  readonly overlap: OverlapPolicy;
}

/** How far a backfill is. */
export interface BackfillState {
  readonly name: string;
  readonly phase: "Running" | "Completed";
  /** Times up to this are made up for. */
  readonly doneUntilMs: number;
  /** The last time that belongs to it: what was still to come when it began is the schedule's own. */
  readonly untilMs: number;
  readonly started: number;
  readonly skipped: number;
}

/** What a schedule has done. */
export interface ScheduleState {
  /** Times up to this are settled: each fired, missed, skipped or waiting in the buffer. Never goes back. */
  readonly doneUntilMs: number;
  /** The last time that fired, or the moment at which the trigger did. */
  readonly lastFireMs: number | null;
  /** Times that fired. */
  readonly fired: number;
  /** Times that were too late to be made up for. */
  readonly missed: number;
  /** Times and triggers left out because a run was open. */
  readonly skipped: number;
  readonly pausedOnFailure: boolean;
  /** The trigger that was acted on last. */
  readonly lastTrigger: string | null;
  /** Starts that wait for open runs to end, oldest first. */
  readonly buffer: readonly StartRequest[];
  readonly backfills: readonly BackfillState[];
  /** What requests asked for, beside the definition (requests.ts); left out for nothing. */
  readonly requested?: RequestedState | undefined;
}

/** What requests asked of a schedule. */
export interface RequestedState {
  readonly paused: boolean;
  /** Triggers that wait for the next look. */
  readonly triggers: readonly string[];
  /** The last ones that were acted on: the same again starts nothing. */
  readonly doneTriggers: readonly string[];
  readonly backfills: readonly Backfill[];
}

/** Whether no time fires, and why. */
export function pauseOf(
  definition: Pick<ScheduleDefinition, "paused">,
  state: Pick<ScheduleState, "pausedOnFailure" | "requested">,
): "manifest" | "request" | "failure" | undefined {
  if (definition.paused) return "manifest";
  if (state.requested?.paused === true) return "request";
  return state.pausedOnFailure ? "failure" : undefined;
}

/** All backfills that are asked for. */
export function backfillsOf(
  definition: Pick<ScheduleDefinition, "backfills">,
  { requested }: Pick<ScheduleState, "requested">,
): readonly Backfill[] {
  return requested === undefined ? definition.backfills : [...definition.backfills, ...requested.backfills];
}

/** A schedule that is made now: only later times are its own. */
export function initialState(nowMs: number): ScheduleState {
  return {
    doneUntilMs: nowMs,
    lastFireMs: null,
    fired: 0,
    missed: 0,
    skipped: 0,
    pausedOnFailure: false,
    lastTrigger: null,
    buffer: [],
    backfills: [],
  };
}

/**
 * The state once another definition holds.
 *
 * Times that passed while it was paused, or that only the new definition has, are not made up for. To pause by the definition
 * forgives the failure that paused it before. A backfill that is no longer asked for is forgotten.
 */
export function stateUnder(
  next: ScheduleDefinition,
  known: { readonly definition: ScheduleDefinition; readonly state: ScheduleState },
  nowMs: number,
): ScheduleState {
  const { definition, state } = known;
  const pausedOnFailure = state.pausedOnFailure && !next.paused;
  const wasPaused = pauseOf(definition, state) !== undefined;
  const isPaused = pauseOf(next, { ...state, pausedOnFailure }) !== undefined;
  const beginsAnew = (wasPaused && !isPaused) || !sameWhen(definition, next);
  return {
    ...state,
    pausedOnFailure,
    doneUntilMs: beginsAnew ? Math.max(state.doneUntilMs, nowMs) : state.doneUntilMs,
    backfills: state.backfills.filter(({ name }) =>
      backfillsOf(next, state).some((backfill) => backfill.name === name),
    ),
  };
}

function sameWhen(one: ScheduleDefinition, other: ScheduleDefinition): boolean {
  return JSON.stringify(one.when) === JSON.stringify(other.when);
}
