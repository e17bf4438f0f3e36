/**
 * Fires the schedules of the store that this worker is on, when its lookout finds some due or a run of theirs has ended.
 *
 * Promises that a failure harms nothing but the haste: what was not fired is found due by the next look, of any worker.
 */
import { ScheduleFirer } from "../schedules/schedule-firer.ts";
import type { Notifier } from "../store/notifier.ts";
import type { Session } from "../store/session.ts";
import type { WorkerLog } from "./worker-options.ts";

/** What it needs of its worker. */
export interface ScheduleWatchOptions {
  readonly session: Session;
  readonly schema: string;
  readonly notifier: Notifier;
  readonly log: WorkerLog;
  /** Looks when more is due. */
  look(): void;
}

/** What tells of something new without naming runs. */
const CHANGED = "changed";

export class ScheduleWatch {
  readonly #options: ScheduleWatchOptions;
  readonly #firer: ScheduleFirer;
  #stopped = false;

  constructor(options: ScheduleWatchOptions) {
    this.#options = options;
    this.#firer = new ScheduleFirer({
      session: options.session,
      schema: options.schema,
      notify: (channel, payload) => options.notifier.notify(channel, payload),
      log: options.log,
    });
  }

  /** Some are due. */
  due(): void {
    void this.#quietly(async () => {
      if ((await this.#firer.fire()) > 0 && !this.#stopped) this.#options.look();
    });
  }

  /** Runs that schedules have started are at their end. */
  ended(runIds: readonly string[]): void {
    void this.#quietly(() => this.#firer.ended(runIds));
  }

  /** What the channel of the schedules says: runs that have ended, or that a schedule was changed. */
  notified(payload: string): void {
    const said = payload.split(",");
    const runIds = said.filter((part) => part !== CHANGED);
    if (runIds.length > 0) this.ended(runIds);
    if (runIds.length < said.length) this.#options.look();
  }

  stop(): void {
    this.#stopped = true;
    this.#firer.stop();
  }

  async #quietly(work: () => Promise<void>): Promise<void> {
    try {
      if (!this.#stopped) await work();
    } catch (error) {
      const facts = { error: String(error) };
      if (!this.#stopped)
        this.#options.log("warn", "firing schedules failed; the next look tries again", facts);
    }
  }
}
