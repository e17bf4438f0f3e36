/** A Schedule in the words of the engine: what its row in the Store says. */
import { dateTimeMs, durationMs, TRIGGER_ANNOTATION, workflowIdPrefixOf } from "@memflow/crds";
import type { Schedule } from "@memflow/crds";
import type { ScheduleDefinition } from "@memflow/engine/provision";
import type { ScheduleTarget } from "./schedule-target.ts";

/** An annotation may be longer than what the status keeps of it. */
const TRIGGER_LENGTH_MAX = 256;

/** Translates it; durations and times become milliseconds here. */
export function definitionOf(schedule: Schedule, { run }: ScheduleTarget): ScheduleDefinition {
  const { spec } = schedule;
  const { when } = spec;
  return {
    when: {
      cron: when.cron ?? [],
      everyMs: when.every === undefined ? null : durationMs(when.every),
      offsetMs: when.offset === undefined ? 0 : durationMs(when.offset),
      timeZone: when.timeZone,
      jitterMs: durationMs(when.jitter),
      startAtMs: msOf(when.startAt),
      endAtMs: msOf(when.endAt),
    },
    run: { workflowIdPrefix: workflowIdPrefixOf(schedule), ...run },
    overlap: spec.overlap,
    catchupWindowMs: durationMs(spec.catchupWindow),
    pauseOnFailure: spec.pauseOnFailure,
    paused: spec.paused,
    limitRuns: spec.limitRuns ?? null,
    backfills: spec.backfills.map(({ name, startAt, endAt, overlap }) => ({
      name,
      startAtMs: Date.parse(startAt),
      endAtMs: Date.parse(endAt),
      overlap,
    })),
    trigger: triggerOf(schedule),
  };
}

function msOf(text: string | undefined): number | null {
  return text === undefined ? null : (dateTimeMs(text) ?? null);
}

function triggerOf({ metadata }: Schedule): string | null {
  const value = metadata.annotations?.[TRIGGER_ANNOTATION] ?? "";
  return value === "" ? null : value.slice(0, TRIGGER_LENGTH_MAX);
}
