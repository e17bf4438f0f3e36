/**
 * Attempts that were leased from the queue: runs them and says what became of them.
 *
 * Promises that each lease is settled: completed, failed, to be tried again, or given back unused.
 */
import { EVENT_KIND } from "../core/events.ts";
import { encodeFailure } from "../core/failure.ts";
import { isRetryable, normalizeRetryPolicy, retryDelayMs } from "../core/retry-policy.ts";
import type { RetryPolicy } from "../core/retry-policy.ts";
import { outside } from "../store/outside.ts";
import type { ActivityExecutor, ActivityOutcome } from "./activity-executor.ts";
import type { ActivitySettler, Lease, LeasedOutcome } from "./activity-settler.ts";
import { contributionFailure } from "./contribution-failure.ts";
import type { LeasedActivity } from "./run-loader.ts";
import type { ActivityFinder } from "./worker-options.ts";

/** What is said of an attempt, besides which one it is. */
type Verdict = Pick<LeasedOutcome, "kind" | "payload" | "retryMs" | "advance">;

const GIVEN_BACK: Verdict = { kind: 0, payload: null, retryMs: 0, advance: 0 };
/** A later retry is left to the poll. */
const RETRY_WATCH_MAX_MS = 60_000;

export class LeasedAttempts {
  readonly #activities: ActivityFinder;
  readonly #executor: ActivityExecutor;
  readonly #settler: Pick<ActivitySettler, "add" | "busy">;
  readonly #lookAgain: () => void;
  /**
   * By lease, not by attempt: one that was given back may be leased again before its settlement is heard of here, and
   * must not be forgotten with it.
   */
  readonly #held = new Set<Lease>();

  constructor(options: {
    readonly activities: ActivityFinder;
    readonly executor: ActivityExecutor;
    readonly settler: Pick<ActivitySettler, "add" | "busy">;
    /** An attempt that failed here is due again. */
    lookAgain(): void;
  }) {
    this.#activities = options.activities;
    this.#executor = options.executor;
    this.#settler = options.settler;
    this.#lookAgain = () => options.lookAgain();
  }

  get size(): number {
    return this.#held.size;
  }

  /** Which leases are held. */
  all(): Lease[] {
    return [...this.#held];
  }

  /** Leases may be held here that are over in the database, or leased anew. */
  get settling(): boolean {
    return this.#settler.busy;
  }

  /** Runs an attempt that was leased now. */
  run(taskQueue: string, lease: LeasedActivity): void {
    const implementation = this.#activities.find(taskQueue, lease.name);
    const { runId, position, attempt } = lease;
    this.#held.add(lease);
    const settle = (verdict: Verdict): void => this.#settler.add({ lease, ...verdict });
    if (implementation === undefined) {
      settle(GIVEN_BACK);
      return;
    }
    const policy =
      lease.policy === null
        ? normalizeRetryPolicy(undefined, "retryPolicy")
        : (JSON.parse(lease.policy) as RetryPolicy);
    this.#executor.submit({
      activityName: lease.name,
      runId,
      position,
      args: lease.args,
      implementation,
      aborted: false,
      get info() {
        return {
          activityName: lease.name,
          runId,
          workflowId: lease.workflowId,
          workflowName: lease.workflowName,
          taskQueue,
          position,
          attempt,
          signal: new AbortController().signal,
        };
      },
      settled: (outcome) => outside(() => settle(verdictOf(outcome, attempt, policy))),
      refused: () => settle(GIVEN_BACK),
    });
  }

  /** These outcomes are recorded. */
  settled(outcomes: readonly LeasedOutcome[]): void {
    for (const { lease } of outcomes) this.#held.delete(lease);
    for (const { retryMs } of outcomes) {
      if (retryMs !== undefined && retryMs <= RETRY_WATCH_MAX_MS)
        setTimeout(this.#lookAgain, retryMs).unref();
    }
  }

  /** Postgres refuses an outcome for good: the attempt fails with the reason. */
  refused(outcome: LeasedOutcome, error: unknown): void {
    const payload = JSON.stringify(encodeFailure(contributionFailure(error)));
    this.#settler.add({ ...outcome, kind: EVENT_KIND.activityFailed, payload, retryMs: undefined });
  }
}

function verdictOf(outcome: ActivityOutcome, attempt: number, policy: RetryPolicy): Verdict {
  if (outcome.kind === "completed")
    return { kind: EVENT_KIND.activityCompleted, payload: outcome.result, retryMs: undefined, advance: 0 };
  const again = attempt < policy.maximumAttempts && isRetryable(outcome.failure, policy);
  return {
    kind: EVENT_KIND.activityFailed,
    payload: JSON.stringify(outcome.failure),
    retryMs: again ? retryDelayMs(policy, attempt) : undefined,
    advance: 1,
  };
}
