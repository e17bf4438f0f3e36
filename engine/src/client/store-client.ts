/**
 * A client of one schema: starts runs, signals and stops them, waits for results, reads what happened.
 *
 * Promises that what it acknowledged is committed; that no worker needs to live for a start; and that waiting costs one
 * statement per batch of ended runs: LISTEN is the haste, polling the truth.
 */
import { setTimeout as delay } from "node:timers/promises";

import {
  ConnectionError,
  DuplicateJobError,
  IdempotencyKeyReusedError,
  MemFlowError,
  RunClosedError,
  WorkflowNotFoundError,
} from "../core/errors.ts";
import { EVENT_WORD, STRAY_SIGNAL_MS } from "../core/events.ts";
import type { EventKind } from "../core/events.ts";
import type { FailureJson } from "../core/failure.ts";
import type { Json } from "../core/json.ts";
import { EMPTY_MEMORY, foldLog } from "../core/memory-fold.ts";
import type { Memory } from "../core/memory-fold.ts";
import type { SearchData } from "../core/search-change.ts";
import { int4Array, int8Array, jsonArray, textArray, uuidArray } from "../store/binary-arrays.ts";
import { clientQueries } from "../store/client-queries.ts";
import type { ClientQueries } from "../store/client-queries.ts";
import { listenSource } from "../store/connection-source.ts";
import type { ConnectionSource } from "../store/connection-source.ts";
import { noticesOf } from "../store/ended-runs.ts";
import type { EndedRun } from "../store/ended-runs.ts";
import { channelName, queueChannel } from "../store/identifiers.ts";
import { withPayload } from "../store/json-member.ts";
import { RETRY_BY_ID_MAX_MS } from "../store/flush-commit.ts";
import { Listener } from "../store/listener.ts";
import { decodePayload } from "../core/payload.ts";
import { newId } from "../store/new-id.ts";
import { Notifier } from "../store/notifier.ts";
import { outside } from "../store/outside.ts";
import { PLANNER_SETTINGS } from "../store/planner-settings.ts";
import { provision } from "../store/provision.ts";
import { Session } from "../store/session.ts";
import type { Statement } from "../store/session.ts";
import { toStoreError } from "../store/sql-errors.ts";
import { ScheduleDesk } from "../schedules/schedule-desk.ts";
import { findEntities } from "./entity-finder.ts";
import type { EntitySearch, FoundEntity } from "./entity-finder.ts";
import { createEntityIndex } from "./entity-index.ts";
import { GroupCommit } from "./group-commit.ts";
import { HistoryFollower } from "./history-follower.ts";
import type { FollowedPart } from "./history-follower.ts";
import { hookFlush } from "./hook-starts.ts";
import type { HookReceipt, HookRequest } from "./hook-starts.ts";
import {
  KeyedRequests,
  KeyGoneError,
  keyedSignalFlush,
  keyedStartFlush,
  signalKeyOf,
} from "./keyed-requests.ts";
import type {
  IdempotencyKey,
  KeyedOutcome,
  KeyedReceipt,
  KeyedSignalRequest,
  KeyedStart,
  KeyedStartRequest,
} from "./keyed-requests.ts";
import { encodeSeed, reserveFlush } from "./reservations.ts";
import type { ReserveRequest } from "./reservations.ts";
import { ResultWaiter } from "./result-waiter.ts";
import type { RunOutcome } from "./result-waiter.ts";
import { asListError, countStatement, LIST_SETTINGS, listStatement } from "./run-lists.ts";
import type { RunFilter, RunPageQuery, RunPlace } from "./run-lists.ts";
import { Topics } from "./topics.ts";
import type { TopicListener, TopicSubscription } from "./topics.ts";
import { searchViews } from "./view-search.ts";

/** A run to start. */
export interface StartRequest {
  readonly runId: string;
  readonly workflowId: string;
  readonly workflowName: string;
  readonly taskQueue: string;
  /** JSON text of the argument list. */
  readonly input: string | null;
  /** JSON text of the run's options. */
  readonly options: string | null;
  readonly delayMs: number;
  /** How long it stays once it is closed; null: as its workflow's definition says, or the store's settings. */
  readonly retentionSeconds: number | null;
  /** The type of its entity, by which it is found; null or left out for none. */
  readonly entityType?: string | null;
  /** JSON text of its first search data; null or left out for none. */
  readonly search?: string | null;
  /** The build whose workers alone may claim it; null or left out for whichever gets new runs. */
  readonly buildId?: string | null;
}

/** A signal for one run, or for the one that has waited longest. */
export interface SignalRequest {
  readonly signalId: string;
  /** JSON text. */
  readonly payload: string | null;
  readonly toRunId?: string;
  /** How long it is kept when nobody waits, in milliseconds. */
  readonly keepMs?: number;
}

