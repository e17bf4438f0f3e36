/**
 * The status of a Schedule, and what to tell of the difference to the one before.
 *
 * Pure. Promises that a status changes only when the schedule did something or was told something, never because time went by.
 */
import type { SCHEDULE_CONDITIONS, SCHEDULE_EVENTS, ScheduleStatus } from "@memflow/crds";
import type { ScheduleRecord } from "@memflow/engine/provision";
import type { ClaimOf } from "../api/index.ts";

/** A condition as it is claimed. */
export type ScheduleClaim = ClaimOf<typeof SCHEDULE_CONDITIONS>;

/** The members of the status that are the schedule's own. */
export const STATUS_FIELDS: readonly (keyof ScheduleStatus)[] = [
  "observedGeneration",
  "lastFireTime",
  "nextFireTimes",
  "fired",
  "missed",
  "skipped",
  "running",
  "lastTrigger",
  "backfills",
];

/** Something to tell of. */
export interface ScheduleStory {
  readonly type: "Normal" | "Warning";
  readonly reason: keyof typeof SCHEDULE_EVENTS;
  readonly note: string;
}

/** What the row says. */
export function statusOf(
  record: ScheduleRecord,
  options: { readonly nextTimes: readonly number[]; readonly backfillNames: readonly string[] },
): ScheduleStatus {
  const { state, running } = record;
  return {
    ...(state.lastFireMs === null ? {} : { lastFireTime: textOf(state.lastFireMs) }),
    nextFireTimes: options.nextTimes.map(textOf),
    fired: state.fired,
    missed: state.missed,
    skipped: state.skipped,
    running,
    ...(state.lastTrigger === null ? {} : { lastTrigger: state.lastTrigger }),
    backfills: options.backfillNames.map((name) => {
      const known = state.backfills.find((backfill) => backfill.name === name);
      return { name, phase: known?.phase ?? "Pending", started: known?.started ?? 0 };
    }),
  };
}

/** Whether it fires, and whether it is paused. */
export function claimsOf(
  record: ScheduleRecord,
  { hasFinished, pausedBySpec }: { readonly hasFinished: boolean; readonly pausedBySpec: boolean },
): readonly ScheduleClaim[] {
  return [readyClaim(record, hasFinished), pausedClaim(record, pausedBySpec)];
}

/** What happened between two statuses; a status that was never written is one in which nothing had. */
export function storiesOf(
  before: ScheduleStatus | undefined,
  after: ScheduleStatus,
  options: { readonly claims: readonly ScheduleClaim[]; readonly record: ScheduleRecord },
): readonly ScheduleStory[] {
  const { definition } = options.record;
  const stories: ScheduleStory[] = [];
  const tell = (
    reason: ScheduleStory["reason"],
    note: string,
    type: ScheduleStory["type"] = "Normal",
  ): void => void stories.push({ type, reason, note });
  const grown = (name: "fired" | "missed" | "skipped"): number => (after[name] ?? 0) - (before?.[name] ?? 0);

  if (grown("fired") > 0)
    tell("Fired", `started ${runs(grown("fired"))}, the last for ${after.lastFireTime ?? ""}`);
  if (grown("skipped") > 0)
    tell("Skipped", `left out ${times(grown("skipped"))}: a run was open (overlap: ${definition.overlap})`);
  if (grown("missed") > 0) {
    const note = `${times(grown("missed"))} fell out of the catch-up window of ${definition.catchupWindowMs / 1_000} s: nobody was there to fire`;
    tell("Missed", note, "Warning");
  }
  if (after.lastTrigger !== undefined && after.lastTrigger !== before?.lastTrigger)
    tell("Triggered", `acted on trigger "${after.lastTrigger}"`);
  for (const { name, phase, started } of after.backfills ?? []) {
    const was = before?.backfills?.find((backfill) => backfill.name === name)?.phase ?? "Pending";
    if (was === "Pending" && phase !== "Pending") tell("BackfillStarted", `backfill "${name}" began`);
    if (was !== "Completed" && phase === "Completed")
      tell("BackfillCompleted", `backfill "${name}" is done: it started ${runs(started ?? 0)}`);
  }
  const wasPaused = before?.conditions?.find(({ type }) => type === "Paused")?.status === "True";
  const paused = options.claims.find(({ type }) => type === "Paused");
  if (paused?.status === "True" && !wasPaused)
    tell("Paused", paused.message, paused.reason === "PausedOnFailure" ? "Warning" : "Normal");
  if (paused?.status === "False" && wasPaused) tell("Resumed", "times fire again");
  return stories;
}

function readyClaim({ fault }: ScheduleRecord, hasFinished: boolean): ScheduleClaim {
  const type = "Ready";
  if (fault !== null)
    return {
      type,
      status: "False",
      reason: "FiringFailed",
      message: `the last try to fire it failed: ${fault}`,
    };
  if (hasFinished)
    return { type, status: "False", reason: "Finished", message: "endAt is over, or limitRuns is reached" };
  return { type, status: "True", reason: "Scheduled", message: "the next times are known" };
}

function pausedClaim({ state }: ScheduleRecord, pausedBySpec: boolean): ScheduleClaim {
  const type = "Paused";
  if (pausedBySpec) return { type, status: "True", reason: "PausedBySpec", message: "spec.paused is set" };
  if (state.requested?.paused === true) {
    const message = "a request to the gateway paused it: resume it there";
    return { type, status: "True", reason: "PausedByRequest", message };
  }
  if (state.pausedOnFailure) {
    const message = "a run did not complete: set spec.paused to true and back to false to go on";
    return { type, status: "True", reason: "PausedOnFailure", message };
  }
  return { type, status: "False", reason: "Running", message: "it is not paused" };
}

function textOf(ms: number): string {
  return new Date(ms).toISOString().replace(".000Z", "Z");
}

function runs(count: number): string {
  return count === 1 ? "a run" : `${count} runs`;
}

function times(count: number): string {
  return count === 1 ? "a time" : `${count} times`;
}
