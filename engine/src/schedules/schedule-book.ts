/**
 * Writes and reads the schedules of a store, for those who look after them.
 *
 * Promises that what a leader sends late is refused once another one has followed it, and that an equal schedule costs no
 * write. Does not fire.
 */
import { LeaderFollowedError } from "../core/errors.ts";
import type { Session } from "../store/session.ts";
import { OWN_SQLSTATES, codeOf } from "../store/sql-errors.ts";
import type { ScheduleDefinition } from "./core/definition.ts";
import { isFinished } from "./core/plan-firing.ts";
import { initialState, pauseOf, stateUnder } from "./core/state.ts";
import type { ScheduleState } from "./core/state.ts";
import { dueMs } from "./core/times.ts";
import { scheduleQueries } from "./schedule-queries.ts";
import type { ScheduleQueries } from "./schedule-queries.ts";
import { TimesCache } from "./times-cache.ts";

/** A schedule as it should be. */
export interface ScheduleEntry {
  readonly scheduleId: string;
  readonly definition: ScheduleDefinition;
  /** Who looks after the row: who lists what is there, and forgets what is no longer wanted, gives the same. */
  readonly keeper: string;
  /** The resource that it comes from, by an id that no other one ever has. */
  readonly origin: string;
  /** True: the row stays when its resource goes, and the next resource of its name goes on with it. */
  readonly orphaned: boolean;
}

/** A schedule as it is. */
export interface ScheduleRecord {
  readonly scheduleId: string;
  readonly origin: string;
  readonly orphaned: boolean;
  readonly revision: number;
  readonly definition: ScheduleDefinition;
  readonly state: ScheduleState;
  /** Open runs of it. */
  readonly running: number;
  /** Why the last look at it failed. */
  readonly fault: string | null;
}

/** What is known of a schedule already. */
export type KnownSchedule = Pick<ScheduleRecord, "scheduleId" | "revision" | "running">;

interface LockedRow {
  readonly keeper: string | null;
  readonly origin: string | null;
  readonly orphaned: boolean;
  readonly definition: string;
  readonly state: string;
}

interface RecordRow {
  readonly schedule_id: string;
  readonly origin: string;
  readonly orphaned: boolean;
  readonly revision: number;
  readonly definition: string;
  readonly state: string;
  readonly fault: string | null;
  readonly running: number;
}

export class ScheduleBook {
  readonly #session: Session;
  readonly #queries: ScheduleQueries;
  readonly #times = new TimesCache();

  constructor(session: Session, schema: string) {
    this.#session = session;
    this.#queries = scheduleQueries(schema);
  }

