/**
 * Waits for runs to end: told by a notification, found by polling.
 *
 * Promises that every wait settles once its run has ended, whether or not a notification came, or is no longer kept; that
 * waits for many runs are one statement; and that a run which is not known is an error at once.
 */
import { ConnectionError, WorkflowNotFoundError } from "../core/errors.ts";
import type { FailureJson } from "../core/failure.ts";
import { uuidArray } from "../store/binary-arrays.ts";
import type { ClientQueries } from "../store/client-queries.ts";
import { outside } from "../store/outside.ts";
import type { Session } from "../store/session.ts";
import { classifySqlError } from "../store/sql-errors.ts";

/** How a run ended. */
export interface RunOutcome {
  readonly status: string;
  /** JSON text; null for undefined. */
  readonly result: string | null;
  readonly failure: FailureJson | null;
  /** True when the run was started with `throwOnError: false`: its failure is its result. */
  readonly failureIsResult: boolean;
}

interface Wait extends PromiseWithResolvers<RunOutcome> {
  /** Who waits for it; infinite when somebody waits without an end. */
  holders: number;
}

interface OutcomeRow {
  readonly run_id: string;
  readonly status: string;
  readonly result: string | null;
  readonly failure: string | null;
  readonly failure_is_result: boolean;
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
    return this.#hold(runId, Number.POSITIVE_INFINITY).promise;
  }

  /**
   * Waits for some time; undefined when it is over or the signal comes. A run that nobody waits for any more is not looked at.
   */
  async waitWithin(runId: string, waitMs: number, signal: AbortSignal): Promise<RunOutcome | undefined> {
    const wait = this.#hold(runId, 1);
    const { promise: over, resolve } = Promise.withResolvers<undefined>();
    const stop = (): void => resolve(undefined);
    const timer = outside(() => setTimeout(stop, waitMs));
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    try {
      return await Promise.race([wait.promise, over]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      this.#release(runId, wait);
    }
  }

  #release(runId: string, wait: Wait): void {
    wait.holders -= 1;
    if (wait.holders > 0 || this.#waits.get(runId) !== wait) return;
    this.#waits.delete(runId);
    this.#unwatched.delete(runId);
    this.#disarm();
  }

  #hold(runId: string, holders: number): Wait {
    const known = this.#waits.get(runId);
    if (known !== undefined) {
      known.holders += holders;
      return known;
    }
    const wait: Wait = { ...Promise.withResolvers<RunOutcome>(), holders };
    if (this.#closed) {
      wait.reject(closedError());
      return wait;
    }
    this.#waits.set(runId, wait);
    const ended = this.#expected.get(runId);
    if (ended === undefined) outside(() => void this.#watch(runId));
    else {
      this.#expected.delete(runId);
      if (ended) this.#fetch([runId]);
    }
    this.#arm();
    return wait;
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
    outside(() => void this.#fetchAll());
  }

  async #fetchAll(): Promise<void> {
    try {
      while (this.#toFetch.size > 0 && !this.#closed) {
        const runIds = [...this.#toFetch].slice(0, POLL_RUNS_MAX);
        if (runIds.length === this.#toFetch.size) this.#toFetch = new Set();
        else for (const runId of runIds) this.#toFetch.delete(runId);
        const { rows } = await this.#session.query<OutcomeRow>({
          ...this.#queries.outcomes,
          values: [uuidArray(runIds)],
        });
        let endedCount = 0;
        for (const row of rows) {
          if (row.status === "running") continue;
          endedCount += 1;
          this.#settle(row.run_id, {
            status: row.status,
            result: row.result,
            failure: row.failure === null ? null : (JSON.parse(row.failure) as FailureJson),
            failureIsResult: row.failure_is_result,
          });
        }
        if (rows.length < runIds.length) this.#miss(runIds, rows);
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

  /** They ended, and their retention too, before anybody here heard of it. */
  #miss(runIds: readonly string[], rows: readonly OutcomeRow[]): void {
    const found = new Set(rows.map((row) => row.run_id));
    for (const runId of runIds)
      if (!found.has(runId)) this.#settle(runId, new WorkflowNotFoundError({ workflowId: "", runId }));
  }

  #settle(runId: string, outcome: RunOutcome | Error): void {
    const wait = this.#waits.get(runId);
    if (wait === undefined) return;
    this.#waits.delete(runId);
    if (outcome instanceof Error) wait.reject(outcome);
    else wait.resolve(outcome);
    this.#disarm();
  }

  #disarm(): void {
    if (this.#waits.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** One look is planned at a time: waits that come until then are part of it and do not put it off. */
  #arm(): void {
    if (this.#timer !== undefined || this.#waits.size === 0 || this.#closed) return;
    const look = (): void => {
      this.#timer = undefined;
      this.poll();
      this.#pollMs = Math.min(this.#pollMs * 2, POLL_MAX_MS);
      this.#arm();
    };
    const delayMs = this.#pollMs * (0.8 + 0.4 * Math.random());
    this.#timer = outside(() => setTimeout(look, delayMs));
  }
}

function closedError(): Error {
  return new ConnectionError("BAD_CONNECTION", {
    message: "the client was closed while it waited for a result; make a new one",
  });
}
