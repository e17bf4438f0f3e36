/**
 * Work by key: which objects are to be looked at, by how many at a time.
 *
 * Promises: a key that was added is processed at least once after that, however often it was added; never twice at a time; in
 * the order of adding. A key whose processing failed comes again after a back-off of its own, or when the server said. It
 * keeps nothing over a restart: who starts adds every key there is.
 *
 * There is no limit of keys: they are names of objects that a store holds anyway.
 */
import { backoffMs } from "./backoff.ts";
import type { Backoff } from "./backoff.ts";
import { systemClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { retryAfterMsOf } from "./errors.ts";
import { errorFields } from "./log.ts";
import type { Log } from "./log.ts";

/** What processing a key led to. */
export interface Processed {
  /** Look again after so long, even if nothing happens. */
  readonly requeueAfterMs?: number | undefined;
}

/** How a processing ended. */
export interface ProcessedFacts {
  readonly outcome: "done" | "failed";
  readonly durationMs: number;
}

/** How a queue works. */
export interface WorkQueueOptions {
  /** For the log. */
  readonly name: string;
  /** Keys at a time, from 1. */
  readonly concurrency: number;
  /** Brings what the key names to what it should be. The signal aborts when it takes too long, or nobody wants it any more. */
  readonly process: (key: string, signal: AbortSignal) => Promise<Processed | undefined>;
  readonly log: Log;
  /** Hears of each processing that ended. */
  readonly onProcessed?: ((facts: ProcessedFacts) => void) | undefined;
  /** When a process that still runs is told to end (default 120,000). */
  readonly timeoutMs?: number;
  /** Default: from 200 to 60,000. */
  readonly backoff?: Backoff;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** How a queue fares. */
export interface WorkQueueState {
  readonly waitingCount: number;
  readonly runningCount: number;
  /** Keys that wait for a time. */
  readonly delayedCount: number;
  /** Keys whose last processing failed. */
  readonly failingCount: number;
}

/** The processing of a key took longer than it may. */
export class WorkTimeoutError extends Error {
  readonly code = "WORK_TIMEOUT";
  readonly key: string;

  constructor(key: string, timeoutMs: number) {
    super(`"${key}" was not processed within ${timeoutMs} ms`);
    this.name = "WorkTimeoutError";
    this.key = key;
  }
}

/** Nobody wants the result any more: the queue stops. */
export class WorkStoppedError extends Error {
  readonly code = "WORK_STOPPED";

  constructor(name: string) {
    super(`work queue "${name}" stops`);
    this.name = "WorkStoppedError";
  }
}

const TIMEOUT_MS = 120_000;
const BACKOFF: Backoff = { firstMs: 200, maxMs: 60_000 };

interface Delay {
  readonly dueMs: number;
  readonly cancel: () => void;
}

/** Keys to process. Between adding and `start`, they wait. */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #clock: Clock;
  /** In the order of their adding. */
  readonly #waiting = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  /** Added while they ran: what they saw may be older than why they were added. */
  readonly #again = new Set<string>();
  readonly #delays = new Map<string, Delay>();
  readonly #failureCounts = new Map<string, number>();
  readonly #abort = new AbortController();
  #phase: "new" | "started" | "stopped" = "new";

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  get state(): WorkQueueState {
    return {
      waitingCount: this.#waiting.size,
      runningCount: this.#running.size,
      delayedCount: this.#delays.size,
      failingCount: this.#failureCounts.size,
    };
  }

  /** Begins to process. */
  start(): void {
    if (this.#phase !== "new") return;
    this.#phase = "started";
    this.#fill();
  }

  /** Has a key processed soon, and not only by a run that began before. */
  add(key: string): void {
    if (this.#phase === "stopped") return;
    if (this.#running.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#fill();
  }

  /** Adds a key after a time. Of several times the earliest counts; processing the key for another reason drops it. */
  addAfter(key: string, delayMs: number): void {
    if (this.#phase === "stopped") return;
    const dueMs = this.#clock.steadyMs() + delayMs;
    const earlier = this.#delays.get(key);
    if (earlier && earlier.dueMs <= dueMs) return;
    earlier?.cancel();
    const cancel = this.#clock.after(delayMs, () => {
      this.#delays.delete(key);
      this.add(key);
    });
    this.#delays.set(key, { dueMs, cancel });
  }

  /**
   * Ends: takes up no more keys, drops those that wait, and lets those that run come to their end.
   *
   * @param graceMs - After which their signals abort; it then still waits for them.
   */
  async stop(graceMs: number): Promise<void> {
    this.#phase = "stopped";
    this.#waiting.clear();
    this.#again.clear();
    for (const { cancel } of this.#delays.values()) cancel();
    this.#delays.clear();
    const abort = (): void => this.#abort.abort(new WorkStoppedError(this.#options.name));
    const stopTimer = graceMs > 0 ? this.#clock.after(graceMs, abort) : undefined;
    if (graceMs <= 0) abort();
    await Promise.all(this.#running.values());
    stopTimer?.();
  }

  #fill(): void {
    if (this.#phase !== "started") return;
    for (const key of this.#waiting) {
      if (this.#running.size >= this.#options.concurrency) return;
      this.#waiting.delete(key);
      this.#delays.get(key)?.cancel();
      this.#delays.delete(key);
      this.#running.set(key, this.#run(key));
    }
  }

  async #run(key: string): Promise<void> {
    const { process, onProcessed, timeoutMs = TIMEOUT_MS } = this.#options;
    const startedMs = this.#clock.steadyMs();
    let outcome: ProcessedFacts["outcome"] = "done";
    const abort = new AbortController();
    const onStop = (): void => abort.abort(this.#abort.signal.reason);
    this.#abort.signal.addEventListener("abort", onStop, { once: true });
    const stopTimer = this.#clock.after(timeoutMs, () => abort.abort(new WorkTimeoutError(key, timeoutMs)));
    // Not in the turn that fills the queue: a process that adds keys must find this one running.
    await Promise.resolve();
    try {
      const processed = await process(key, abort.signal);
      this.#failureCounts.delete(key);
      if (processed?.requeueAfterMs !== undefined) this.addAfter(key, processed.requeueAfterMs);
    } catch (error) {
      outcome = "failed";
      this.#fail(key, error);
    } finally {
      onProcessed?.({ outcome, durationMs: this.#clock.steadyMs() - startedMs });
      stopTimer();
      this.#abort.signal.removeEventListener("abort", onStop);
      this.#running.delete(key);
      if (this.#again.delete(key)) this.#waiting.add(key);
      this.#fill();
    }
  }

  #fail(key: string, error: unknown): void {
    // Whoever takes over looks at every key anyway.
    if (this.#phase === "stopped") return;
    const { name, log, backoff = BACKOFF, random = Math.random } = this.#options;
    const failureCount = (this.#failureCounts.get(key) ?? 0) + 1;
    this.#failureCounts.set(key, failureCount);
    const delayMs = backoffMs(backoff, failureCount, random(), retryAfterMsOf(error));
    this.addAfter(key, delayMs);
    log("error", "processing failed, trying again", {
      queue: name,
      key,
      failureCount,
      delayMs,
      ...errorFields(error),
    });
  }
}
