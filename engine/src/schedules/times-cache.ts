/** Keeps the times of the schedules that were seen last: to read an expression costs as much as to compute a time. */
import type { ScheduleWhen } from "./core/definition.ts";
import { timesOf } from "./core/times.ts";
import type { Times } from "./core/times.ts";

const KEPT_MAX = 1_000;

export class TimesCache {
  readonly #known = new Map<string, Times>();

  /** @throws {Error} As `timesOf`. */
  of(when: ScheduleWhen): Times {
    const key = JSON.stringify(when);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const times = timesOf(when);
    if (this.#known.size >= KEPT_MAX) this.#known.clear();
    this.#known.set(key, times);
    return times;
  }
}
