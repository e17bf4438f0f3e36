/** Durations as kubectl's AGE shows them: two units at most, the finer one only while it matters. Pure. */

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

/**
 * Writes a duration.
 *
 * @see https://pkg.go.dev/k8s.io/apimachinery/pkg/util/duration#HumanDuration
 */
export function humanDuration(durationMs: number): string {
  const ms = Math.max(0, durationMs);
  if (ms < 2 * MINUTE) return `${Math.floor(ms / SECOND)}s`;
  if (ms < 10 * MINUTE) return twoUnits(ms, [MINUTE, "m"], [SECOND, "s"]);
  if (ms < 3 * HOUR) return `${Math.floor(ms / MINUTE)}m`;
  if (ms < 8 * HOUR) return twoUnits(ms, [HOUR, "h"], [MINUTE, "m"]);
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)}h`;
  if (ms < 8 * DAY) return twoUnits(ms, [DAY, "d"], [HOUR, "h"]);
  if (ms < 2 * YEAR) return `${Math.floor(ms / DAY)}d`;
  if (ms < 8 * YEAR) return twoUnits(ms, [YEAR, "y"], [DAY, "d"]);
  return `${Math.floor(ms / YEAR)}y`;
}

/** The age of a moment that an answer tells; `<none>` for no moment. */
export function ageOf(at: string | null | undefined, nowMs: number): string {
  return at === null || at === undefined ? "<none>" : humanDuration(nowMs - Date.parse(at));
}

type Unit = readonly [ms: number, letter: string];

function twoUnits(ms: number, [coarseMs, coarse]: Unit, [fineMs, fine]: Unit): string {
  const whole = Math.floor(ms / coarseMs);
  const rest = Math.floor((ms % coarseMs) / fineMs);
  return rest === 0 ? `${whole}${coarse}` : `${whole}${coarse}${rest}${fine}`;
}
