/**
 * Reads what the database knows of runs: claims, histories, messages, activity rows, entity changes.
 *
 * Promises batches that are bounded by rows and bytes, and rows turned into the engine's own shapes; decides nothing.
 */
import type pg from "pg";

import type { EventKind, HistoryEvent } from "../core/events.ts";
import type { NumberedChange } from "../replay/entity-view.ts";
import type { RunFacts } from "../replay/run-context.ts";
import type { Session } from "../store/session.ts";
import { classifySqlError } from "../store/sql-errors.ts";
import type { QueryText, WorkerQueries } from "../store/worker-queries.ts";
import type { ActivityRow } from "./activity-row.ts";
import type { WaitRow } from "./owned-run.ts";
import { PAGE_BYTES, PAGE_ROWS, readPage, readPages } from "./page.ts";
import type { PageRow } from "./page.ts";
import { SUSPECT_AFTER } from "./worker-options.ts";

/** A run that was claimed now. */
export interface ClaimedRun {
  readonly facts: RunFacts;
  readonly epoch: number;
  readonly eventCount: number;
  readonly busyTakeovers: number;
  readonly hasInbox: boolean;
}

/** What a run had recorded before it was claimed. */
export interface LoadedRun {
  readonly events: HistoryEvent[];
  readonly rows: ActivityRow[];
  readonly waits: WaitRow[];
}

/** A message of a run's inbox. */
export interface InboxMessage {
  readonly runId: string;
  readonly messageId: string;
  readonly kind: EventKind;
  readonly fromRunId: string | null;
  readonly position: number | null;
  readonly name: string | null;
  readonly payload: string | null;
}

/** An attempt that was leased from the queue. */
export interface LeasedActivity {
  readonly runId: string;
  readonly position: number;
  readonly attempt: number;
  readonly name: string;
  readonly args: string | null;
  readonly policy: string | null;
  readonly workflowId: string;
  readonly workflowName: string;
}

/** What there is to claim on a queue. */
export interface ReadyWork {
  /** '' for the schedules, which are the store's. */
  readonly taskQueue: string;
  readonly kind: "runs" | "activities" | "schedules";
  readonly ready: boolean;
  /** How long until more is due; null when nothing is. */
  readonly dueInMs: number | null;
}

interface ClaimRow {
  run_id: string;
  epoch: number;
  started_ms: number;
  workflow_id: string;
  workflow_name: string;
  input: string | null;
  options: string | null;
  /** JSON of `ClaimRest`; null where all is as a client's start leaves it. */
  rest: string | null;
}

interface ClaimRest {
  readonly entityId: string | null;
  readonly parentRunId: string | null;
  readonly parentPosition: number | null;
  readonly hook: boolean;
  readonly eventCount: number;
  readonly busyTakeovers: number;
  readonly dialect: string;
  readonly hasInbox: boolean;
}

const FRESH: ClaimRest = {
  entityId: null,
  parentRunId: null,
  parentPosition: null,
  hook: false,
  eventCount: 0,
  busyTakeovers: 0,
  dialect: "memflow",
  hasInbox: false,
};

interface EventRow extends PageRow {
  run_id: string;
  event_no: number;
  kind: number;
  position: number | null;
  at_ms: number;
  name: string | null;
  payload: string | null;
  entity_no: string | null;
}

interface InboxRow extends PageRow {
  run_id: string;
  message_id: string;
  kind: number;
  from_run_id: string | null;
  position: number | null;
  name: string | null;
  payload: string | null;
}

interface ChangeRow extends PageRow {
  entity_id: string;
  entity_no: string;
  payload: string;
}

/** A run, and the last event of it that was read. */
interface Known {
  readonly id: string;
  readonly eventNo: number;
}

/** The changes of one entity from `first` to `last`. */
export interface ChangeSpan {
  readonly entityId: string;
  readonly first: number;
  readonly last: number;
}

/** Histories are read for at most this many runs at once. */
const LOAD_RUNS_MAX = 100;

export class RunLoader {
  readonly #session: Session;
  readonly #queries: WorkerQueries;
  readonly #workerId: string;
  readonly #buildId: string | null;
  readonly #namespace: string;
  readonly #readAgain: (error: unknown) => Promise<boolean>;

  constructor(options: {
    readonly session: Session;
    readonly queries: WorkerQueries;
    readonly workerId: string;
    readonly buildId?: string | undefined;
    readonly namespace: string;
    /** A read failed for a passing reason: true, after a pause, when it is to be tried again. */
    readAgain(error: unknown): Promise<boolean>;
  }) {
    this.#session = options.session;
    this.#queries = options.queries;
    this.#workerId = options.workerId;
    this.#buildId = options.buildId ?? null;
    this.#namespace = options.namespace;
    this.#readAgain = (error) => options.readAgain(error);
  }