  /**
   * Makes a schedule what it should be. One that is new fires times from now on; one that was left without its resource
   * goes on where it was; one whose resource was deleted and made anew begins anew.
   *
   * @param token - The leader's fencing token.
   * @returns Whether something was written.
   * @throws {LeaderFollowedError} When a leader with a greater token has written.
   */
  async put(entry: ScheduleEntry, token: number): Promise<boolean> {
    const { scheduleId, keeper, origin, orphaned } = entry;
    const definition = JSON.stringify(entry.definition);
    return await this.#asLeader(token, () =>
      this.#session.transaction(async (query) => {
        await query({ ...this.#queries.assertLeader, values: [token] });
        const locked = await query<LockedRow>({ ...this.#queries.lockSchedule, values: [scheduleId] });
        const [row] = locked.rows;
        const same = row?.keeper === keeper && row.origin === origin && row.orphaned === orphaned;
        if (same && row.definition === definition) return false;
        const time = await query<{ now_ms: number }>({ ...this.#queries.databaseTime });
        const nowMs = time.rows[0]?.now_ms ?? 0;
        const goesOn = row !== undefined && (row.origin === origin || row.orphaned || row.origin === null);
        const state = goesOn ? stateUnder(entry.definition, knownOf(row), nowMs) : initialState(nowMs);
        await query({
          ...this.#queries.putSchedule,
          values: [scheduleId, keeper, origin, orphaned, definition, JSON.stringify(state)],
        });
        return true;
      }),
    );
  }

  /**
   * Removes the schedules of a keeper whose resources are gone, but for those that are to stay without them.
   *
   * @param origins - The resources that are still there.
   * @returns The names of those that went.
   * @throws {LeaderFollowedError} As `put`.
   */
  async forget(keeper: string, origins: readonly string[], token: number): Promise<readonly string[]> {
    return await this.#asLeader(token, async () => {
      const values = [keeper, origins, token];
      const { rows } = await this.#session.query<{ schedule_id: string }>({
        ...this.#queries.forgetSchedules,
        values,
      });
      return rows.map(({ schedule_id: scheduleId }) => scheduleId);
    });
  }

  /** The schedules of a keeper that are not as they were known, all with one statement. */
  async changed(keeper: string, known: readonly KnownSchedule[] = []): Promise<readonly ScheduleRecord[]> {
    const { rows } = await this.#session.query<RecordRow>({
      ...this.#queries.changedSchedules,
      values: [
        keeper,
        known.map(({ scheduleId }) => scheduleId),
        known.map(({ revision }) => revision),
        known.map(({ running }) => running),
      ],
    });
    return rows.map(recordOf);
  }

  /** All schedules of the store by name, whoever looks after them. */
  async all(): Promise<readonly ScheduleRecord[]> {
    const { rows } = await this.#session.query<RecordRow>({ ...this.#queries.allSchedules, values: [null] });
    return rows.map(recordOf);
  }

  /** One schedule; undefined when it is not there. */
  async get(scheduleId: string): Promise<ScheduleRecord | undefined> {
    const { rows } = await this.#session.query<RecordRow>({
      ...this.#queries.allSchedules,
      values: [scheduleId],
    });
    return rows.map(recordOf)[0];
  }

  /**
   * Changes what a schedule was asked by requests, under its row's lock, and has it looked at at once.
   *
   * @param change - The state after it, from what the row says; the same object writes nothing.
   * @returns False when there is no such schedule.
   */
  async request(
    scheduleId: string,
    change: (known: {
      readonly definition: ScheduleDefinition;
      readonly state: ScheduleState;
      readonly nowMs: number;
    }) => ScheduleState,
  ): Promise<boolean> {
    return await this.#session.transaction(async (query) => {
      const locked = await query<LockedRow>({ ...this.#queries.lockSchedule, values: [scheduleId] });
      const [row] = locked.rows;
      if (row === undefined) return false;
      const time = await query<{ now_ms: number }>({ ...this.#queries.databaseTime });
      const known = knownOf(row);
      const state = change({ ...known, nowMs: time.rows[0]?.now_ms ?? 0 });
      if (state === known.state) return true;
      await query({ ...this.#queries.requestSchedule, values: [scheduleId, JSON.stringify(state)] });
      return true;
    });
  }

  /** The next times at which it is due; none while it is paused, or when it has finished. */
  nextTimes({ scheduleId, definition, state }: ScheduleRecord, count: number): readonly number[] {
    const { jitterMs } = definition.when;
    const times = this.#times.of(definition.when);
    if (pauseOf(definition, state) !== undefined || isFinished(definition, state, times)) return [];
    const found: number[] = [];
    let atMs = times.after(state.doneUntilMs);
    while (atMs !== undefined && found.length < count) {
      const followingMs = times.after(atMs);
      found.push(dueMs({ scheduleId, atMs, followingMs, jitterMs }));
      atMs = followingMs;
    }
    return found;
  }

  /** Whether no time of it fires any more. */
  hasFinished({ definition, state }: ScheduleRecord): boolean {
    return isFinished(definition, state, this.#times.of(definition.when));
  }

  async #asLeader<Result>(token: number, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (codeOf(error) === OWN_SQLSTATES.leaderFollowed)
        throw new LeaderFollowedError({ token, cause: error });
      throw error;
    }
  }
}

function recordOf(row: RecordRow): ScheduleRecord {
  return {
    scheduleId: row.schedule_id,
    origin: row.origin,
    orphaned: row.orphaned,
    revision: row.revision,
    definition: JSON.parse(row.definition) as ScheduleDefinition,
    state: JSON.parse(row.state) as ScheduleState,
    running: row.running,
    fault: row.fault,
  };
}

function knownOf({ definition, state }: LockedRow): {
  readonly definition: ScheduleDefinition;
  readonly state: ScheduleState;
} {
  return {
    definition: JSON.parse(definition) as ScheduleDefinition,
    state: JSON.parse(state) as ScheduleState,
  };
}
