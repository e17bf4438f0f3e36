/**
 * What requests ask of a schedule beside its manifest: to pause, to start a run now, to make up for a span of the past.
 *
 * Pure. Kept in the schedule's state, so that whoever writes the definition does not undo it; a schedule that is made anew
 * begins without.
 */
import { RequestRefusedError } from "../../core/errors.ts";
import type { Backfill, ScheduleDefinition } from "./definition.ts";
import { backfillsOf, pauseOf } from "./state.ts";
import type { RequestedState, ScheduleState } from "./state.ts";

/** What is known when a request comes. */
export interface RequestFacts {
  readonly definition: ScheduleDefinition;
  readonly state: ScheduleState;
  readonly nowMs: number;
}

/** Triggers that may wait for one look, and those that are remembered. */
const TRIGGERS_MAX = 100;
/** Backfills that requests may ask for in the life of a schedule: each is remembered by its name. */
const BACKFILLS_MAX = 100;

const NOTHING: RequestedState = { paused: false, triggers: [], doneTriggers: [], backfills: [] };

/** No time fires any more. */
export function pause({ state }: RequestFacts): ScheduleState {
  const requested = state.requested ?? NOTHING;
  return requested.paused ? state : { ...state, requested: { ...requested, paused: true } };
}

/**
 * Times fire again: those from now on.
 *
 * @throws {RequestRefusedError} When the manifest pauses it.
 */
export function resume({ definition, state, nowMs }: RequestFacts): ScheduleState {
  const by = pauseOf(definition, state);
  if (by === undefined) return state;
  if (by === "manifest") throw new RequestRefusedError("is paused by its manifest; set spec.paused to false");
  const requested = state.requested === undefined ? {} : { requested: { ...state.requested, paused: false } };
  return { ...state, ...requested, pausedOnFailure: false, doneUntilMs: Math.max(state.doneUntilMs, nowMs) };
}

/**
 * Starts a run at the next look.
 *
 * @param value - The same one again starts nothing.
 * @throws {RequestRefusedError} When too many wait.
 */
export function trigger({ state }: RequestFacts, value: string): ScheduleState {
  const requested = state.requested ?? NOTHING;
  if ([...requested.triggers, ...requested.doneTriggers].includes(value)) return state;
  if (requested.triggers.length >= TRIGGERS_MAX)
    throw new RequestRefusedError(`has ${TRIGGERS_MAX} triggers that wait; come again when they have fired`);
  return { ...state, requested: { ...requested, triggers: [...requested.triggers, value] } };
}

/**
 * Makes up for a span, once under its name.
 *
 * @throws {RequestRefusedError} When another one has the name, or there are too many.
 */
export function backfill({ definition, state }: RequestFacts, asked: Backfill): ScheduleState {
  const known = backfillsOf(definition, state).find(({ name }) => name === asked.name);
  if (known !== undefined) {
    if (sameSpan(known, asked)) return state;
    throw new RequestRefusedError(`has another backfill of the name "${asked.name}"; take a new name`);
  }
  const requested = state.requested ?? NOTHING;
  if (requested.backfills.length >= BACKFILLS_MAX)
    throw new RequestRefusedError(`has had ${BACKFILLS_MAX} backfills by requests; make it anew`);
  return { ...state, requested: { ...requested, backfills: [...requested.backfills, asked] } };
}

/** After a look: its triggers have been acted on. */
export function noteTriggers(requested: RequestedState): RequestedState {
  const done = [...requested.doneTriggers, ...requested.triggers];
  return { ...requested, triggers: [], doneTriggers: done.slice(-TRIGGERS_MAX) };
}

function sameSpan(one: Backfill, other: Backfill): boolean {
  return one.startAtMs === other.startAtMs && one.endAtMs === other.endAtMs && one.overlap === other.overlap;
}
