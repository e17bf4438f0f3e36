/**
 * History: the events of a run, in the order in which they settled its promises.
 *
 * Promises that the numbers below equal the rows of `event_kinds` in the migrations (a test compares them) and never
 * change their meaning. Payloads stay JSON text here: each consumer decodes its own copy.
 */

/** What happened, by its stored number. Started and ended are not events: the run's row says them. */
export const EVENT_KIND = {
  activityCompleted: 1,
  activityFailed: 2,
  timerFired: 3,
  signalReceived: 4,
  signalSent: 5,
  attemptFailed: 6,
  commandFailed: 7,
  childStarted: 10,
  childStartFailed: 11,
  childCompleted: 12,
  childFailed: 13,
  hookStarted: 14,
  hookStartFailed: 15,
  hookCompleted: 16,
  hookFailed: 17,
  entityChanged: 20,
  entityRead: 21,
  emitted: 30,
  traced: 31,
  sideEffectMarked: 32,
  interruptSent: 33,
  interruptRefused: 34,
  hookAttached: 35,
} as const;

/** One of the numbers of `EVENT_KIND`. */
export type EventKind = (typeof EVENT_KIND)[keyof typeof EVENT_KIND];

/** The word of each kind, as users see it in a history. */
export const EVENT_WORD: Readonly<Record<EventKind, string>> = {
  1: "activity_completed",
  2: "activity_failed",
  3: "timer_fired",
  4: "signal_received",
  5: "signal_sent",
  6: "attempt_failed",
  7: "command_failed",
  10: "child_started",
  11: "child_start_failed",
  12: "child_completed",
  13: "child_failed",
  14: "hook_started",
  15: "hook_start_failed",
  16: "hook_completed",
  17: "hook_failed",
  20: "entity_changed",
  21: "entity_read",
  30: "emitted",
  31: "traced",
  32: "side_effect_marked",
  33: "interrupt_sent",
  34: "interrupt_refused",
  35: "hook_attached",
};

/** How long a signal without an address is kept when nobody waits for it, unless its sender says. */
export const STRAY_SIGNAL_MS: number = 24 * 60 * 60 * 1000;

/** An event before its flush: its number within the run is given when the flush is built. */
export interface EventDraft {
  readonly kind: EventKind;
  /** The command it answers (0-based, program order); null for what came from outside. */
  readonly position: number | null;
  /** Activity, signal id, workflow or entity operation. */
  readonly name: string | null;
  /** JSON text; null stands for undefined. */
  readonly payload: string | null;
}

/** An event as history keeps it. */
export interface HistoryEvent extends EventDraft {
  /** 1-based, no gaps within a run. */
  readonly eventNo: number;
  /** The database's clock when it was recorded, in epoch milliseconds. */
  readonly atMs: number;
  /** The entity's number at this event; null unless it is about the entity. */
  readonly entityNo: number | null;
}

/** The payload of a signal's event: who sent it, and its data as JSON text put in place. */
export function encodeSignalPayload(fromRunId: string | null, data: string | null): string {
  const from = fromRunId === null ? "null" : `"${fromRunId}"`;
  return data === null ? `{"from":${from}}` : `{"from":${from},"data":${data}}`;
}
