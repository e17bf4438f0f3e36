/**
 * What scaling asks of one Store's database: the load of all its queues with one statement, and cordons for workers that
 * are to go. On one connection of its own.
 *
 * Promises to say that the store can't be observed rather than that nothing waits, and to answer within its timeouts. Does
 * not decide and does not retry: the next look is the retry.
 */
import { quoteIdentifier, Session, toStoreError } from "@memflow/engine/provision";
import type { ConnectionSource, Statement } from "@memflow/engine/provision";
import type { UnseenQueue } from "./core/observation.ts";
import { CORDON_MS } from "./core/plan-scale-in.ts";
import type { BuildWaiting, QueueLoad, WorkerLoad } from "./core/queue-observation.ts";

/** Every queue that has work or workers, by name; a queue that is not there has neither. */
export interface SeenStore {
  readonly kind: "Seen";
  queue(name: string): QueueLoad;
}

/** Together with the connection's own 5 s this is less than the 15 s in which an outage must be known. */
const STATEMENT_TIMEOUT_MS = 8_000;

const NOTHING: QueueLoad = { kind: "Seen", waiting: [], workers: [] };

interface LoadRow {
  readonly task_queue: string;
  readonly waiting: readonly BuildWaiting[];
  readonly workers: readonly WorkerLoad[];
}

/** Looks at one Store again and again. */
export class LoadObserver {
  readonly #source: ConnectionSource;
  readonly #session: Session;
  readonly #schema: string;
  #underWay: Promise<SeenStore | UnseenQueue> | undefined;

  /**
   * @param source - The Store's database; nothing is connected yet.
   * @param schema - The Store's schema.
   */
  constructor(source: ConnectionSource, schema: string) {
    this.#source = source;
    this.#session = new Session({ source, purpose: "scaling" });
    this.#schema = quoteIdentifier(schema);
  }

  /**
   * Looks now. Who asks while a look is under way gets its answer: a burst of wake-ups is one statement.
   *
   * @returns All queues, or why they can't be seen; never rejects.
   */
  look(): Promise<SeenStore | UnseenQueue> {
    this.#underWay ??= this.#lookNow().finally(() => {
      this.#underWay = undefined;
    });
    return this.#underWay;
  }

  /**
   * Cordons workers: they claim nothing for a while.
   *
   * @param workerIds - `cordon` of the plan; none is no statement.
   * @throws {ConnectionError} When the store can't be reached.
   */
  async cordon(workerIds: readonly string[]): Promise<void> {
    if (workerIds.length === 0) return;
    const values = [workerIds, CORDON_MS];
    await this.#ask({ text: `select ${this.#schema}.cordon_workers($1, $2)`, values });
  }

  /** Ends all cordons of a queue: its workers claim again. */
  async liftCordons(queue: string): Promise<void> {
    await this.#ask({ text: `select ${this.#schema}.lift_cordons($1)`, values: [queue] });
  }

  /** Waits for a look under way, then closes the connection. */
  close(): Promise<void> {
    return this.#session.close();
  }

  async #ask(statement: Statement): Promise<void> {
    try {
      await this.#session.query({ ...statement, timeoutMs: STATEMENT_TIMEOUT_MS });
    } catch (error) {
      throw toStoreError(error, this.#source);
    }
  }

  async #lookNow(): Promise<SeenStore | UnseenQueue> {
    try {
      const { rows } = await this.#session.query<LoadRow>({
        text: `select task_queue, waiting, workers from ${this.#schema}.observe_load()`,
        timeoutMs: STATEMENT_TIMEOUT_MS,
      });
      const loads = new Map(rows.map((row) => [row.task_queue, loadOf(row)]));
      return { kind: "Seen", queue: (name) => loads.get(name) ?? NOTHING };
    } catch (error) {
      const known: Error & { readonly code?: unknown } = toStoreError(error, this.#source);
      const code = typeof known.code === "string" ? known.code : "OBSERVATION_FAILED";
      return { kind: "Unseen", code, message: known.message };
    }
  }
}

/** What is due already is due in 0 ms; a clock of the database that was set back makes nobody younger than 0 ms. */
function loadOf({ waiting, workers }: LoadRow): QueueLoad {
  return {
    kind: "Seen",
    waiting: waiting.map((part) => ({
      ...part,
      oldestAgeMs: notNegative(part.oldestAgeMs),
      nextTimerInMs: notNegative(part.nextTimerInMs),
    })),
    workers: workers.map((worker) => ({ ...worker, nextTimerInMs: notNegative(worker.nextTimerInMs) })),
  };
}

function notNegative(ms: number | null): number | null {
  return ms === null ? null : Math.max(0, ms);
}
