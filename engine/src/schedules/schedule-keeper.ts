/**
 * Looks after the schedules of one store from outside its workers: writes and reads them, and fires what is due, so that a
 * queue without a worker gets its runs, and by them its workers.
 *
 * Promises one statement in half a minute while nothing is due, and that it goes on by itself after an outage. Workers that
 * live fire as well: whoever comes first does.
 */
import type { ConnectionSource } from "../store/connection-source.ts";
import { channelName } from "../store/identifiers.ts";
import { Notifier } from "../store/notifier.ts";
import { Session } from "../store/session.ts";
import { ScheduleBook } from "./schedule-book.ts";
import type { KnownSchedule, ScheduleEntry, ScheduleRecord } from "./schedule-book.ts";
import { ScheduleFirer } from "./schedule-firer.ts";
import type { ScheduleFirerOptions } from "./schedule-firer.ts";
import { scheduleQueries } from "./schedule-queries.ts";

/** @see ScheduleKeeper */
export interface ScheduleKeeperOptions extends Pick<ScheduleFirerOptions, "log" | "nowMs"> {
  readonly source: ConnectionSource;
  readonly schema: string;
}

/** Between two looks when no time is due before: the database may have been away, or another one wrote. */
const LOOK_MS = 30_000;
/** Many times that are due one after another are not worth one look each. */
const LOOK_AGAIN_MS = 50;

export class ScheduleKeeper {
  readonly #options: ScheduleKeeperOptions;
  readonly #writing: Session;
  readonly #firing: Session;
  readonly #notifier: Notifier;
  readonly #book: ScheduleBook;
  readonly #firer: ScheduleFirer;
  readonly #channel: string;
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ScheduleKeeperOptions) {
    const { source, schema, log, nowMs } = options;
    this.#options = options;
    this.#writing = new Session({ source, purpose: "schedules" });
    this.#firing = new Session({ source, purpose: "schedules" });
    this.#notifier = new Notifier({ source });
    this.#book = new ScheduleBook(this.#writing, schema);
    this.#channel = channelName(schema, "schedules", "");
    this.#firer = new ScheduleFirer({
      session: this.#firing,
      schema,
      notify: (channel, payload) => this.#notifier.notify(channel, payload),
      log,
      ...(nowMs === undefined ? {} : { nowMs }),
    });
  }

  /** Begins to fire. */
  start(): void {
    void this.look();
  }

  /** Fires what is due, now, and sets the timer for what is due next; a failure is logged, and the next look tries again. */
  async look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  /** @see ScheduleBook.put. What is new is looked at at once. */
  async put(entry: ScheduleEntry, token: number): Promise<boolean> {
    const written = await this.#book.put(entry, token);
    if (!written) return false;
    await this.#looking;
    await this.look();
    // Workers learn when to look next.
    this.#notifier.notify(this.#channel, "changed");
    return true;
  }

  /** @see ScheduleBook.forget */
  async forget(keeper: string, origins: readonly string[], token: number): Promise<readonly string[]> {
    return await this.#book.forget(keeper, origins, token);
  }

  /** @see ScheduleBook.changed */
  async changed(keeper: string, known: readonly KnownSchedule[] = []): Promise<readonly ScheduleRecord[]> {
    return await this.#book.changed(keeper, known);
  }

  /** @see ScheduleBook.nextTimes */
  nextTimes(record: ScheduleRecord, count: number): readonly number[] {
    return this.#book.nextTimes(record, count);
  }

  /** @see ScheduleBook.hasFinished */
  hasFinished(record: ScheduleRecord): boolean {
    return this.#book.hasFinished(record);
  }

  /** Ends the round that is under way, then the connections. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#firer.stop();
    await this.#looking;
    await Promise.all([this.#notifier.close(), this.#writing.close(), this.#firing.close()]);
  }

  async #look(): Promise<void> {
    let dueInMs = LOOK_MS;
    try {
      await this.#firer.fire();
      const { nextSchedule } = scheduleQueries(this.#options.schema);
      const { rows } = await this.#firing.query<{ due_in_ms: number }>({ ...nextSchedule });
      dueInMs = Math.max(LOOK_AGAIN_MS, Math.min(rows[0]?.due_in_ms ?? LOOK_MS, LOOK_MS));
    } catch (error) {
      if (!this.#closed)
        this.#options.log("warn", "looking for due schedules failed; the next look tries again", {
          error: String(error),
        });
    }
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.look(), dueInMs);
    this.#timer.unref();
  }
}
