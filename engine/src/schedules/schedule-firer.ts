/**
 * Fires the schedules of a store that are due.
 *
 * Promises that what a schedule does is one transaction under its row's lock: a crash anywhere neither loses nor doubles a
 * time, and any number of firers share the work. A schedule that can't be fired is put off with the reason and holds up no
 * other. Does not know when to look: whoever has it does.
 */
import { InterruptedError, TerminatedError } from "../core/errors.ts";
import { encodeFailure } from "../core/failure.ts";
import { noticesOf } from "../store/ended-runs.ts";
import type { EndedRun } from "../store/ended-runs.ts";
import { channelName } from "../store/identifiers.ts";
import { withPayload } from "../store/json-member.ts";
import { newId } from "../store/new-id.ts";
import type { Session, Statement, TransactionQuery } from "../store/session.ts";
import { classifySqlError } from "../store/sql-errors.ts";
import type { ScheduleDefinition } from "./core/definition.ts";
import { planFiring, stateWithout } from "./core/plan-firing.ts";
import type { FiringPlan, PlannedStart, TimesBudget } from "./core/plan-firing.ts";
import type { ScheduleState } from "./core/state.ts";
import { scheduleQueries } from "./schedule-queries.ts";
import type { ScheduleQueries } from "./schedule-queries.ts";
import { TimesCache } from "./times-cache.ts";

/** @see ScheduleFirer */
export interface ScheduleFirerOptions {
  /** Each round is a transaction on it. */
  readonly session: Session;
  readonly schema: string;
  /** Sends a notification. */
  notify(channel: string, payload: string): void;
  log(level: "warn" | "error", message: string, facts: Readonly<Record<string, unknown>>): void;
  /** In place of the database's clock, for tests. */
  nowMs?(): number;
}

interface ClaimedRow {
  readonly schedule_id: string;
  readonly now_ms: number;
  readonly definition: string;
  readonly state: string;
  readonly open: readonly { readonly run: string; readonly workflowId: string }[];
  readonly ended: readonly { readonly run: string; readonly status: string | null }[];
}

/** A claimed schedule with what is to be done. */
interface Planned {
  readonly row: ClaimedRow;
  readonly definition: ScheduleDefinition;
  readonly plan: FiringPlan;
  readonly starts: readonly (PlannedStart & { readonly runId: string })[];
}

/** What a round did, for those who wait. */
interface Round {
  readonly claimed: number;
  readonly queues: readonly string[];
  readonly ended: readonly EndedRun[];
}

const SCHEDULES_PER_ROUND = 50;
/** About 100 ms of computing. */
const TIMES_PER_ROUND = 400;
const FAULT_LENGTH_MAX = 1_000;

export class ScheduleFirer {
  readonly #options: ScheduleFirerOptions;
  readonly #queries: ScheduleQueries;
  readonly #times = new TimesCache();
  #firing: Promise<number> | undefined;
  #again = false;
  #stopped = false;

  constructor(options: ScheduleFirerOptions) {
    this.#options = options;
    this.#queries = scheduleQueries(options.schema);
  }

