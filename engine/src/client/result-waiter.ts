/**
 * Waits for runs to end: told by a notification, found by polling.
 *
 * Promises that every wait settles once its run has ended, whether or not a notification came, or is no longer kept; that
 * waits for many runs are one statement; and that a run which is not known is an error at once.
 */
import { ConnectionError, WorkflowNotFoundError } from "../core/errors.ts";
import type { FailureJson } from "../core/failure.ts";
import type { ClientQueries } from "../store/client-queries.ts";
import type { Session } from "../store/session.ts";
import { classifySqlError } from "../store/sql-errors.ts";

/** How a run ended. */
export interface RunOutcome {
  readonly status: string;
  /** JSON text; null for undefined. */
  readonly result: string | null;
  readonly failure: FailureJson | null;
}

interface Wait {
  readonly promise: Promise<RunOutcome>;
  readonly resolve: (outcome: RunOutcome) => void;
  readonly reject: (error: Error) => void;
}

const POLL_FIRST_MS = 1_000;
const POLL_MAX_MS = 5_000;
const POLL_RUNS_MAX = 2_000;
/** Runs that this client started and has not asked for yet. */
const EXPECTED_MAX = 100_000;

export class ResultWaiter {
  readonly #session: Session;
  readonly #queries: ClientQueries;
  readonly #channel: string;
  readonly #toError: (error: unknown) => Error;
  readonly #waits = new Map<string, Wait>();
  /** Started here: their end is told to this client's channel. True when it was. */
  readonly #expected = new Map<string, boolean>();
  /** Waited for, and not yet known to exist: the database was away when it was asked. */
  readonly #unwatched = new Set<string>();
  #toFetch = new Set<string>();
  #fetching = false;
  #timer: NodeJS.Timeout | undefined;
  #pollMs = POLL_FIRST_MS;
  #closed = false;

  constructor(options: {
    readonly session: Session;
    readonly queries: ClientQueries;
    readonly channel: string;
    readonly toError: (error: unknown) => Error;
  }) {
    this.#session = options.session;
    this.#queries = options.queries;
    this.#channel = options.channel;
    this.#toError = options.toError;
  }

  /** The run's start names this client's channel. */
  expect(runId: string): void {
    if (this.#expected.size < EXPECTED_MAX) this.#expected.set(runId, false);
  }

  forget(runId: string): void {
    this.#expected.delete(runId);
  }

  wait(runId: string): Promise<RunOutcome> {
    const known = this.#waits.get(runId);
    if (known !== undefined) return known.promise;
    const { promise, resolve, reject } = Promise.withResolvers<RunOutcome>();
    if (this.#closed) {
      reject(closedError());
      return promise;
    }
    this.#waits.set(runId, { promise, resolve, reject });
    const ended = this.#expected.get(runId);
    this.#expected.delete(runId);
    if (ended === undefined) void this.#watch(runId);
    else if (ended) this.#fetch([runId]);
    this.#arm();
    return promise;
  }

  /** Told that runs have ended. */
  ended(runIds: readonly string[]): void {
    const waited: string[] = [];
    for (const runId of runIds) {
      if (this.#waits.has(runId)) waited.push(runId);
      else if (this.#expected.has(runId)) this.#expected.set(runId, true);
    }
    this.#fetch(waited);
  }

  /** Looks at every run that is waited for. */
  poll(): void {
    for (const runId of this.#expected.keys()) this.#expected.set(runId, true);
    const unwatched = [...this.#unwatched];
    this.#unwatched.clear();
    for (const runId of unwatched) void this.#watch(runId);
    this.#fetch([...this.#waits.keys()]);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const { reject } of this.#waits.values()) reject(closedError());
    this.#waits.clear();
  }

  /** A run that somebody else started: asks to be told, and looks. */
  async #watch(runId: string): Promise<void> {
    try {
      const { rows } = await this.#session.query({
        ...this.#queries.watchRuns,
        values: [[runId], this.#channel],
      });
      if (rows.length > 0) return;
      const found = await this.#session.query({ ...this.#queries.runsById, values: [[runId]] });
      if (found.rows.length === 0) this.#settle(runId, new WorkflowNotFoundError({ workflowId: "", runId }));
      else this.#fetch([runId]);
    } catch (error) {
      if (classifySqlError(error) === "transient") this.#unwatched.add(runId);
      else this.#settle(runId, this.#toError(error));
    }
  }

  #fetch(runIds: readonly string[]): void {
    for (const runId of runIds) this.#toFetch.add(runId);
    if (this.#fetching || this.#toFetch.size === 0) return;
    this.#fetching = true;
    void this.#fetchAll();
  }

  async #fetchAll(): Promise<void> {
    try {
      while (this.#toFetch.size > 0 && !this.#closed) {
        const runIds = [...this.#toFetch].slice(0, POLL_RUNS_MAX);
        for (const runId of runIds) this.#toFetch.delete(runId);
        const { rows } = await this.#session.query<{
          run_id: string;
          status: string;
          result: string | null;
          failure: string | null;
        }>({ ...this.#queries.outcomes, values: [runIds] });
        const gone = new Set(runIds);
        let endedCount = 0;
        for (const row of rows) {
          gone.delete(row.run_id);
          if (row.status === "running") continue;
          endedCount += 1;
          this.#settle(row.run_id, {
            status: row.status,
            result: row.result,
            failure: row.failure === null ? null : (JSON.parse(row.failure) as FailureJson),
          });
        }
        // It ended, and its retention too, before anybody here heard of it.
        for (const runId of gone) this.#settle(runId, new WorkflowNotFoundError({ workflowId: "", runId }));
        if (endedCount > 0) this.#pollMs = POLL_FIRST_MS;
      }
    } catch (error) {
      this.#pollMs = POLL_FIRST_MS;
      // While the database is away the poll asks again, for as long as somebody waits.
      if (classifySqlError(error) === "transient") return;
      for (const runId of this.#waits.keys()) this.#settle(runId, this.#toError(error));
    } finally {
      this.#fetching = false;
    }
  }

  #settle(runId: string, outcome: RunOutcome | Error): void {
    const wait = this.#waits.get(runId);
    if (wait === undefined) return;
    this.#waits.delete(runId);
    if (outcome instanceof Error) wait.reject(outcome);
    else wait.resolve(outcome);
    if (this.#waits.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** One look is planned at a time: waits that come until then are part of it and do not put it off. */
  #arm(): void {
    if (this.#timer !== undefined || this.#waits.size === 0 || this.#closed) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.poll();
        this.#pollMs = Math.min(this.#pollMs * 2, POLL_MAX_MS);
        this.#arm();
      },
      this.#pollMs * (0.8 + 0.4 * Math.random()),
    );
  }
}

function closedError(): Error {
  return new ConnectionError("BAD_CONNECTION", {
    message: "the client was closed while it waited for a result; make a new one",
  });
}
