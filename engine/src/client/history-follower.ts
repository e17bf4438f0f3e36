/**
 * Follows histories: gives each event of a run once and in order, until the run has ended and all is told.
 *
 * All that are followed by one client are looked after with one statement, at most every `LOOK_MS`: a flush does not tell of
 * its events, and a notification for each would take the cluster's commit lock. While nobody waits nothing is asked; a reader
 * that is slow is given no more than one page.
 */
import { WorkflowNotFoundError } from "../core/errors.ts";
import { int4Array, uuidArray } from "../store/binary-arrays.ts";
import { outside } from "../store/outside.ts";
import { classifySqlError } from "../store/sql-errors.ts";

/** What it needs of its client. */
export interface FollowerHost<Event> {
  /** Events of a run after one, a page of them. */
  page(runId: string, afterEvent: number): Promise<readonly Event[]>;
  /** Of each run: its status (null when it is not there) and the number of its last event after the one that was seen. */
  look(
    runIds: Buffer,
    eventNos: Buffer,
  ): Promise<
    readonly { readonly run_id: string; readonly status: string | null; readonly last_no: number | null }[]
  >;
}

/** What is told: events, or how the run ended. */
export type FollowedPart<Event> =
  | { readonly kind: "events"; readonly events: readonly Event[] }
  | { readonly kind: "end"; readonly status: string };

/** What is known of a followed run. */
interface News {
  readonly status: string;
  readonly hasMore: boolean;
}

interface Waiting {
  readonly runId: string;
  readonly eventNo: number;
  readonly resolve: (news: News) => void;
  readonly reject: (error: unknown) => void;
}

const LOOK_MS = 100;
const LOOK_RUNS_MAX = 2_000;

export class HistoryFollower<Event extends { readonly eventNo: number }> {
  readonly #host: FollowerHost<Event>;
  readonly #waiting = new Set<Waiting>();
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  constructor(host: FollowerHost<Event>) {
    this.#host = host;
  }

  /**
   * Follows a run.
   *
   * @param signal - Ends it without a word.
   * @throws {WorkflowNotFoundError} When the run is not there, or no longer.
   */
  async *follow(
    runId: string,
    afterEvent: number,
    signal: AbortSignal,
  ): AsyncGenerator<FollowedPart<Event>, void, undefined> {
    let seen = afterEvent;
    let isFirst = true;
    while (!signal.aborted) {
      const news = await this.#news({ runId, eventNo: seen, isFirst, signal });
      isFirst = false;
      if (news === undefined) return;
      if (!news.hasMore) {
        if (news.status === "running") continue;
        yield { kind: "end", status: news.status };
        return;
      }
      const events = await this.#host.page(runId, seen);
      const last = events.at(-1);
      if (last === undefined) continue;
      seen = last.eventNo;
      yield { kind: "events", events };
      isFirst = true;
    }
  }

  /** Rejects who waits. */
  close(error: Error): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting.clear();
  }

  /** What is new with a run; undefined when the signal came. */
  async #news(options: {
    readonly runId: string;
    readonly eventNo: number;
    /** Asked at once. */
    readonly isFirst: boolean;
    readonly signal: AbortSignal;
  }): Promise<News | undefined> {
    const { runId, eventNo, isFirst, signal } = options;
    const { promise, resolve, reject } = Promise.withResolvers<News | undefined>();
    const waiting: Waiting = { runId, eventNo, resolve, reject };
    const stop = (): void => {
      this.#waiting.delete(waiting);
      resolve(undefined);
    };
    signal.addEventListener("abort", stop, { once: true });
    this.#waiting.add(waiting);
    this.#arm(isFirst ? 0 : LOOK_MS);
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  #arm(delayMs: number): void {
    if (this.#looking) return;
    if (this.#timer !== undefined) {
      if (delayMs > 0) return;
      clearTimeout(this.#timer);
    }
    this.#timer = outside(() => setTimeout(() => void this.#look(), delayMs));
  }

  async #look(): Promise<void> {
    this.#timer = undefined;
    this.#looking = true;
    const asked = [...this.#waiting].slice(0, LOOK_RUNS_MAX);
    try {
      const rows = await this.#host.look(
        uuidArray(asked.map(({ runId }) => runId)),
        int4Array(asked.map(({ eventNo }) => eventNo)),
      );
      for (const [index, waiting] of asked.entries()) this.#tell(waiting, rows[index]);
    } catch (error) {
      // While the database is away, who follows waits on.
      if (classifySqlError(error) !== "transient") for (const waiting of asked) this.#reject(waiting, error);
    }
    this.#looking = false;
    if (this.#waiting.size > 0) this.#arm(LOOK_MS);
  }

  #tell(
    waiting: Waiting,
    row: { readonly status: string | null; readonly last_no: number | null } | undefined,
  ): void {
    const status = row?.status ?? null;
    if (status === null) {
      this.#reject(waiting, new WorkflowNotFoundError({ workflowId: "", runId: waiting.runId }));
      return;
    }
    const hasMore = row?.last_no != null;
    if (!hasMore && status === "running") {
      // Looked at again, behind the others.
      if (this.#waiting.delete(waiting)) this.#waiting.add(waiting);
      return;
    }
    if (this.#waiting.delete(waiting)) waiting.resolve({ status, hasMore });
  }

  #reject(waiting: Waiting, error: unknown): void {
    if (this.#waiting.delete(waiting)) waiting.reject(error);
  }
}