/** Where a signal went. */
export interface SignalReceipt {
  /** The run that got it; null when it is kept until one waits. */
  readonly runId: string | null;
  readonly keptUntil: Date | null;
}

/** A run to end from outside. */
export interface StopRequest {
  readonly runId: string;
  readonly status: "canceled" | "terminated";
  readonly failure: FailureJson;
  readonly descend: boolean;
  readonly retentionSeconds?: number | undefined;
}

/** What is known of a run without its history. */
export interface RunDescription {
  readonly runId: string;
  readonly workflowId: string;
  readonly workflowName: string;
  readonly taskQueue: string;
  readonly status: string;
  readonly hook: boolean;
  readonly parentRunId: string | null;
  readonly entityId: string;
  readonly eventCount: number;
  readonly startedAt: Date;
  readonly closedAt: Date | null;
  /** Why it is parked, when it is. */
  readonly problem: {
    readonly name: string;
    readonly code: string;
    readonly message: string;
    readonly [key: string]: unknown;
  } | null;
}

/** A run's row in full. */
export interface RunRecord extends RunDescription {
  /** `startedAt` as the database has it: milliseconds with their fraction. */
  readonly startedMs: number;
  readonly parentPosition: number | null;
  readonly dialect: string;
  /** JSON texts; null for undefined. */
  readonly input: string | null;
  readonly options: string | null;
  readonly result: string | null;
  readonly failure: string | null;
}

/** An event in words. */
export interface EventDescription {
  readonly runId: string;
  readonly eventNo: number;
  readonly kind: string;
  readonly position: number | null;
  readonly name: string | null;
  readonly at: Date;
  /** `at` as the run's code sees it: milliseconds with their fraction. */
  readonly atMs: number;
  readonly payload: unknown;
  readonly entityNo: number | null;
}

/** What waits in a queue, and who serves it. */
export interface QueueLoad {
  readonly taskQueue: string;
  /** Tasks that workers could claim. */
  readonly ready: number;
  readonly inFlight: number;
  readonly oldestReadyAt: Date | null;
  readonly nextTimerAt: Date | null;
  /** Living workers. */
  readonly workers: number;
}

interface EventRow {
  readonly run_id: string;
  readonly event_no: number;
  readonly kind: number;
  readonly position: number | null;
  readonly at_ms: number;
  readonly name: string | null;
  readonly payload: string | null;
  readonly entity_no: string | null;
}

interface RunRow {
  run_id: string;
  workflow_id: string;
  workflow_name: string;
  task_queue: string;
  status: string;
  hook: boolean;
  parent_run_id: string | null;
  entity_id: string;
  event_count: number;
  started_ms: number;
  closed_ms: number | null;
  problem: string | null;
}

interface RunTexts {
  input: string | null;
  options: string | null;
  result: string | null;
  failure: string | null;
  parent_position: number | null;
  dialect: string;
}

interface Receipt {
  readonly run: string | null;
  readonly owner: string | null;
  readonly queue: string | null;
  readonly open: boolean;
  readonly kept_until: string | null;
}

/** Events of one run that are read at once (client-queries.ts, eventsAfter). */
const EVENT_PAGE = 5_000;
/** Payloads of one page of a history: a few large ones fill it. */
const EVENT_PAGE_BYTES = 4 * 1024 * 1024;
/** Events that are told at once of a run that is followed. */
const FOLLOWED_PAGE = 500;
/** Snapshots that one search brings up to date at most, newest first: pages of so many. */
const REFRESH_PAGE = 200;
const REFRESH_PAGES_MAX = 50;
const LAST_UUID = "ffffffff-ffff-ffff-ffff-ffffffffffff";
/** A database that is away for longer does not keep a client from closing. */
const CLOSE_WAIT_MS = 5_000;

export class StoreClient {
  readonly #schema: string;
  readonly #source: ConnectionSource;
  readonly #queries: ClientQueries;
  readonly #id: string = newId();
  readonly #writer: Session;
  readonly #reader: Session;
  /** Of its own: a list that takes long delays no other read. */
  readonly #lists: Session;
  readonly #notifier: Notifier;
  readonly #listener: Listener | undefined;
  readonly #starts: GroupCommit<StartRequest, string>;
  readonly #signals: GroupCommit<SignalRequest, Receipt>;
  readonly #stops: GroupCommit<StopRequest, readonly EndedRun[]>;
  readonly #hooks: GroupCommit<HookRequest, HookReceipt>;
  readonly #reservations: GroupCommit<ReserveRequest, string>;
  readonly #keyedStarts: GroupCommit<KeyedStartRequest, KeyedStart>;
  readonly #keyedSignals: GroupCommit<KeyedSignalRequest, KeyedReceipt>;
  readonly #startsByKey: KeyedRequests<KeyedStartRequest, KeyedStart>;
  readonly #signalsByKey: KeyedRequests<KeyedSignalRequest, KeyedOutcome>;
  readonly #follower: HistoryFollower<EventDescription>;
  /** The schedules of the store. */
  readonly schedules: ScheduleDesk;
  readonly #results: ResultWaiter;
  readonly #topics: Topics;
  readonly #channel: string;
  #number = 0;
  #open = true;

