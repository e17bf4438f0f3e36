/**
 * Records the outcomes of attempts that were leased from the queue, in group commits of their own.
 *
 * Promises that an outcome is written once or not at all: one whose lease was lost writes nothing.
 */
import { crashPoint } from "../crash-points.ts";
import { commitFlush } from "../store/flush-commit.ts";
import { withPayload } from "../store/json-member.ts";
import type { Session } from "../store/session.ts";
import { classifySqlError } from "../store/sql-errors.ts";
import type { WorkerQueries } from "../store/worker-queries.ts";
import type { Wake } from "./flush-lane.ts";

/** One lease: the same attempt may be leased again after it was given back, and is another lease then. */
export interface Lease {
  readonly runId: string;
  readonly position: number;
  readonly attempt: number;
}

/** What became of a leased attempt. */
export interface LeasedOutcome {
  readonly lease: Lease;
  /** The kind of event that the run gets: activity completed or failed. */
  readonly kind: number;
  /** JSON text. */
  readonly payload: string | null;
  /** The next attempt is due then; undefined when this outcome is final. */
  readonly retryMs: number | undefined;
  /** 1 when the next attempt is another one, 0 when this one was given back unused. */
  readonly advance: 0 | 1;
}

/** Whom it works for. */
export interface ActivitySettlerHost {
  readonly workerId: string;
  alive(): boolean;
  nextFlushNumber(): number;
  settled(outcomes: readonly LeasedOutcome[], wakes: readonly Wake[]): void;
  /** Postgres refuses this outcome for good. */
  refused(outcome: LeasedOutcome, error: unknown): void;
  failed(error: unknown): void;
}

const OUTCOMES_MAX = 1_000;

export class ActivitySettler {
  readonly #host: ActivitySettlerHost;
  readonly #session: Session;
  readonly #queries: WorkerQueries;
  #queue: LeasedOutcome[] = [];
  #busy = false;
  #idle: (() => void)[] = [];

  constructor(options: {
    readonly host: ActivitySettlerHost;
    readonly session: Session;
    readonly queries: WorkerQueries;
  }) {
    this.#host = options.host;
    this.#session = options.session;
    this.#queries = options.queries;
  }

  /** Outcomes are not all recorded, or not known to be. */
  get busy(): boolean {
    return this.#busy;
  }

  add(outcome: LeasedOutcome): void {
    this.#queue.push(outcome);
    if (this.#busy) return;
    this.#busy = true;
    setImmediate(() => void this.#drain());
  }

  /** Settles when every outcome is recorded. */
  async idle(): Promise<void> {
    if (!this.#busy) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  async #drain(): Promise<void> {
    try {
      while (this.#queue.length > 0 && this.#host.alive())
        await this.#commit(this.#queue.splice(0, OUTCOMES_MAX));
    } catch (error) {
      if (this.#host.alive()) this.#host.failed(error);
    } finally {
      this.#busy = false;
      const waiting = this.#idle;
      this.#idle = [];
      for (const resolve of waiting) resolve();
    }
  }

  async #commit(outcomes: readonly LeasedOutcome[]): Promise<void> {
    const host = this.#host;
    const number = host.nextFlushNumber();
    crashPoint("settle.built", host.workerId);
    try {
      const text = await commitFlush({
        session: this.#session,
        statement: { ...this.#queries.settleActivities, values: [host.workerId, number, encode(outcomes)] },
        replyQuery: this.#queries.flushReply,
        writer: host.workerId,
        number,
        alive: () => host.alive(),
      });
      crashPoint("settle.committed", host.workerId);
      host.settled(outcomes, text === null ? [] : (JSON.parse(text) as Wake[]));
    } catch (error) {
      const kind = classifySqlError(error);
      if (!host.alive() || kind === "transient" || kind === "permission" || kind === "schema") throw error;
      const [only] = outcomes;
      if (outcomes.length === 1 && only !== undefined) {
        host.refused(only, error);
        return;
      }
      const middle = outcomes.length >> 1;
      await this.#commit(outcomes.slice(0, middle));
      await this.#commit(outcomes.slice(middle));
    }
  }
}

function encode(outcomes: readonly LeasedOutcome[]): string {
  const members = outcomes.map(({ lease, kind, payload, retryMs, advance }) => {
    const { runId: run, position, attempt } = lease;
    const head = JSON.stringify({ run, position, attempt, kind, advance, retry_ms: retryMs });
    return withPayload(head, "payload", payload);
  });
  return `[${members.join(",")}]`;
}
