/**
 * Attempts to bring a schema to the operator's version, beside the reconciles: one may take longer than a reconcile.
 *
 * Promises: one at a time for a Store, none while another process may lead (asked before each file, before each commit, and
 * once a second while a statement runs, which is then broken off); each ends at its deadline; after a failure the next one
 * waits, and after `backoffLimit` failures none follows until something changed. The count lives in this process: a new one
 * begins anew.
 */
import { migrate } from "@memflow/engine/provision";
import type { ConnectionSource, MigrateResult } from "@memflow/engine/provision";
import { backoffMs } from "../kube/index.ts";
import type { Backoff, Clock } from "../kube/index.ts";
import type { MigrationObservation } from "./core/store-observation.ts";

/** One attempt. */
export interface AttemptOptions {
  /** Failures are counted for as long as this is the same. */
  readonly scope: string;
  readonly source: ConnectionSource;
  readonly schema: string;
  readonly lockTimeoutMs: number;
  readonly deadlineMs: number;
  /** @throws When another process may lead. */
  assertCurrent(): void;
  /** It is over, either way; what is known of it can be asked for. */
  onEnd(outcome: AttemptOutcome): void;
}

export type AttemptOutcome =
  | { readonly kind: "Migrated"; readonly result: MigrateResult }
  | { readonly kind: "Failed"; readonly error: unknown };

/** The attempt took longer than it may. */
class MigrationDeadlineError extends Error {
  readonly code = "MIGRATION_DEADLINE";

  constructor(deadlineMs: number) {
    super(
      `the migration took longer than ${deadlineMs} ms; raise migrations.activeDeadline, or find what it waits for`,
    );
    this.name = "MigrationDeadlineError";
  }
}

const BACKOFF: Backoff = { firstMs: 5_000, maxMs: 300_000 };
const LEADERSHIP_CHECK_MS = 1_000;

/** @see AttemptOptions */
export class MigrationAttempts {
  readonly #clock: Clock;
  #scope = "";
  #failedCount = 0;
  #failure: MigrationObservation["failure"];
  #nextMs = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What is known of the attempts of this scope. */
  observe(scope: string): MigrationObservation {
    const isRunning = this.#running !== undefined;
    if (scope !== this.#scope) return { isRunning, failedCount: 0, failure: undefined, waitMs: 0 };
    const waitMs = Math.max(0, this.#nextMs - this.#clock.steadyMs());
    return { isRunning, failedCount: this.#failedCount, failure: this.#failure, waitMs };
  }

  /** Begins an attempt; none while one runs. */
  start(options: AttemptOptions): void {
    if (this.#running !== undefined) return;
    if (options.scope !== this.#scope) this.#failedCount = 0;
    this.#scope = options.scope;
    this.#running = this.#run(options);
  }

  /** When no attempt runs any more. */
  async whenIdle(): Promise<void> {
    await this.#running;
  }

  async #run(options: AttemptOptions): Promise<void> {
    const outcome = await this.#attempt(options);
    if (outcome.kind === "Migrated") {
      this.#failedCount = 0;
      this.#failure = undefined;
    } else {
      this.#failedCount += 1;
      this.#failure = failureOf(outcome.error);
      this.#nextMs = this.#clock.steadyMs() + backoffMs(BACKOFF, this.#failedCount, 1);
    }
    this.#running = undefined;
    options.onEnd(outcome);
  }

  async #attempt(options: AttemptOptions): Promise<AttemptOutcome> {
    const { source, schema, lockTimeoutMs, deadlineMs } = options;
    const stopping = new AbortController();
    const mayGoOn = (): void => options.assertCurrent();
    const cancelDeadline = this.#clock.after(deadlineMs, () =>
      stopping.abort(new MigrationDeadlineError(deadlineMs)),
    );
    const cancelCheck = this.#checkEach(stopping, mayGoOn);
    try {
      const result = await migrate({ source, schema, lockTimeoutMs, signal: stopping.signal, mayGoOn });
      return { kind: "Migrated", result };
    } catch (error) {
      return { kind: "Failed", error };
    } finally {
      cancelDeadline();
      cancelCheck();
    }
  }

  #checkEach(stopping: AbortController, mayGoOn: () => void): () => void {
    let cancel = (): void => undefined;
    const check = (): void => {
      try {
        mayGoOn();
        cancel = this.#clock.after(LEADERSHIP_CHECK_MS, check);
      } catch (error) {
        stopping.abort(error);
      }
    };
    cancel = this.#clock.after(LEADERSHIP_CHECK_MS, check);
    return () => cancel();
  }
}

function failureOf(error: unknown): MigrationObservation["failure"] {
  const { code } = error as { readonly code?: unknown };
  const message = error instanceof Error ? error.message : String(error);
  if (code === "PERMISSION_DENIED") return { kind: "PermissionDenied", message };
  return { kind: code === "SCHEMA_TOO_NEW" ? "TooNew" : "Failed", message };
}
