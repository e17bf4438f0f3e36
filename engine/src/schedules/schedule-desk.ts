/**
 * Where requests come to the schedules of a store: shows them, and tells them what they are asked.
 *
 * Promises that what it acknowledged is recorded, and that a look follows at once, by whichever worker or operator lives. Writes
 * no definition: that is its keeper's.
 */
import type { Notifier } from "../store/notifier.ts";
import type { Session } from "../store/session.ts";
import { channelName } from "../store/identifiers.ts";
import type { Backfill } from "./core/definition.ts";
import { backfill, pause, resume, trigger } from "./core/requests.ts";
import type { RequestFacts } from "./core/requests.ts";
import type { ScheduleState } from "./core/state.ts";
import { ScheduleBook } from "./schedule-book.ts";
import type { ScheduleRecord } from "./schedule-book.ts";

/** @see ScheduleDesk */
export interface ScheduleDeskOptions {
  readonly session: Session;
  readonly notifier: Notifier;
  readonly schema: string;
}

/** Each request returns false when there is no such schedule. */
export class ScheduleDesk {
  readonly #options: ScheduleDeskOptions;
  readonly #book: ScheduleBook;

  constructor(options: ScheduleDeskOptions) {
    this.#options = options;
    this.#book = new ScheduleBook(options.session, options.schema);
  }

  /** All of them, by name. */
  async list(): Promise<readonly ScheduleRecord[]> {
    return await this.#book.all();
  }

  async get(scheduleId: string): Promise<ScheduleRecord | undefined> {
    return await this.#book.get(scheduleId);
  }

  /** The next times at which it is due. */
  nextTimes(record: ScheduleRecord, count: number): readonly number[] {
    return this.#book.nextTimes(record, count);
  }

  async pause(scheduleId: string): Promise<boolean> {
    return await this.#request(scheduleId, pause);
  }

  /** @throws {RequestRefusedError} When the manifest pauses it. */
  async resume(scheduleId: string): Promise<boolean> {
    return await this.#request(scheduleId, resume);
  }

  /** @throws {RequestRefusedError} When too many wait. */
  async trigger(scheduleId: string, value: string): Promise<boolean> {
    return await this.#request(scheduleId, (facts) => trigger(facts, value));
  }

  /** @throws {RequestRefusedError} When another backfill has its name. */
  async backfill(scheduleId: string, asked: Backfill): Promise<boolean> {
    return await this.#request(scheduleId, (facts) => backfill(facts, asked));
  }

  async #request(scheduleId: string, change: (facts: RequestFacts) => ScheduleState): Promise<boolean> {
    const found = await this.#book.request(scheduleId, change);
    if (found) this.#options.notifier.notify(channelName(this.#options.schema, "schedules", ""), "changed");
    return found;
  }
}
