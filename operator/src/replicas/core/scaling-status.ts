/**
 * What status says of scaling, and when that is worth a write.
 *
 * The figures of a busy queue change with every look. So a write is due at once only for what a reader acts upon, and for
 * figures alone at most every {@link FIGURES_MS}; a queue that rests is never written.
 */
import type { Condition, TaskQueueStatus } from "@memflow/crds";
import type { QueueLoad } from "../../scaling/core/queue-observation.ts";
import type { UnseenQueue } from "../../scaling/core/observation.ts";
import type { Limit } from "../../scaling/core/reasons.ts";
import type { QueuePlan } from "./queue-plan.ts";

export type ScalingStatus = NonNullable<TaskQueueStatus["scaling"]>;

/** What this controller says in a status. */
export interface ToldStatus {
  readonly scaling: ScalingStatus;
  readonly conditions: readonly Condition[];
}

/** Conditions that this controller owns. */
export const SCALING_CONDITIONS: readonly string[] = ["ScalingActive", "ScalingLimited"];

/** Figures alone are told no more often than this. */
const FIGURES_MS = 15_000;

const REASON_CHARACTERS_MAX = 256;
const REPLICAS_MAX = 1_000;
const RAW_MAX = 1_000_000_000;
/** A moment that is measured again and again is never the same to the millisecond. */
const SAME_MOMENT_MS = 2_000;

/** Says it. @param previous - What status says of the figures that can't be seen now, and of the last change. */
export function scalingStatus(
  { decision, builds, faults }: Pick<QueuePlan, "decision" | "builds" | "faults">,
  load: QueueLoad | UnseenQueue,
  {
    previous,
    wallMs,
    scaled,
  }: {
    readonly previous: ScalingStatus | undefined;
    readonly wallMs: number;
    /** The replicas were changed just now. */
    readonly scaled: boolean;
  },
): ScalingStatus {
  const now = timeAt(wallMs);
  const lastScaleTime = scaled ? now : previous?.lastScaleTime;
  const raws = decision.builds.flatMap(({ raw }) => raw ?? []);
  return {
    ...(load.kind === "Seen" ? { observedAt: now, ...figuresOf(load, wallMs) } : seenBefore(previous)),
    ...(raws.length === 0 ? {} : { rawDesired: Math.min(RAW_MAX, sum(raws)) }),
    desired: Math.min(REPLICAS_MAX, sum(builds.map(({ wanted }) => wanted))),
    limitedBy: limitOf(decision),
    ...(lastScaleTime === undefined ? {} : { lastScaleTime }),
    reason: storyOf({ decision, faults }).slice(0, REASON_CHARACTERS_MAX),
  };
}

/** The decision in words; what can't be read comes first. */
export function storyOf({ decision, faults }: Pick<QueuePlan, "decision" | "faults">): string {
  const story = decision.message === "" ? "no build that gets runs has a Deployment yet" : decision.message;
  return [...faults, story].join("; ");
}

/** Ready tasks of a queue, whoever may take them. */
export function backlogOf({ waiting }: QueueLoad): number {
  return sum(waiting.map(({ ready, unserved }) => ready + unserved));
}

/** Since how long the oldest of them waits; null without any. */
export function oldestAgeMsOf({ waiting }: QueueLoad): number | null {
  const ages = waiting.flatMap(({ oldestAgeMs }) => oldestAgeMs ?? []);
  return ages.length === 0 ? null : Math.max(...ages);
}

/** What the queue's workers hold. */
export function inFlightOf({ workers }: QueueLoad): number {
  return sum(workers.map(({ busyRuns, attempts }) => busyRuns + attempts));
}

/**
 * Whether a write is due.
 *
 * @param told - What stands there; undefined for nothing.
 * @param sinceMs - How long it has stood there; infinite when that is not known.
 */
export function isStatusDue(told: ToldStatus | undefined, next: ToldStatus, sinceMs: number): boolean {
  if (told === undefined) return true;
  if (essenceOf(told) !== essenceOf(next)) return true;
  return sinceMs >= FIGURES_MS && !hasSameFigures(told.scaling, next.scaling);
}

/** What a reader acts upon. */
function essenceOf({ scaling, conditions }: ToldStatus): string {
  return JSON.stringify([
    scaling.desired,
    scaling.limitedBy,
    scaling.lastScaleTime,
    (scaling.backlog ?? 0) > 0,
    conditions
      .filter(({ type }) => SCALING_CONDITIONS.includes(type))
      .toSorted((left, right) => left.type.localeCompare(right.type))
      .map(({ type, status, reason, observedGeneration }) => [type, status, reason, observedGeneration]),
  ]);
}

/** Whether two of them say the same of the queue, whenever it was seen. */
export function hasSameFigures(left: ScalingStatus, right: ScalingStatus): boolean {
  return (
    left.backlog === right.backlog &&
    left.inFlight === right.inFlight &&
    left.rawDesired === right.rawDesired &&
    left.reason === right.reason &&
    isSameMoment(left.oldestReadyTime, right.oldestReadyTime) &&
    isSameMoment(left.nextTimerTime, right.nextTimerTime)
  );
}

function isSameMoment(left: string | undefined, right: string | undefined): boolean {
  if (left === undefined || right === undefined) return left === right;
  return Math.abs(Date.parse(left) - Date.parse(right)) <= SAME_MOMENT_MS;
}

function figuresOf(load: QueueLoad, wallMs: number): Partial<ScalingStatus> {
  const oldestAgeMs = oldestAgeMsOf(load);
  const timers = [...load.waiting, ...load.workers].flatMap(({ nextTimerInMs }) => nextTimerInMs ?? []);
  return {
    backlog: backlogOf(load),
    inFlight: inFlightOf(load),
    ...(oldestAgeMs === null ? {} : { oldestReadyTime: timeAt(wallMs - oldestAgeMs) }),
    ...(timers.length === 0 ? {} : { nextTimerTime: timeAt(wallMs + Math.min(...timers)) }),
  };
}

function seenBefore(previous: ScalingStatus = {}): Partial<ScalingStatus> {
  const { observedAt, backlog, inFlight, oldestReadyTime, nextTimerTime } = previous;
  return { observedAt, backlog, inFlight, oldestReadyTime, nextTimerTime };
}

/** Of the first build that a rule moved; builds that get new runs come first. */
function limitOf({ builds }: QueuePlan["decision"]): Limit {
  return builds.find(({ limitedBy }) => limitedBy !== "None")?.limitedBy ?? "None";
}

/** To the second: readers compare and print them. */
function timeAt(wallMs: number): string {
  return new Date(Math.floor(wallMs / 1_000) * 1_000).toISOString();
}

function sum(figures: readonly number[]): number {
  return figures.reduce((total, figure) => total + figure, 0);
}
