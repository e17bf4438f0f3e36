/**
 * The times of a schedule: which moment comes after another, and by how much it is put off.
 *
 * Promises the same times on every machine and at every call. Clock changes follow the customs of cron: a time that is
 * skipped fires when the gap is over, one that comes twice fires at the first; where minute or hour is a `*`, what is
 * skipped is left out and what comes twice fires twice, so that "every hour" stays every hour.
 */
import { Cron } from "croner";
import { createRandom } from "../../core/seeded-random.ts";
import { canonicalCron } from "./cron-expression.ts";
import type { ScheduleWhen } from "./definition.ts";

/** The times of one schedule, without jitter. */
export interface Times {
  /** The first time after a moment; undefined when none comes any more. */
  after(ms: number): number | undefined;
}

/**
 * Makes the times of a schedule; expressions and zones are read here, once.
 *
 * @throws {TypeError} When an expression is none; {RangeError} when the zone is unknown.
 */
export function timesOf(when: ScheduleWhen): Times {
  const rules = when.cron.map((expression) => cronTimes(expression, when.timeZone));
  if (when.everyMs !== null) rules.push(intervalTimes(when.everyMs, when.offsetMs));
  const firstMs = when.startAtMs ?? -Infinity;
  const lastMs = when.endAtMs ?? Infinity;
  return {
    after: (ms) => {
      const fromMs = Math.max(ms, firstMs - 1);
      const found = rules.map((rule) => rule.after(fromMs)).filter((next) => next !== undefined);
      const next = found.length === 0 ? Infinity : Math.min(...found);
      return next <= lastMs && next < Infinity ? next : undefined;
    },
  };
}

/**
 * When a time is due: it is put off by less than the jitter, and never to the following time or past it, so that the order
 * stays. The same for a schedule and a time, whoever asks.
 */
export function dueMs(options: {
  readonly scheduleId: string;
  readonly atMs: number;
  /** The following time; undefined when none comes. */
  readonly followingMs: number | undefined;
  readonly jitterMs: number;
}): number {
  const { scheduleId, atMs, followingMs = Infinity, jitterMs } = options;
  if (jitterMs === 0) return atMs;
  const random = createRandom(`${scheduleId} ${atMs}`);
  return atMs + Math.floor(random() * Math.min(jitterMs, followingMs - atMs));
}

function cronTimes(expression: string, timeZone: string): Times {
  const cron = new Cron(canonicalCron(expression), {
    timezone: timeZone,
    mode: "5-part",
    fixedTimeRule: "no-wildcard",
  });
  return { after: (ms) => cron.nextRun(new Date(ms))?.getTime() };
}

function intervalTimes(everyMs: number, offsetMs: number): Times {
  return { after: (ms) => (Math.floor((ms - offsetMs) / everyMs) + 1) * everyMs + offsetMs };
}
