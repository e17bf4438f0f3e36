/**
 * Group commit: one lane takes everything its runs have to record since its last flush and commits it in one statement.
 *
 * Promises that a run's parts are committed in order (one flush of a lane at a time), that nothing is applied before its
 * commit, and that one run whose rows Postgres refuses can't hold up the others: the flush is split until it stands
 * alone. Retries and lost acknowledgements are commitFlush's.
 */
import { crashPoint } from "../crash-points.ts";
import { commitFlush } from "../store/flush-commit.ts";
import { outside } from "../store/outside.ts";
import type { Session } from "../store/session.ts";
import { classifySqlError, runsBehind } from "../store/sql-errors.ts";
import type { WorkerQueries } from "../store/worker-queries.ts";
import {
  FLUSH_BYTES_MAX,
  FLUSH_EVENTS_MAX,
  FLUSH_RUNS_MAX,
  contributionOf,
  flushValues,
} from "./flush-batch.ts";
import type { OwnedRun, RunContribution } from "./owned-run.ts";

/** What a flush answered besides "committed". */
export interface FlushReply {
  readonly lost?: readonly string[];
  readonly watch?: Readonly<Record<string, readonly string[]>> | null;
  readonly extra?: {
    readonly wake?: readonly Wake[];
    readonly refused?: readonly string[] | null;
    readonly started?: readonly { readonly run: string; readonly no: number; readonly kind: number }[] | null;
    /** What became of commands about other runs. */
    readonly noted?:
      | readonly {
          readonly run: string;
          readonly no: number;
          readonly kind: number;
          readonly payload: unknown;
        }[]
      | null;
    readonly numbers?:
      | readonly { readonly run: string; readonly no: number; readonly entity_no: number }[]
      | null;
    readonly inbox?: readonly string[] | null;
    readonly watch?: Readonly<Record<string, readonly string[]>> | null;
  } | null;
}

/** A run that has a message: its owner, or its queue when it has none. */
export interface Wake {
  readonly run: string;
  readonly owner?: string | null;
  readonly queue?: string | null;
}

/** Who the lane works for. Called from macrotasks, outside every run. */
export interface FlushLaneHost {
  readonly workerId: string;
  nowMs(): number;
  alive(): boolean;
  nextFlushNumber(): number;
  /** A committed flush: apply its events. */
  committed(contributions: readonly RunContribution[], reply: FlushReply): void;
  /** Runs that end have messages to apply first. */
  behind(runs: readonly OwnedRun[]): void;
  /** Postgres refuses this part of one run for good. */
  refused(contribution: RunContribution, error: unknown): void;
  /** The lane can't go on: the worker stops. */
  failed(error: unknown): void;
  retried(error: unknown): void;
}

export class FlushLane {
  readonly #host: FlushLaneHost;
  readonly #session: Session;
  readonly #queries: WorkerQueries;
  #dirty = new Set<OwnedRun>();
  #busy = false;
  #scheduled = false;
  #idle: (() => void)[] = [];

  constructor(options: {
    readonly host: FlushLaneHost;
    readonly session: Session;
    readonly queries: WorkerQueries;
  }) {
    this.#host = options.host;
    this.#session = options.session;
    this.#queries = options.queries;
  }

  /** The run has something to record. */
  mark(run: OwnedRun): void {
    this.#dirty.add(run);
    if (!this.#busy && !this.#scheduled) {
      this.#scheduled = true;
      // Whoever marks first may be an attempt, whose context must not live on in the flush.
      outside(() => setImmediate(() => this.#begin()));
    }
  }

  /** Settles when nothing is to be recorded. */
  async idle(): Promise<void> {
    if (!this.#busy && !this.#scheduled && this.#dirty.size === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #begin(): void {
    this.#scheduled = false;
    if (this.#busy || !this.#host.alive()) return;
    const contributions = this.#take();
    if (contributions.length === 0) {
      const waiting = this.#idle;
      this.#idle = [];
      for (const resolve of waiting) resolve();
      return;
    }
    this.#busy = true;
    void this.#commit(contributions).then(
      (then) => setImmediate(() => this.#end(then)),
      (error: unknown) =>
        setImmediate(() => {
          this.#busy = false;
          if (this.#host.alive()) this.#host.failed(error);
        }),
    );
  }

  #take(): RunContribution[] {
    const contributions: RunContribution[] = [];
    const nowMs = this.#host.nowMs();
    let eventsLeft = FLUSH_EVENTS_MAX;
    let bytesLeft = FLUSH_BYTES_MAX;
    for (const run of this.#dirty) {
      if (contributions.length >= FLUSH_RUNS_MAX || eventsLeft <= 0 || bytesLeft <= 0) break;
      this.#dirty.delete(run);
      if (run.dropped) continue;
      const contribution = contributionOf(run, { nowMs, eventsMax: eventsLeft, bytesMax: bytesLeft });
      if (contribution === undefined) continue;
      eventsLeft -= contribution.events.length;
      for (const event of contribution.events) bytesLeft -= event.payload?.length ?? 0;
      contributions.push(contribution);
    }
    return contributions;
  }

  /** Commits all of it and returns what to do with each outcome, in a macrotask. */
  async #commit(contributions: readonly RunContribution[]): Promise<() => void> {
    const host = this.#host;
    const number = host.nextFlushNumber();
    crashPoint("flush.built", host.workerId);
    try {
      const text = await commitFlush({
        session: this.#session,
        statement: {
          ...this.#queries.flushRuns,
          values: [host.workerId, number, ...flushValues(contributions)],
        },
        replyQuery: this.#queries.flushReply,
        writer: host.workerId,
        number,
        alive: () => host.alive(),
        onRetry: (error) => host.retried(error),
      });
      crashPoint("flush.committed", host.workerId);
      const reply = text === null ? {} : (JSON.parse(text) as FlushReply);
      return () => host.committed(contributions, reply);
    } catch (error) {
      return await this.#afterRefusal(contributions, error);
    }
  }

  async #afterRefusal(contributions: readonly RunContribution[], error: unknown): Promise<() => void> {
    const behindIds = runsBehind(error);
    if (behindIds !== undefined) {
      const ids = new Set(behindIds);
      const behind = contributions.filter(({ run }) => ids.has(run.id));
      const others = contributions.filter(({ run }) => !ids.has(run.id));
      const rest = others.length === 0 ? undefined : await this.#commit(others);
      return () => {
        rest?.();
        this.#host.behind(behind.map(giveBack));
      };
    }
    const kind = classifySqlError(error);
    if (kind === "transient" || kind === "permission" || kind === "schema") throw error;
    const [only] = contributions;
    if (contributions.length === 1 && only !== undefined) {
      return () => {
        giveBack(only);
        this.#host.refused(only, error);
      };
    }
    const middle = contributions.length >> 1;
    const first = await this.#commit(contributions.slice(0, middle));
    const second = await this.#commit(contributions.slice(middle));
    return () => {
      first();
      second();
    };
  }

  #end(then: () => void): void {
    this.#busy = false;
    if (!this.#host.alive()) return;
    then();
    if (!this.#scheduled) this.#begin();
  }
}

/** Puts back what a refused flush had taken from its run. */
function giveBack(contribution: RunContribution): OwnedRun {
  const { run } = contribution;
  const writes = [...contribution.writes, ...run.writes.values()];
  run.writes = new Map(writes.map((write) => [write.position, write]));
  run.activitiesDone = [...contribution.activitiesDone, ...run.activitiesDone];
  run.discarded = [...contribution.discarded, ...run.discarded];
  run.cancelsHooks ||= contribution.cancelsHooks;
  return run;
}
