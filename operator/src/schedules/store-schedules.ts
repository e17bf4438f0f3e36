/**
 * The schedules of one connected Store: writes and fires them, and looks now and then which have changed.
 *
 * Promises that what fires costs one look each {@link LOOK_MS}, however many fired, and that an outage is over with the next
 * look. Rows that were left without their resource fire too.
 */
import { ScheduleKeeper } from "@memflow/engine/provision";
import type { ScheduleEntry, ScheduleRecord } from "@memflow/engine/provision";
import type { ConnectedStore } from "../api/index.ts";
import { errorFields } from "../kube/index.ts";
import type { Clock, Log } from "../kube/index.ts";

/** What it needs. */
export interface StoreSchedulesOptions {
  readonly store: Pick<ConnectedStore, "key" | "uid" | "schema" | "source">;
  readonly clock: Clock;
  readonly log: Log;
  /** A schedule is not as it was. */
  readonly onChange: (scheduleId: string) => void;
}

/** Between two looks at what the schedules did: statuses follow as often, at most. */
const LOOK_MS = 10_000;

export class StoreSchedules {
  readonly store: StoreSchedulesOptions["store"];
  readonly keeper: ScheduleKeeper;
  readonly #options: StoreSchedulesOptions;
  readonly #records = new Map<string, ScheduleRecord>();
  #cancelTimer = (): void => {};
  #turn: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: StoreSchedulesOptions) {
    const { store, log } = options;
    this.store = store;
    this.#options = options;
    this.keeper = new ScheduleKeeper({
      source: store.source,
      schema: store.schema,
      log: (level, message, facts) => log(level, message, { store: store.key, ...facts }),
    });
    this.keeper.start();
    this.#arm();
  }

  /** As it was at the last look. */
  recordOf(scheduleId: string): ScheduleRecord | undefined {
    return this.#records.get(scheduleId);
  }

  /**
   * Writes a schedule where it is not so already, and knows it afterwards.
   *
   * @throws {LeaderFollowedError} When another process has led since; {ConnectionError} when the Store is away.
   */
  async put(entry: Omit<ScheduleEntry, "keeper">, token: number): Promise<ScheduleRecord | undefined> {
    const { scheduleId } = entry;
    if (!this.#records.has(scheduleId)) await this.refresh();
    if (!isAsWanted(this.#records.get(scheduleId), entry)) {
      await this.keeper.put({ ...entry, keeper: this.store.uid }, token);
      await this.refresh();
    }
    return this.#records.get(scheduleId);
  }

  /** Removes the schedules whose resources are gone. */
  async forget(origins: readonly string[], token: number): Promise<readonly string[]> {
    const gone = await this.keeper.forget(this.store.uid, origins, token);
    for (const scheduleId of gone) this.#records.delete(scheduleId);
    return gone;
  }

  /** Looks which schedules have changed, and tells of them. */
  async refresh(): Promise<void> {
    const turn = this.#turn.then(() => this.#refresh());
    this.#turn = turn.catch(() => {});
    await turn;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelTimer();
    await this.#turn;
    await this.keeper.close();
  }

  async #refresh(): Promise<void> {
    const changed = await this.keeper.changed(this.store.uid, [...this.#records.values()]);
    for (const record of changed) {
      this.#records.set(record.scheduleId, record);
      this.#options.onChange(record.scheduleId);
    }
  }

  #arm(): void {
    if (this.#closed) return;
    this.#cancelTimer = this.#options.clock.after(LOOK_MS, () => void this.#look());
  }

  async #look(): Promise<void> {
    const { log } = this.#options;
    try {
      if (!this.#closed) await this.refresh();
    } catch (error) {
      if (!this.#closed)
        log("warn", "the schedules of a Store can't be read; the next look tries again", {
          store: this.store.key,
          ...errorFields(error),
        });
    }
    this.#arm();
  }
}

function isAsWanted(record: ScheduleRecord | undefined, entry: Omit<ScheduleEntry, "keeper">): boolean {
  return (
    record !== undefined &&
    record.origin === entry.origin &&
    record.orphaned === entry.orphaned &&
    JSON.stringify(record.definition) === JSON.stringify(entry.definition)
  );
}