  /**
   * Tests the connection, provisions the schema where needed, and connects.
   *
   * @throws {ConnectionError} When the database can't be used; {SchemaError} when its schema doesn't fit this version.
   */
  static async open(source: ConnectionSource, schema: string): Promise<StoreClient> {
    return await outside(async () => {
      const usable = await provision(source, schema);
      const client = new StoreClient(usable, schema);
      await client.#listener?.listen(client.#channel);
      return client;
    });
  }

  private constructor(source: ConnectionSource, schema: string) {
    this.#source = source;
    this.#schema = schema;
    this.#queries = clientQueries(schema);
    this.#channel = channelName(schema, "client", this.#id);
    this.#writer = new Session({ source, purpose: "client" });
    this.#reader = new Session({ source, purpose: "read", settings: PLANNER_SETTINGS });
    this.#lists = new Session({ source, purpose: "list", settings: LIST_SETTINGS });
    this.#notifier = new Notifier({ source });
    this.#results = new ResultWaiter({
      session: this.#reader,
      queries: this.#queries,
      channel: this.#channel,
      toError: (error) => toStoreError(error, source),
    });
    this.#topics = new Topics({
      channelOf: (topic) => channelName(schema, "topic", topic),
      listen: async (channel) => await this.#listener?.listen(channel),
      unlisten: async (channel) => await this.#listener?.unlisten(channel),
      read: async (topic, values) =>
        (await this.#read<{ data: string | null }>("emittedData", [...values, topic])).map(({ data }) => ({
          data: decodePayload(data),
        })),
    });
    const listening = listenSource(source);
    this.#listener =
      listening === undefined
        ? undefined
        : new Listener({
            source: listening,
            onNotification: (channel, payload) => {
              if (!this.#topics.notified(channel, payload)) this.#results.ended(payload.split(","));
            },
            onReconnect: () => {
              this.#results.poll();
              this.#topics.gap();
            },
          });
    const common = {
      session: this.#writer,
      replyQuery: this.#queries.flushReply,
      writer: this.#id,
      nextNumber: () => (this.#number += 1),
      alive: () => this.#open,
      refusal: (error: unknown) => toStoreError(error, source),
    };
    this.#starts = new GroupCommit({ ...common, ...this.#startFlush() });
    this.#signals = new GroupCommit({ ...common, ...this.#signalFlush() });
    this.#stops = new GroupCommit({ ...common, ...this.#stopFlush() });
    const telling = { queries: this.#queries, writer: this.#id, channel: this.#channel };
    this.#hooks = new GroupCommit({
      ...common,
      ...hookFlush({ ...telling, retryMaxMs: RETRY_BY_ID_MAX_MS }),
    });
    this.#reservations = new GroupCommit({ ...common, ...reserveFlush(telling) });
    this.#keyedStarts = new GroupCommit({ ...common, ...keyedStartFlush(telling) });
    this.#keyedSignals = new GroupCommit({ ...common, ...keyedSignalFlush(telling) });
    this.#startsByKey = new KeyedRequests({
      keyOf: ({ idempotency }) => idempotency.key,
      send: (request) => this.#startKeyed(request),
    });
    this.#signalsByKey = new KeyedRequests({
      keyOf: signalKeyOf,
      send: (request) => this.#signalKeyed(request),
    });
    this.schedules = new ScheduleDesk({ session: this.#lists, notifier: this.#notifier, schema });
    this.#follower = new HistoryFollower({
      page: (runId, afterEvent) => this.eventPage(runId, afterEvent, FOLLOWED_PAGE),
      look: (runIds, eventNos) => this.#read("followedRuns", [runIds, eventNos]),
    });
  }

  /** The schema it works on. */
  get schema(): string {
    return this.#schema;
  }

  /**
   * Starts a run; settles once it is recorded.
   *
   * @throws {DuplicateJobError} When an open run has the workflow id.
   */
  async start(request: StartRequest): Promise<string> {
    this.#results.expect(request.runId);
    try {
      const runId = await this.#starts.add(request);
      const channel = queueChannel(this.#schema, request.taskQueue);
      this.#notifier.notify(channel, request.delayMs > 0 ? "later" : "runs");
      return runId;
    } catch (error) {
      this.#results.forget(request.runId);
      throw error;
    }
  }

  /**
   * Starts a run under an idempotency key; settles once it, or the run of an earlier equal request, is recorded.
   *
   * @throws {DuplicateJobError} When an open run has the workflow id; {IdempotencyKeyReusedError} when the key was used for
   *   another request.
   */
  async startOnce(request: KeyedStartRequest): Promise<KeyedStart> {
    return await this.#startsByKey.add(request);
  }

  /** What an equal start under the key has led to; undefined when there was none. @throws As `startOnce`. */
  async startedUnder({ key, fingerprint }: IdempotencyKey): Promise<KeyedStart | undefined> {
    const [row] = await this.#read<{
      readonly request_id: string;
      readonly workflow_id: string;
      readonly fingerprint: string;
      readonly expires_ms: number;
    }>("startedUnder", [key]);
    if (row === undefined) return undefined;
    if (row.fingerprint !== fingerprint) throw new IdempotencyKeyReusedError(key);
    const { request_id: runId, workflow_id: workflowId, expires_ms: expiresMs } = row;
    return { runId, workflowId, expiresMs, fresh: false };
  }

  async #startKeyed(request: KeyedStartRequest): Promise<KeyedStart> {
    this.#results.expect(request.runId);
    try {
      const started = await this.#keyedStarts.add(request);
      if (started.fresh) {
        const channel = queueChannel(this.#schema, request.taskQueue);
        this.#notifier.notify(channel, request.delayMs > 0 ? "later" : "runs");
      } else this.#results.forget(request.runId);
      return started;
    } catch (error) {
      this.#results.forget(request.runId);
      throw error;
    }
  }

  /**
   * Sends a signal to a run under an idempotency key; settles once it, or that of an earlier equal request, is recorded.
   *
   * @throws {RunClosedError} When the run has ended; {IdempotencyKeyReusedError} when the key was used for another signal.
   */
  async signalOnce(request: Omit<KeyedSignalRequest, "requestId">): Promise<KeyedOutcome> {
    return await this.#signalsByKey.add({ ...request, requestId: newId() });
  }

  async #signalKeyed(request: KeyedSignalRequest): Promise<KeyedOutcome> {
    const { idempotency, toRunId } = request;
    const receipt = await this.#keyedSignals.add(request);
    if (receipt.known === true) {
      if (receipt.request == null) throw new KeyGoneError("the key has just gone");
      if (receipt.fingerprint !== idempotency.fingerprint)
        throw new IdempotencyKeyReusedError(idempotency.key);
      return { fresh: false, expiresMs: receipt.expires_ms ?? idempotency.expiresMs };
    }
    if (receipt.open !== true) throw await this.#closedError(toRunId);
    this.#notifyTarget(receipt.run ?? null, receipt.owner ?? null, receipt.queue ?? null);
    return { fresh: true, expiresMs: idempotency.expiresMs };
  }

  /**
   * Records a run that no worker takes before `resume`; settles once it is recorded.
   *
   * @throws {DuplicateJobError} When an open run has the workflow id.
   */
  async reserve(request: ReserveRequest): Promise<string> {
    return await this.#reservations.add(request);
  }

  /**
   * Starts a hook inside the open run of a workflow id; settles once it is recorded.
   *
   * @throws {WorkflowNotFoundError} When no run has the id; {RunClosedError} when the latest has ended.
   */
  async startHook(request: HookRequest): Promise<void> {
    const { stands, run: runId, status, owner, queue } = await this.#hooks.add(request);
    const workflowId = request.into;
    if (runId === null || status === null) throw new WorkflowNotFoundError({ workflowId });
    if (!stands) throw new RunClosedError({ workflowId, runId, status });
    this.#notifyTarget(runId, owner, queue);
    const channel = queueChannel(this.#schema, request.taskQueue);
    this.#notifier.notify(channel, request.delayMs > 0 ? "later" : "runs");
  }

  /**
   * Runs a caller's own SQL over the views `jobs` and `jobs_attributes` (view-search.ts), which are brought up to date
   * before.
   *
   * @throws {SearchError} When it is refused, takes too long, gives too much, or must be prepared by an administrator.
   */
  async search(sql: string, parameters: readonly unknown[]): Promise<readonly Record<string, unknown>[]> {
    await this.#refreshSnapshots();
    return await outside(() => searchViews({ source: this.#source, schema: this.#schema, sql, parameters }));
  }

  async #refreshSnapshots(): Promise<void> {
    let before = LAST_UUID;
    for (let page = 0; page < REFRESH_PAGES_MAX; page += 1) {
      const rows = await this.#read<{
        entity_id: string;
        last_no: string;
        document: string;
        search: string;
        tail: string[];
      }>("staleMemories", [before, REFRESH_PAGE]);
      const snapshots = rows.map(({ entity_id: entity, last_no: no, document, search, tail }) => ({
        entity,
        no,
        ...foldLog(
          { document: JSON.parse(document) as Json, search: JSON.parse(search) as SearchData },
          tail,
        ),
      }));
      if (snapshots.length > 0) await this.#read("refreshSnapshots", [JSON.stringify(snapshots)]);
      const last = rows.at(-1);
      if (last === undefined || rows.length < REFRESH_PAGE) return;
      before = last.entity_id;
    }
  }

  /**
   * Sends a signal; settles once it is recorded.
   *
   * @throws {RunClosedError} When the run it is for has ended; {ConnectionError} `COMMIT_UNKNOWN` when the database was
   *   away for half an hour after it was sent: sent again, it might come twice.
   */
  async signal(request: SignalRequest): Promise<SignalReceipt> {
    const receipt = await this.#signals.add(request);
    if (request.toRunId !== undefined && !receipt.open) throw await this.#closedError(request.toRunId);
    this.#notifyTarget(receipt.run, receipt.owner, receipt.queue);
    return {
      runId: receipt.run,
      keptUntil: receipt.kept_until === null ? null : new Date(receipt.kept_until),
    };
  }

  /** Ends a run from outside; false when it had ended before. */
  async stop(request: StopRequest): Promise<boolean> {
    const ended = await this.#stops.add(request);
    for (const [channel, payload] of noticesOf(this.#schema, ended)) this.#notifier.notify(channel, payload);
    return ended.some(({ run_id: runId }) => runId === request.runId);
  }

  /**
   * Calls a listener with what runs emit on a topic, from when it settles until the returned function is called.
   *
   * @throws {ConnectionError} `LISTEN_UNAVAILABLE` when the connection has no LISTEN.
   */
  async subscribe(subscription: TopicSubscription): Promise<() => Promise<void>> {
    if (this.#listener === undefined) throw noListen(this.#source);
    return await outside(() => this.#topics.add(subscription));
  }

  /** Subscribes in MemFlow's form: `sub('order.paid', (topic, data) => ...)`. @see subscribe */
  async sub(topic: string, listener: TopicListener): Promise<() => Promise<void>> {
    return await this.subscribe({ topic, listener });
  }

  /** Makes a parked run ready again and forgives its takeovers; false when it is not parked. */
  async resume(runId: string): Promise<boolean> {
    const rows = await this.#read<{ task_queue: string }>("resumeRuns", [[runId]]);
    for (const row of rows) this.#notifier.notify(queueChannel(this.#schema, row.task_queue), "runs");
    return rows.length > 0;
  }

  /** Settles when the run has ended, whoever started it. */
  async outcome(runId: string): Promise<RunOutcome> {
    return await this.#results.wait(runId);
  }

  /** As `outcome`, for some time: undefined when it is over, or the signal comes, and the run has not ended. */
  async outcomeWithin(runId: string, waitMs: number, signal: AbortSignal): Promise<RunOutcome | undefined> {
    return await this.#results.waitWithin(runId, waitMs, signal);
  }

  async describe(runId: string): Promise<RunDescription> {
    const [row] = await this.#read<RunRow>("runsById", [[runId]]);
    if (row === undefined) throw new WorkflowNotFoundError({ workflowId: "", runId });
    return describeRun(row);
  }

  /** The open run of a workflow id, else its latest. */
  async find(workflowId: string): Promise<RunDescription> {
    const [row] = await this.#read<RunRow>("runByWorkflowId", [workflowId]);
    if (row === undefined) throw new WorkflowNotFoundError({ workflowId });
    return describeRun(row);
  }

  /** Runs, newest first; `before` pages on. Hooks are left out. */
  async list(filter: {
    readonly status?: string | undefined;
    readonly workflowName?: string | undefined;
    readonly taskQueue?: string | undefined;
    readonly before?: string | undefined;
    readonly limit?: number | undefined;
  }): Promise<readonly RunDescription[]> {
    const limit = Math.min(Math.max(filter.limit ?? 50, 1), 1_000);
    const values = [
      filter.status ?? null,
      filter.workflowName ?? null,
      filter.taskQueue ?? null,
      filter.before ?? null,
      limit,
    ];
    return (await this.#read<RunRow>("listRuns", values)).map(describeRun);
  }

  /**
   * One page of runs, and where the next one begins; nothing follows when that is left out.
   *
   * @throws {SearchError} `SEARCH_TIMEOUT` when it takes longer than 5 s.
   */
  async listPage(
    query: RunPageQuery,
  ): Promise<{ readonly runs: readonly RunDescription[]; readonly next?: RunPlace | undefined }> {
    if (query.filter.search !== undefined) await this.#refreshSnapshots();
    const rows = await this.#list<RunRow & { readonly place: string | null }>(
      listStatement(this.#schema, { ...query, limit: query.limit + 1 }),
    );
    const shown = rows.slice(0, query.limit);
    const last = shown.at(-1);
    return {
      runs: shown.map(describeRun),
      ...(rows.length > query.limit && last !== undefined
        ? { next: { runId: last.run_id, closedAt: last.place } }
        : {}),
    };
  }

  /**
   * How many runs there are.
   *
   * @throws {SearchError} As `listPage`.
   */
  async countRuns(filter: RunFilter): Promise<number> {
    if (filter.search !== undefined) await this.#refreshSnapshots();
    const [row] = await this.#list<{ readonly count: number }>(countStatement(this.#schema, filter));
    return row?.count ?? 0;
  }

  /** What waits in each queue, and how many serve it; queues without either are left out. */
  async queueLoads(): Promise<readonly QueueLoad[]> {
    const rows = await this.#list<{
      readonly task_queue: string;
      readonly depth: number;
      readonly in_flight: number;
      readonly oldest_ms: number | null;
      readonly wake_ms: number | null;
      readonly workers: number;
    }>({ ...this.#queries.queueLoads });
    return rows.map((row) => ({
      taskQueue: row.task_queue,
      ready: row.depth,
      inFlight: row.in_flight,
      oldestReadyAt: row.oldest_ms === null ? null : new Date(row.oldest_ms),
      nextTimerAt: row.wake_ms === null ? null : new Date(row.wake_ms),
      workers: row.workers,
    }));
  }

  /** A run with its hooks and children, itself first. */
  async family(runId: string): Promise<readonly RunDescription[]> {
    return (await this.#read<RunRow>("familyOf", [runId])).map(describeRun);
  }

  /** Events of runs after those that were seen, in the order of their time. */
  async events(
    seen: readonly { readonly runId: string; readonly eventNo: number }[],
  ): Promise<readonly EventDescription[]> {
    const events: EventDescription[] = [];
    let asked = seen;
    while (asked.length > 0) {
      const page = await this.#eventPage(asked);
      for (const event of page) events.push(event);
      const last = new Map<string, { readonly eventNo: number; readonly count: number }>();
      for (const { runId, eventNo } of page)
        last.set(runId, { eventNo, count: (last.get(runId)?.count ?? 0) + 1 });
      asked = [...last]
        .filter(([, { count }]) => count >= EVENT_PAGE)
        .map(([runId, { eventNo }]) => ({ runId, eventNo }));
    }
    // Several pages are each in order, not all together.
    return events.toSorted(
      (a, b) =>
        a.at.getTime() - b.at.getTime() ||
        (a.runId < b.runId ? -1 : a.runId > b.runId ? 1 : a.eventNo - b.eventNo),
    );
  }

  async #eventPage(
    seen: readonly { readonly runId: string; readonly eventNo: number }[],
  ): Promise<readonly EventDescription[]> {
    const rows = await this.#read<EventRow>("eventsAfter", [
      seen.map(({ runId }) => runId),
      seen.map(({ eventNo }) => eventNo),
    ]);
    return rows.map(describeEvent);
  }

  /** Events of a run after one, in order: at most `limit`, and about 4 MiB of payloads. */
  async eventPage(runId: string, afterEvent: number, limit: number): Promise<readonly EventDescription[]> {
    const rows = await this.#read<EventRow>("eventPage", [runId, afterEvent, limit, EVENT_PAGE_BYTES]);
    return rows.map(describeEvent);
  }

  /**
   * Follows a history until its run has ended and all is told, or the signal comes.
   *
   * @param afterEvent - The number of the last event that was seen; 0 for none.
   * @throws {WorkflowNotFoundError} When the run is not there.
   */
  followEvents(
    runId: string,
    afterEvent: number,
    signal: AbortSignal,
  ): AsyncGenerator<FollowedPart<EventDescription>, void, undefined> {
    return this.#follower.follow(runId, afterEvent, signal);
  }

  /** The entity of a run as of its last committed change. */
  async entity(entityId: string): Promise<Json> {
    return (await this.memory(entityId)).document;
  }

  /**
   * The search data of a run, or of a hook's run, as of its last committed change.
   *
   * @throws {WorkflowNotFoundError} When there is no such run.
   */
  async searchData(runId: string): Promise<SearchData> {
    const { entityId } = await this.describe(runId);
    return (await this.memory(entityId)).search;
  }

  /** The entity and the search data as of their last committed change; empty when nothing was stored. */
  async memory(entityId: string): Promise<Memory> {
    return (await this.memories([entityId])).get(entityId) ?? EMPTY_MEMORY;
  }

  /** As `memory`, of several; those that nothing was stored of are left out. */
  async memories(entityIds: readonly string[]): Promise<ReadonlyMap<string, Memory>> {
    const rows = await this.#read<{ entity_id: string; document: string; search: string; tail: string[] }>(
      "memories",
      [entityIds],
    );
    return new Map(
      rows.map(({ entity_id: id, document, search, tail }) => [
        id,
        foldLog({ document: JSON.parse(document) as Json, search: JSON.parse(search) as SearchData }, tail),
      ]),
    );
  }

  /** Entities of a type, newest first. */
  async findEntities(search: EntitySearch): Promise<readonly FoundEntity[]> {
    return await findEntities(
      {
        schema: this.#schema,
        rows: (statement) => this.#rows(statement),
        memories: (entityIds) => this.memories(entityIds),
      },
      search,
    );
  }

  /** The entity of a workflow id's open run, else of its latest; undefined when it is not of this type. */
  async findEntity(entityType: string, workflowId: string): Promise<FoundEntity | undefined> {
    const [row] = await this.#read<{ run_id: string; status: string }>("entityOfId", [
      entityType,
      workflowId,
    ]);
    if (row === undefined) return undefined;
    const { document } = await this.memory(row.run_id);
    return { runId: row.run_id, workflowId, status: row.status, document };
  }

  /**
   * Makes an index on a path of entities, unless it is there.
   *
   * @returns Its name.
   * @throws {ConnectionError} `PERMISSION_DENIED` when the role does not own the schema's tables.
   */
  async createEntityIndex(path: readonly string[], kind: "btree" | "gin"): Promise<string> {
    return await createEntityIndex(this.#source, this.#queries, { schema: this.#schema, path, kind });
  }

  /** The names of the indexes on fields of entities. */
  async entityIndexes(): Promise<readonly string[]> {
    const rows = await this.#read<{ name: string; valid: boolean }>("entityIndexes", [this.#schema]);
    return rows.filter(({ valid }) => valid).map(({ name }) => name);
  }

  /** A run's row in full, as its export shows it. */
  async row(runId: string): Promise<RunRecord> {
    const [row] = await this.#read<RunRow & RunTexts>("exportRun", [runId]);
    if (row === undefined) throw new WorkflowNotFoundError({ workflowId: "", runId });
    const { input, options, result, failure, parent_position: parentPosition, dialect } = row;
    return {
      ...describeRun(row),
      startedMs: row.started_ms,
      parentPosition,
      dialect,
      input,
      options,
      result,
      failure,
    };
  }

  /** The changes of an entity that were made by others than this run, in order. */
  async foreignChanges(
    entityId: string,
    runId: string,
  ): Promise<readonly { readonly entityNo: number; readonly payload: string }[]> {
    const rows = await this.#read<{ entity_no: string; payload: string }>("foreignChanges", [
      entityId,
      runId,
    ]);
    return rows.map((row) => ({ entityNo: Number(row.entity_no), payload: row.payload }));
  }

  /**
   * Waits for what is on its way and closes; for 5 s while the database is away, then what was asked for is rejected, and
   * may stand all the same. What waits for a result is rejected.
   */
  async close(): Promise<void> {
    const idle = Promise.all(
      [
        this.#starts,
        this.#signals,
        this.#stops,
        this.#hooks,
        this.#reservations,
        this.#keyedStarts,
        this.#keyedSignals,
      ].map((commits) => commits.idle()),
    );
    const patience = new AbortController();
    await Promise.race([
      idle,
      delay(CLOSE_WAIT_MS, undefined, { signal: patience.signal }).catch(() => undefined),
    ]);
    patience.abort();
    this.#open = false;
    await idle;
    this.#results.close();
    this.#follower.close(
      new ConnectionError("BAD_CONNECTION", { message: "the client was closed; make a new one" }),
    );
    await Promise.all([
      this.#lists.close(),
      this.#listener?.close(),
      this.#notifier.close(),
      this.#writer.close(),
      this.#reader.close(),
    ]);
  }

  async #read<Row extends object>(query: keyof ClientQueries, values: readonly unknown[]): Promise<Row[]> {
    return await this.#rows<Row>({ ...this.#queries[query], values });
  }

  async #list<Row extends object>(statement: Statement): Promise<Row[]> {
    try {
      const { rows } = await outside(() => this.#lists.query<Row>(statement));
      return rows;
    } catch (thrown) {
      const error = asListError(thrown);
      throw error instanceof MemFlowError ? error : toStoreError(error, this.#source);
    }
  }

  async #rows<Row extends object>(statement: Statement): Promise<Row[]> {
    try {
      const { rows } = await outside(() => this.#reader.query<Row>(statement));
      return rows;
    } catch (error) {
      throw error instanceof MemFlowError ? error : toStoreError(error, this.#source);
    }
  }

  #notifyTarget(runId: string | null, owner: string | null, queue: string | null): void {
    if (runId === null) return;
    if (owner !== null) this.#notifier.notify(channelName(this.#schema, "worker", owner), runId);
    else if (queue !== null) this.#notifier.notify(queueChannel(this.#schema, queue), "runs");
  }

  async #closedError(runId: string): Promise<Error> {
    const run = await this.describe(runId);
    return new RunClosedError({ workflowId: run.workflowId, runId, status: run.status });
  }

  #startFlush(): Pick<
    ConstructorParameters<typeof GroupCommit<StartRequest, string>>[0],
    "keyOf" | "statement" | "answers"
  > {
    return {
      keyOf: ({ workflowId }) => workflowId,
      statement: (items, number) => {
        const seeds = items.flatMap(encodeSeed);
        const values = [
          this.#id,
          number,
          uuidArray(items.map(({ runId }) => runId)),
          textArray(items.map(({ workflowId }) => workflowId)),
          textArray(items.map(({ workflowName }) => workflowName)),
          textArray(items.map(({ taskQueue }) => taskQueue)),
          this.#channel,
          int8Array(items.map(({ delayMs }) => Math.round(delayMs))),
          int4Array(items.map(({ retentionSeconds }) => retentionSeconds)),
          jsonArray(items.map(({ input }) => input)),
          jsonArray(items.map(({ options }) => options)),
        ];
        return seeds.length === 0
          ? { ...this.#queries.startRuns, values }
          : { ...this.#queries.startSeededRuns, values: [...values, `[${seeds.join(",")}]`] };
      },
      answers: (items, reply) => {
        const refused = new Map(
          (reply === null ? [] : (JSON.parse(reply) as { run: string; holder: string | null }[])).map(
            ({ run, holder }) => [run, holder],
          ),
        );
        return items.map((item) =>
          refused.has(item.runId)
            ? new DuplicateJobError(item.workflowId, item.workflowName, refused.get(item.runId) ?? undefined)
            : item.runId,
        );
      },
    };
  }

  #signalFlush(): Pick<
    ConstructorParameters<typeof GroupCommit<SignalRequest, Receipt>>[0],
    "keyOf" | "statement" | "answers" | "retryMaxMs"
  > {
    return {
      retryMaxMs: RETRY_BY_ID_MAX_MS,
      keyOf: () => undefined,
      statement: (items, number) => ({
        ...this.#queries.sendSignals,
        values: [this.#id, number, `[${items.map(encodeSignal).join(",")}]`],
      }),
      answers: (_items, reply) => (reply === null ? [] : (JSON.parse(reply) as Receipt[])),
    };
  }

  #stopFlush(): Pick<
    ConstructorParameters<typeof GroupCommit<StopRequest, readonly EndedRun[]>>[0],
    "keyOf" | "statement" | "answers"
  > {
    return {
      // One run at a time: its descendants are known only to the database.
      keyOf: () => "one",
      statement: (items, number) => ({
        ...this.#queries.stopRuns,
        values: [
          this.#id,
          number,
          JSON.stringify(
            items.map(({ runId, status, failure, descend, retentionSeconds }) => ({
              run: runId,
              status,
              failure,
              descend,
              retention_seconds: retentionSeconds,
            })),
          ),
        ],
      }),
      answers: (_items, reply) => [reply === null ? [] : (JSON.parse(reply) as EndedRun[])],
    };
  }
}

function encodeSignal({ signalId, payload, toRunId, keepMs }: SignalRequest): string {
  const head = JSON.stringify({ name: signalId, to: toRunId, ttl_ms: keepMs ?? STRAY_SIGNAL_MS });
  return withPayload(head, "payload", payload);
}

function noListen(source: ConnectionSource): ConnectionError {
  return new ConnectionError("LISTEN_UNAVAILABLE", {
    message:
      `a subscription needs LISTEN, which the connection to ${source.describe()} does not have; ` +
      "give a direct connection beside the pooler, and no polling",
  });
}

function describeEvent(row: EventRow): EventDescription {
  return {
    runId: row.run_id,
    eventNo: row.event_no,
    kind: EVENT_WORD[row.kind as EventKind] ?? String(row.kind),
    position: row.position,
    name: row.name,
    at: new Date(row.at_ms),
    atMs: row.at_ms,
    payload: decodePayload(row.payload),
    entityNo: row.entity_no === null ? null : Number(row.entity_no),
  };
}

function describeRun(row: RunRow): RunDescription {
  return {
    runId: row.run_id,
    workflowId: row.workflow_id,
    workflowName: row.workflow_name,
    taskQueue: row.task_queue,
    status: row.status,
    hook: row.hook,
    parentRunId: row.parent_run_id,
    entityId: row.entity_id,
    eventCount: row.event_count,
    startedAt: new Date(row.started_ms),
    closedAt: row.closed_ms === null ? null : new Date(row.closed_ms),
    problem:
      row.problem === null ? null : (JSON.parse(row.problem) as NonNullable<RunDescription["problem"]>),
  };
}
