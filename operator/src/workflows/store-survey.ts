/**
 * What one Store's database says of workflows: which functions its workers announce, and how many runs there are.
 *
 * Promises that many who ask cost one statement: an answer is shared while it is fresh, and while it is under way. Counting reads
 * every run, so it is done once a minute at most, and the rarer the longer it takes.
 */
import { quoteIdentifier, Session, toStoreError } from "@memflow/engine/provision";
import type { ConnectedStore } from "../api/index.ts";
import type { Clock } from "../kube/index.ts";
import type { AnnouncedBuild } from "./core/judge-workflow.ts";

/** The runs of one workflow. */
export interface RunCounts {
  /** RFC 3339. */
  readonly observedAt: string;
  readonly running: number;
  readonly completed24h: number;
  readonly failed24h: number;
}

const ANNOUNCED_FRESH_MS = 1_000;
const COUNTS_FRESH_MS = 60_000;
/** Between two counts there are at least so many times the time that one takes. */
const COUNTING_RARITY = 100;
const ANNOUNCED_TIMEOUT_MS = 5_000;
const COUNTS_TIMEOUT_MS = 20_000;
const DAY_SECONDS = 86_400;

interface AnnouncedRow {
  readonly task_queue: string;
  readonly build_id: string | null;
  readonly workflows: readonly string[];
}

interface CountRow {
  readonly task_queue: string;
  readonly workflow_name: string;
  readonly running: string;
  readonly completed: string;
  readonly failed: string;
}

/** An answer, and until when it is as good as a new one. */
interface Kept<Value> {
  readonly value: Promise<Value>;
  untilMs: number;
}

/** Asks one Store. Make one for each connection. */
export class StoreSurvey {
  readonly #store: ConnectedStore;
  readonly #clock: Clock;
  /** Of its own: nobody else waits while runs are counted. */
  readonly #counting: Session;
  #announced: Kept<ReadonlyMap<string, readonly AnnouncedBuild[]>> | undefined;
  #counts: Kept<ReadonlyMap<string, RunCounts>> | undefined;

  constructor(store: ConnectedStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
    this.#counting = new Session({ source: store.source, purpose: "count runs" });
  }

  /** Whether it asks this connection. */
  isOf(store: ConnectedStore): boolean {
    return this.#store === store;
  }

  /** Waits for a count under way, then ends its connection. */
  close(): Promise<void> {
    return this.#counting.close();
  }

  /**
   * What living workers of a queue announce, by build; empty when none lives.
   *
   * @throws {ConnectionError} When the Store can't be reached.
   */
  async announced(queueName: string): Promise<readonly AnnouncedBuild[]> {
    this.#announced = this.#fresh(
      this.#announced,
      () => this.#askAnnounced(),
      () => ANNOUNCED_FRESH_MS,
    );
    return (await this.#announced.value).get(queueName) ?? [];
  }

  /**
   * The runs of a workflow.
   *
   * @throws {ConnectionError} When the Store can't be reached.
   */
  async runs(queueName: string, workflowName: string): Promise<RunCounts> {
    this.#counts = this.#fresh(
      this.#counts,
      () => this.#askCounts(),
      (tookMs) => Math.max(COUNTS_FRESH_MS, tookMs * COUNTING_RARITY),
    );
    const counts = await this.#counts.value;
    const observedAt = this.#clock.wallTime().toISOString();
    return (
      counts.get(keyOfRuns(queueName, workflowName)) ?? {
        observedAt,
        running: 0,
        completed24h: 0,
        failed24h: 0,
      }
    );
  }

  #fresh<Value>(
    kept: Kept<Value> | undefined,
    ask: () => Promise<Value>,
    freshMsAfter: (tookMs: number) => number,
  ): Kept<Value> {
    const startedMs = this.#clock.steadyMs();
    if (kept && startedMs < kept.untilMs) return kept;
    const next: Kept<Value> = { value: ask(), untilMs: Infinity };
    const keep = (): void => {
      const nowMs = this.#clock.steadyMs();
      next.untilMs = nowMs + freshMsAfter(nowMs - startedMs);
    };
    // A failure is shared as an answer is: the Store is not asked more often because it is down.
    next.value.then(keep, keep);
    return next;
  }

  async #askAnnounced(): Promise<ReadonlyMap<string, readonly AnnouncedBuild[]>> {
    const rows = await this.#ask<AnnouncedRow>(this.#store.session, {
      call: "announced_workflows()",
      timeoutMs: ANNOUNCED_TIMEOUT_MS,
    });
    const byQueue = new Map<string, AnnouncedBuild[]>();
    for (const { task_queue: queue, build_id: buildId, workflows } of rows) {
      const builds = byQueue.get(queue) ?? [];
      byQueue.set(queue, [...builds, { buildId, workflows }]);
    }
    return byQueue;
  }

  async #askCounts(): Promise<ReadonlyMap<string, RunCounts>> {
    const rows = await this.#ask<CountRow>(this.#counting, {
      call: `count_runs(${DAY_SECONDS})`,
      timeoutMs: COUNTS_TIMEOUT_MS,
    });
    const observedAt = this.#clock.wallTime().toISOString();
    return new Map(
      rows.map((row) => [
        keyOfRuns(row.task_queue, row.workflow_name),
        {
          observedAt,
          running: Number(row.running),
          completed24h: Number(row.completed),
          failed24h: Number(row.failed),
        },
      ]),
    );
  }

  async #ask<Row extends Record<keyof Row, unknown>>(
    session: Session,
    { call, timeoutMs }: { readonly call: string; readonly timeoutMs: number },
  ): Promise<readonly Row[]> {
    const { source, schema } = this.#store;
    try {
      const text = `select * from ${quoteIdentifier(schema)}.${call}`;
      return (await session.query<Row>({ text, timeoutMs })).rows;
    } catch (error) {
      throw toStoreError(error, source);
    }
  }
}

function keyOfRuns(queueName: string, workflowName: string): string {
  return JSON.stringify([queueName, workflowName]);
}
