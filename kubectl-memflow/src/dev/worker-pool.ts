/**
 * Keeps the planned number of workers of every queue running.
 *
 * Promises: a worker that dies is replaced, later each time it dies soon; one that refuses its settings or its code is
 * not tried again, the pool fails with its words; after `stop` none is left.
 */
import { setTimeout as delay } from "node:timers/promises";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";
import type { QueuePlan } from "./dev-plan.ts";
import type { WorkerRegister } from "./orphans.ts";
import { spawnWorker } from "./worker-process.ts";
import type { WorkerExit, WorkerProcess, WorkerReady } from "./worker-process.ts";

/** What the pool needs to know and whom it tells. */
export interface WorkerPoolOptions {
  readonly queues: readonly QueuePlan[];
  readonly databaseUrl: string;
  readonly register: WorkerRegister;
  /** Hears what a worker prints. */
  readonly onLine: (worker: string, line: string) => void;
  /** Gives up what a worker held that died unasked. */
  readonly onDeath: (pid: number) => Promise<void>;
  /** Hears that a worker died and when it is replaced. */
  readonly onNotice: (notice: string) => void;
}

/** A worker that refuses what it was given ends with this code; see worker-runtime. */
const REFUSED_EXIT_CODE = 2;
const RESTART_MS = 500;
const RESTART_MS_MAX = 30_000;
/** A worker that lived as long as this starts with a clean record. */
const STABLE_MS = 60_000;
/** Deaths in a row before it was ever ready, after which its surroundings are to blame. */
const EARLY_DEATH_MAX = 5;
/** Beyond its own grace: closing connections, flushing the last rows. */
const STOP_MARGIN_MS = 5_000;

/** The workers of all queues. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #slots: readonly WorkerSlot[];
  readonly #stopping = new AbortController();
  readonly #failed = Promise.withResolvers<never>();
  #databaseUrl: string;
  #loops: Promise<unknown> = Promise.resolve();

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#databaseUrl = options.databaseUrl;
    this.#slots = options.queues.flatMap((plan) =>
      Array.from(
        { length: plan.replicas },
        (_, index) => new WorkerSlot(plan, `${plan.taskQueue}-${index + 1}`),
      ),
    );
    // Whoever waits for the failure hears of it; nobody waiting is no crash.
    this.#failed.promise.catch(() => undefined);
  }

  /** Rejects when a worker can't be kept running; resolves never. */
  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  /**
   * Starts every worker.
   *
   * @returns What each said when it was ready, once all are.
   * @throws {CommandError} When a worker refuses its settings or code (exit code 2) or keeps dying (1).
   */
  async start(): Promise<readonly WorkerReady[]> {
    this.#loops = Promise.all(this.#slots.map((slot) => this.#keepRunning(slot)));
    return Promise.race([Promise.all(this.#slots.map((slot) => slot.ready.promise)), this.failed]);
  }

  /** Lets every worker hand over and begin again with another address of the database. */
  moveTo(databaseUrl: string): void {
    if (databaseUrl === this.#databaseUrl) return;
    this.#databaseUrl = databaseUrl;
    for (const slot of this.#slots) slot.worker?.stop();
  }

  /** Lets every worker hand over and end; those that don't within their grace are killed. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const stops = this.#slots.map(async ({ worker, plan }) => {
      if (worker === undefined) return;
      worker.stop();
      const killing = new AbortController();
      void delay(plan.graceMs + STOP_MARGIN_MS, undefined, { signal: killing.signal }).then(
        worker.kill,
        () => undefined,
      );
      await worker.exited;
      killing.abort();
    });
    await Promise.all(stops);
    await this.#loops;
  }

  /** Ends every worker at once; their runs are taken over after their lease. */
  kill(): void {
    this.#stopping.abort();
    for (const slot of this.#slots) slot.worker?.kill();
  }

  async #keepRunning(slot: WorkerSlot): Promise<void> {
    try {
      let deaths = 0;
      while (!this.#stopping.signal.aborted) {
        const bornAt = performance.now();
        const exit = await this.#runOnce(slot);
        if (this.#stopping.signal.aborted) return;
        deaths = performance.now() - bornAt > STABLE_MS ? 1 : deaths + 1;
        this.#giveUpIfHopeless(slot, exit, deaths);
        const waitMs = Math.min(RESTART_MS_MAX, RESTART_MS * 2 ** (deaths - 1));
        this.#options.onNotice(
          `worker ${slot.name} ${describeExit(exit)}; starting it again in ${waitMs / 1_000} s`,
        );
        await delay(waitMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      }
    } catch (error) {
      this.#failed.reject(error);
    }
  }

  async #runOnce(slot: WorkerSlot): Promise<WorkerExit> {
    const worker = await spawnWorker(slot.plan, {
      databaseUrl: this.#databaseUrl,
      onLine: (line) => this.#options.onLine(slot.name, line),
    });
    slot.worker = worker;
    // A stop may have come while the process began.
    if (this.#stopping.signal.aborted) worker.stop();
    await this.#options.register.add(worker.pid);
    const ready = await worker.ready;
    if (ready !== undefined) {
      slot.wasReady = true;
      slot.ready.resolve(ready);
    }
    const exit = await worker.exited;
    slot.worker = undefined;
    if (!this.#stopping.signal.aborted) await this.#release(slot, worker.pid);
    await this.#options.register.remove(worker.pid);
    return exit;
  }

  /** The database may be gone too; then the dead worker's silence proves its death, only later. */
  async #release(slot: WorkerSlot, pid: number): Promise<void> {
    try {
      await this.#options.onDeath(pid);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.onNotice(`what worker ${slot.name} held is taken over later: ${reason}`);
    }
  }

  #giveUpIfHopeless(slot: WorkerSlot, exit: WorkerExit, deaths: number): void {
    const said = exit.lastWords === "" ? describeExit(exit) : exit.lastWords;
    if (exit.code === REFUSED_EXIT_CODE) {
      throw new CommandError(
        EXIT_CODES.usage,
        `the workers of queue "${slot.plan.taskQueue}" can't run: ${said}`,
      );
    }
    if (!slot.wasReady && deaths >= EARLY_DEATH_MAX) {
      throw new CommandError(
        EXIT_CODES.failure,
        `worker ${slot.name} died ${deaths} times before it was ready, the last time: ${said}`,
      );
    }
  }
}

/** The place of one worker; its process may change. */
class WorkerSlot {
  readonly plan: QueuePlan;
  readonly name: string;
  readonly ready: PromiseWithResolvers<WorkerReady> = Promise.withResolvers<WorkerReady>();
  worker: WorkerProcess | undefined;
  wasReady = false;

  constructor(plan: QueuePlan, name: string) {
    this.plan = plan;
    this.name = name;
  }
}

function describeExit(exit: WorkerExit): string {
  return exit.signal === null ? `ended with code ${exit.code ?? 0}` : `was ended by ${exit.signal}`;
}
