/** The place of one worker; its process may change. */
import type { WorkerProcess, WorkerReady } from "./worker-process.ts";

export class WorkerSlot {
  readonly taskQueue: string;
  /** From 1, within its queue. */
  readonly number: number;
  /** What the first process said that served. */
  readonly ready: PromiseWithResolvers<WorkerReady> = Promise.withResolvers<WorkerReady>();
  worker: WorkerProcess | undefined;
  wasReady = false;
  isServing = false;
  /** No process is wanted here any more. */
  isRetired = false;
  #renewal: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  #isRenewing = false;

  constructor(taskQueue: string, number: number) {
    this.taskQueue = taskQueue;
    this.number = number;
  }

  get name(): string {
    return `${this.taskQueue}-${this.number}`;
  }

  /** Its process is to give way to another one. */
  get isRenewing(): boolean {
    return this.#isRenewing;
  }

  serve(ready: WorkerReady): void {
    this.wasReady = true;
    this.isServing = true;
    this.ready.resolve(ready);
  }

  /** Lets its process hand over to another one. */
  renew(): void {
    this.#isRenewing = true;
    this.#renewal.resolve();
    this.worker?.stop();
  }

  /** Whether a renewal was asked for; it counts as done from now on. */
  takeRenewal(): boolean {
    const was = this.#isRenewing;
    this.#isRenewing = false;
    if (was) this.#renewal = Promise.withResolvers<void>();
    return was;
  }

  /** Resolves once a renewal is asked for, or the signal comes. */
  async renewal(signal: AbortSignal): Promise<void> {
    const stopped = Promise.withResolvers<void>();
    const stop = (): void => stopped.resolve();
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    await Promise.race([this.#renewal.promise, stopped.promise]);
    signal.removeEventListener("abort", stop);
  }
}