  async claim(options: {
    readonly taskQueue: string;
    readonly workflows: readonly string[];
    readonly limit: number;
    readonly alone: boolean;
    readonly suspectAfter: number;
  }): Promise<ClaimedRun[]> {
    const { taskQueue, workflows, limit, alone, suspectAfter } = options;
    const { rows } = await this.#session.query<ClaimRow>({
      ...this.#queries.claimRuns,
      values: [this.#workerId, this.#buildId, taskQueue, workflows, limit, alone, suspectAfter],
    });
    return rows.map((row) => {
      const rest = row.rest === null ? FRESH : (JSON.parse(row.rest) as ClaimRest);
      return {
        facts: {
          runId: row.run_id,
          workflowId: row.workflow_id,
          workflowName: row.workflow_name,
          taskQueue,
          namespace: this.#namespace,
          entityId: rest.entityId ?? row.run_id,
          parentRunId: rest.parentRunId,
          parentPosition: rest.parentPosition,
          hook: rest.hook,
          dialect: rest.dialect,
          startedMs: row.started_ms,
          input: row.input,
          options: row.options,
        },
        epoch: row.epoch,
        eventCount: rest.eventCount,
        busyTakeovers: rest.busyTakeovers,
        hasInbox: rest.hasInbox,
      };
    });
  }

  /**
   * Reads what runs had recorded, a bounded number at a time; each run comes when all of it is there. What is claimed is
   * lost when this fails, and would be claimed and read again from the beginning: it goes on where it was.
   */
  async *load(runs: readonly ClaimedRun[]): AsyncGenerator<ReadonlyMap<string, LoadedRun>> {
    for (let start = 0; start < runs.length; start += LOAD_RUNS_MAX) {
      const ids = runs.slice(start, start + LOAD_RUNS_MAX).map(({ facts }) => facts.runId);
      const rows = await this.#persistently(() => this.#rowsOf(ids));
      for await (const histories of this.#histories(ids)) {
        if (histories.size === 0) continue;
        yield new Map([...histories].map(([id, events]) => [id, { ...rowsOf(rows, id), events }]));
      }
    }
  }

  /** What stands of runs besides their histories. */
  async #rowsOf(ids: readonly string[]): Promise<ReadonlyMap<string, Omit<LoadedRun, "events">>> {
    const loaded = new Map(ids.map((id) => [id, NO_ROWS()]));
    await this.#loadRows(ids, loaded);
    return loaded;
  }

  async #persistently<Result>(read: () => Promise<Result>): Promise<Result> {
    for (;;) {
      try {
        return await read();
      } catch (error) {
        if (classifySqlError(error) !== "transient" || !(await this.#readAgain(error))) throw error;
      }
    }
  }

  async #loadRows(
    ids: readonly string[],
    loaded: ReadonlyMap<string, Omit<LoadedRun, "events">>,
  ): Promise<void> {
    const activities = await this.#session.query<{
      run_id: string;
      position: number;
      attempt: number;
      state: ActivityRow["state"];
      due_ms: number;
    }>({ ...this.#queries.loadActivities, values: [ids] });
    for (const row of activities.rows) {
      loaded
        .get(row.run_id)
        ?.rows.push({ position: row.position, attempt: row.attempt, state: row.state, dueMs: row.due_ms });
    }
    const waits = await this.#session.query<{ run_id: string; signal_id: string; position: number }>({
      ...this.#queries.loadWaits,
      values: [ids],
    });
    for (const row of waits.rows)
      loaded.get(row.run_id)?.waits.push({ position: row.position, signalId: row.signal_id });
  }

  /** The history of one run, in order. */
  async events(runId: string): Promise<readonly HistoryEvent[]> {
    for await (const whole of this.#histories([runId])) {
      const events = whole.get(runId);
      if (events !== undefined) return events;
    }
    return [];
  }

  /** The histories of runs, each when it is whole. */
  async *#histories(ids: readonly string[]): AsyncGenerator<ReadonlyMap<string, HistoryEvent[]>> {
    const histories = new Map(ids.map((id): [string, HistoryEvent[]] => [id, []]));
    const pages = readPages<Known, EventRow>(
      ids.map((id) => ({ id, eventNo: 0 })),
      {
        read: (known) =>
          this.#persistently(() =>
            this.#rows<EventRow>(this.#queries.loadEvents, [
              known.map(({ id }) => id),
              known.map(({ eventNo }) => eventNo),
            ]),
          ),
        after: ({ id }, last) => ({ id, eventNo: last.event_no }),
      },
    );
    for await (const { rows, whole } of pages) {
      for (const row of rows) histories.get(row.run_id)?.push(eventOf(row));
      yield new Map(whole.map(({ id }) => [id, histories.get(id) ?? []]));
    }
  }

  /**
   * Messages newer than the newest that was read of each run, as many as fit a page.
   *
   * @returns The messages, each run's in order, and the runs that may have more.
   */
  async inbox<Run extends { readonly id: string; readonly lastMessageId: string }>(
    runs: readonly Run[],
  ): Promise<{ readonly messages: readonly InboxMessage[]; readonly unread: readonly Run[] }> {
    const { rows, rest } = await readPage<Run, InboxRow>(runs, {
      read: (known) =>
        this.#rows<InboxRow>(this.#queries.loadInbox, [
          known.map(({ id }) => id),
          known.map(({ lastMessageId }) => lastMessageId),
        ]),
      after: (run) => run,
    });
    const messages = rows.map((row) => ({
      runId: row.run_id,
      messageId: row.message_id,
      kind: row.kind as EventKind,
      fromRunId: row.from_run_id,
      position: row.position,
      name: row.name,
      payload: row.payload,
    }));
    return { messages, unread: rest };
  }

  /** Changes of entities, each within its span of numbers. */
  async changes(spans: readonly ChangeSpan[]): Promise<Map<string, NumberedChange[]>> {
    const changes = new Map<string, NumberedChange[]>();
    const pages = readPages<ChangeSpan, ChangeRow>(spans, {
      read: (asked) =>
        this.#rows<ChangeRow>(this.#queries.loadChanges, [
          asked.map(({ entityId }) => entityId),
          asked.map(({ first }) => first),
          asked.map(({ last }) => last),
        ]),
      after: (span, row) => ({ ...span, first: Number(row.entity_no) + 1 }),
    });
    for await (const { rows } of pages) {
      for (const row of rows) {
        let list = changes.get(row.entity_id);
        if (list === undefined) changes.set(row.entity_id, (list = []));
        list.push({ entityNo: Number(row.entity_no), payload: row.payload });
      }
    }
    return changes;
  }

  /** One page. */
  async #rows<Row extends PageRow & pg.QueryResultRow>(
    query: QueryText,
    values: readonly unknown[],
  ): Promise<readonly Row[]> {
    const page = [PAGE_ROWS, PAGE_BYTES];
    return (await this.#session.query<Row>({ ...query, values: [...values, ...page] })).rows;
  }

  /** Which of these runs have messages. */
  async withMessages(runIds: readonly string[]): Promise<string[]> {
    const { rows } = await this.#session.query<{ run_id: string }>({
      ...this.#queries.sweepInbox,
      values: [runIds],
    });
    return rows.map((row) => row.run_id);
  }

  /** Which of these runs are no longer this worker's. */
  async lost(runs: readonly { readonly id: string; readonly epoch: number }[]): Promise<string[]> {
    const { rows } = await this.#session.query<{ run_id: string }>({
      ...this.#queries.sweepOwned,
      values: [runs.map(({ id }) => id), runs.map(({ epoch }) => epoch), this.#workerId],
    });
    return rows.map((row) => row.run_id);
  }

  /** Gives back what this worker owns without knowing it. */
  async releaseUnknown(
    runIds: readonly string[],
    leased: readonly { readonly runId: string; readonly position: number }[],
  ): Promise<void> {
    await this.#session.query({
      ...this.#queries.releaseUnknown,
      values: [
        this.#workerId,
        runIds,
        leased.map(({ runId }) => runId),
        leased.map(({ position }) => position),
      ],
    });
  }

  /** What is ready, or will be, of these workflows and activities (pairs of a queue and a name), and of the schedules. */
  async readyWork(served: {
    readonly runs: readonly (readonly [string, string])[];
    readonly attempts: readonly (readonly [string, string])[];
  }): Promise<ReadyWork[]> {
    const { rows } = await this.#session.query<{
      kind: ReadyWork["kind"];
      task_queue: string;
      ready: boolean;
      due_in_ms: number | null;
    }>({
      ...this.#queries.readyWork,
      values: [
        this.#buildId,
        served.runs.map(([taskQueue]) => taskQueue),
        served.runs.map(([, name]) => name),
        served.attempts.map(([taskQueue]) => taskQueue),
        served.attempts.map(([, name]) => name),
        SUSPECT_AFTER,
      ],
    });
    return rows.map((row) => ({
      taskQueue: row.task_queue,
      kind: row.kind,
      ready: row.ready,
      dueInMs: row.due_in_ms,
    }));
  }

  async claimActivities(
    taskQueue: string,
    names: readonly string[],
    limit: number,
  ): Promise<LeasedActivity[]> {
    const { rows } = await this.#session.query<{
      run_id: string;
      position: number;
      attempt: number;
      name: string;
      args: string | null;
      policy: string | null;
      workflow_id: string;
      workflow_name: string;
    }>({
      ...this.#queries.claimActivities,
      values: [this.#workerId, this.#buildId, taskQueue, names, limit],
    });
    return rows.map((row) => ({
      runId: row.run_id,
      position: row.position,
      attempt: row.attempt,
      name: row.name,
      args: row.args,
      policy: row.policy,
      workflowId: row.workflow_id,
      workflowName: row.workflow_name,
    }));
  }
}

const NO_ROWS = (): Omit<LoadedRun, "events"> => ({ rows: [], waits: [] });

function rowsOf(rows: ReadonlyMap<string, Omit<LoadedRun, "events">>, id: string): Omit<LoadedRun, "events"> {
  return rows.get(id) ?? NO_ROWS();
}

function eventOf(row: EventRow): HistoryEvent {
  return {
    eventNo: row.event_no,
    kind: row.kind as EventKind,
    position: row.position,
    atMs: row.at_ms,
    name: row.name,
    payload: row.payload,
    entityNo: row.entity_no === null ? null : Number(row.entity_no),
  };
}