  /**
   * Fires until nothing is due that no other firer has. Who calls while that is under way gets its answer, after one more
   * round.
   *
   * @returns How many schedules were looked at.
   * @throws {ConnectionError} When the database is away: nothing is half done.
   */
  async fire(): Promise<number> {
    this.#again = true;
    this.#firing ??= this.#fireAll().finally(() => {
      this.#firing = undefined;
    });
    return await this.#firing;
  }

  /** Looks at the schedules of runs that have ended: others may wait for that. */
  async ended(runIds: readonly string[]): Promise<void> {
    for (let first = 0; first < runIds.length; first += SCHEDULES_PER_ROUND)
      await this.#fireSome(SCHEDULES_PER_ROUND, runIds.slice(first, first + SCHEDULES_PER_ROUND));
  }

  /** Begins no further round. */
  stop(): void {
    this.#stopped = true;
  }

  async #fireAll(): Promise<number> {
    let count = 0;
    for (;;) {
      this.#again = false;
      const claimed = await this.#fireSome(SCHEDULES_PER_ROUND, null);
      count += claimed;
      if (this.#stopped || (claimed === 0 && !this.#again)) return count;
    }
  }

  /** One round; when it is refused, its schedules are looked at one by one, and the guilty one is put off. */
  async #fireSome(limit: number, runIds: readonly string[] | null): Promise<number> {
    const claimed: ClaimedRow[] = [];
    try {
      const round = await this.#options.session.transaction((query) =>
        this.#round(query, { limit, runIds, claimed }),
      );
      this.#tell(round);
      return round.claimed;
    } catch (error) {
      if (classifySqlError(error) === "transient") throw error;
      const [only, ...others] = claimed;
      if (only === undefined) throw error;
      if (others.length > 0) return await this.#fireSome(1, runIds);
      await this.#options.session.query(this.#putOff(only, error));
      return 1;
    }
  }

  async #round(
    query: TransactionQuery,
    options: {
      readonly limit: number;
      readonly runIds: readonly string[] | null;
      readonly claimed: ClaimedRow[];
    },
  ): Promise<Round> {
    const nowMs = this.#options.nowMs?.() ?? null;
    const { rows } = await query<ClaimedRow>({
      ...this.#queries.claimSchedules,
      values: [nowMs, options.limit, options.runIds],
    });
    options.claimed.push(...rows);
    const planned = await this.#planAll(query, rows);
    const starts = withoutDoubles(planned);
    const ends = planned.flatMap((item) => endsOf(item));
    const reply = await this.#startAndEnd(query, { starts, ends });
    const stands = new Set(starts.map(({ runId }) => runId));
    for (const runId of reply.refused) stands.delete(runId);
    const changes = planned.map((item) => changeOf(item, stands));
    if (changes.length > 0)
      await query({ ...this.#queries.advanceSchedules, values: [JSON.stringify(changes)] });
    const queues = new Set(starts.map(({ definition }) => definition.run.taskQueue));
    return { claimed: rows.length, queues: [...queues], ended: reply.ended };
  }

  /** A schedule that can't be computed, as with a time zone that this Node doesn't know, is put off. */
  async #planAll(query: TransactionQuery, rows: readonly ClaimedRow[]): Promise<Planned[]> {
    const budget: TimesBudget = { left: TIMES_PER_ROUND };
    const planned: Planned[] = [];
    for (const row of rows) {
      try {
        planned.push(this.#plan(row, budget));
      } catch (error) {
        await query(this.#putOff(row, error));
      }
    }
    return planned;
  }

  #plan(row: ClaimedRow, budget: TimesBudget): Planned {
    const definition = JSON.parse(row.definition) as ScheduleDefinition;
    const plan = planFiring({
      scheduleId: row.schedule_id,
      definition,
      times: this.#times.of(definition.when),
      state: JSON.parse(row.state) as ScheduleState,
      open: row.open.map(({ run }) => run),
      endedStatuses: row.ended.map(({ status }) => status).filter((status) => status !== null),
      nowMs: row.now_ms,
      budget,
    });
    return { row, definition, plan, starts: plan.starts.map((start) => ({ ...start, runId: newId() })) };
  }

  async #startAndEnd(
    query: TransactionQuery,
    { starts, ends }: { readonly starts: readonly StartOf[]; readonly ends: readonly object[] },
  ): Promise<{ readonly refused: readonly string[]; readonly ended: readonly EndedRun[] }> {
    if (starts.length === 0 && ends.length === 0) return { refused: [], ended: [] };
    const channel = channelName(this.#options.schema, "schedules", "");
    const runs = `[${starts.map((start) => startText(start, channel)).join(",")}]`;
    const { rows } = await query<{
      reply: { readonly refused: readonly string[]; readonly ended: readonly EndedRun[] };
    }>({ ...this.#queries.startScheduled, values: [runs, JSON.stringify(ends)] });
    return rows[0]?.reply ?? { refused: [], ended: [] };
  }

  #putOff(row: ClaimedRow, error: unknown): Statement {
    const fault = String(error).slice(0, FAULT_LENGTH_MAX);
    this.#options.log("error", "a schedule can't be fired and is put off", {
      schedule: row.schedule_id,
      error: fault,
    });
    return { ...this.#queries.putOffSchedule, values: [row.schedule_id, row.now_ms, fault] };
  }

  #tell({ queues, ended }: Round): void {
    const { notify, schema } = this.#options;
    for (const queue of queues) notify(channelName(schema, "queue", queue), "runs");
    for (const [channel, payload] of noticesOf(schema, ended)) notify(channel, payload);
  }
}

type StartOf = PlannedStart & {
  readonly runId: string;
  readonly scheduleId: string;
  readonly definition: ScheduleDefinition;
  readonly watch: boolean;
};

/** The starts of a round; of two with one workflow id the second is refused. */
function withoutDoubles(planned: readonly Planned[]): StartOf[] {
  const known = new Map<string, StartOf>();
  for (const { row, definition, plan, starts } of planned) {
    for (const start of starts) {
      if (known.has(start.workflowId)) continue;
      known.set(start.workflowId, { ...start, scheduleId: row.schedule_id, definition, watch: plan.watch });
    }
  }
  return [...known.values()];
}

/** As `insert_runs` reads it. */
function startText(
  { runId, scheduleId, workflowId, definition: { run }, watch }: StartOf,
  channel: string,
): string {
  const facts = {
    run: runId,
    schedule: scheduleId,
    workflow_id: workflowId,
    workflow_name: run.workflowName,
    task_queue: run.taskQueue,
    retention_seconds: run.retentionSeconds,
    watcher: watch ? channel : null,
  };
  return withPayload(withPayload(JSON.stringify(facts), "input", run.input), "options", run.options);
}

/** As `end_runs` reads them. */
function endsOf({ row, plan }: Planned): object[] {
  const workflowIds = new Map(row.open.map(({ run, workflowId }) => [run, workflowId]));
  return plan.ends.map(({ runId, status }) => {
    const options = {
      workflowId: workflowIds.get(runId) ?? "",
      reason: `the next run of schedule "${row.schedule_id}" took its place`,
    };
    const error = status === "canceled" ? new InterruptedError(options) : new TerminatedError(options);
    return { run: runId, status, failure: encodeFailure(error), descend: false };
  });
}

/** As `advance_schedules` reads it. */
function changeOf({ row, plan, starts }: Planned, stands: ReadonlySet<string>): object {
  const refused = starts.filter(({ runId }) => !stands.has(runId));
  return {
    schedule: row.schedule_id,
    state: stateWithout(plan.state, refused),
    next_ms: plan.nextMs ?? null,
    ended: [...row.ended.map(({ run }) => run), ...plan.ends.map(({ runId }) => runId)],
  };
}
