/**
 * Keeps the wanted number of workers of every queue running, with the code as it is now.
 *
 * Promises: a worker that dies is replaced, later each time it dies soon; one that refuses its settings or its code is not tried
 * again: before the first worker was ready the pool fails with its words, later the place waits for the code to change; who
 * is no longer wanted, or has old code, hands over and ends; after `stop` none is left.
 */
import { setTimeout as delay } from "node:timers/promises";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";
import type { QueuePlan } from "./dev-plan.ts";
import type { WorkerRegister } from "./orphans.ts";
import { spawnWorker } from "./worker-process.ts";
import type { WorkerExit, WorkerReady } from "./worker-process.ts";
import { WorkerSlot } from "./worker-slot.ts";

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

/** The workers of one queue as they are. */
export interface QueueWorkers {
  /** Wanted. */
  readonly desired: number;
  /** Serving. */
  readonly ready: number;
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
  readonly #plans = new Map<string, QueuePlan>();
  readonly #slots = new Set<WorkerSlot>();
  readonly #loops = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #failed = Promise.withResolvers<never>();
  #databaseUrl: string;
  /** Once all workers were ready, a refusal is of new code, which may be mended. */
  #wasReady = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#databaseUrl = options.databaseUrl;
    for (const plan of options.queues) this.#plans.set(plan.taskQueue, plan);
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
    for (const plan of this.#plans.values()) this.setReplicas(plan.taskQueue, plan.replicas);
    const first = [...this.#slots].map((slot) => slot.ready.promise);
    const ready = await Promise.race([Promise.all(first), this.failed]);
    this.#wasReady = true;
    return ready;
  }

  /** The workers of a queue. */
  workersOf(taskQueue: string): QueueWorkers {
    const slots = this.#slotsOf(taskQueue);
    return { desired: slots.length, ready: slots.filter(({ isServing }) => isServing).length };
  }

  /** Starts workers of a queue, or lets the latest ones hand over and end. */
  setReplicas(taskQueue: string, replicas: number): void {
    const plan = this.#plans.get(taskQueue);
    if (plan === undefined || this.#stopping.signal.aborted) return;
    const slots = this.#slotsOf(taskQueue);
    for (const slot of slots.slice(replicas)) this.#retire(slot);
    const taken = new Set(slots.map(({ number }) => number));
    for (let number = 1, missing = replicas - slots.length; missing > 0; number += 1) {
      if (taken.has(number)) continue;
      missing -= 1;
      this.#begin(new WorkerSlot(taskQueue, number));
    }
  }

  /** Takes new plans: queues that are no longer there end, changed ones get new workers. */
  replan(queues: readonly QueuePlan[]): void {
    const next = new Map(queues.map((plan) => [plan.taskQueue, plan]));
    for (const taskQueue of this.#plans.keys()) {
      if (next.has(taskQueue)) continue;
      for (const slot of this.#slotsOf(taskQueue)) this.#retire(slot);
      this.#plans.delete(taskQueue);
    }
    for (const [taskQueue, plan] of next) {
      const known = this.#plans.get(taskQueue);
      this.#plans.set(taskQueue, plan);
      if (known === undefined) this.setReplicas(taskQueue, plan.replicas);
      else if (settingsOf(known) !== settingsOf(plan)) this.renew(taskQueue);
    }
  }

  /** Lets the workers of a queue hand over to new ones, which load the code as it is now. */
  renew(taskQueue: string): void {
    for (const slot of this.#slotsOf(taskQueue)) slot.renew();
  }

  /** Lets every worker hand over and begin again with another address of the database. */
  moveTo(databaseUrl: string): void {
    if (databaseUrl === this.#databaseUrl) return;
    this.#databaseUrl = databaseUrl;
    for (const slot of this.#slots) slot.renew();
  }

  /** Lets every worker hand over and end; those that don't within their grace are killed. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([...this.#slots].map((slot) => this.#end(slot)));
    await Promise.all(this.#loops);
  }

  /** Ends every worker at once; their runs are taken over after their lease. */
  kill(): void {
    this.#stopping.abort();
    for (const slot of this.#slots) slot.worker?.kill();
  }

  #slotsOf(taskQueue: string): readonly WorkerSlot[] {
    return [...this.#slots].filter((slot) => slot.taskQueue === taskQueue && !slot.isRetired);
  }

  #begin(slot: WorkerSlot): void {
    this.#slots.add(slot);
    const loop = this.#keepRunning(slot).finally(() => {
      this.#slots.delete(slot);
      this.#loops.delete(loop);
    });
    this.#loops.add(loop);
  }

  #retire(slot: WorkerSlot): void {
    slot.isRetired = true;
    slot.renew();
    void this.#end(slot);
  }

  async #end(slot: WorkerSlot): Promise<void> {
    const { worker } = slot;
    if (worker === undefined) return;
    const graceMs = this.#plans.get(slot.taskQueue)?.graceMs ?? 0;
    worker.stop();
    const killing = new AbortController();
    void delay(graceMs + STOP_MARGIN_MS, undefined, { signal: killing.signal }).then(
      worker.kill,
      () => undefined,
    );
    await worker.exited;
    killing.abort();
  }

  async #keepRunning(slot: WorkerSlot): Promise<void> {
    try {
      let deaths = 0;
      for (;;) {
        const bornAt = performance.now();
        const exit = await this.#runOnce(slot);
        if (exit === undefined) return;
        if (slot.takeRenewal()) {
          deaths = 0;
          continue;
        }
        deaths = performance.now() - bornAt > STABLE_MS ? 1 : deaths + 1;
        await this.#waitAfter(slot, exit, deaths);
      }
    } catch (error) {
      this.#failed.reject(error);
    }
  }

  /** One process, from its birth to its end; undefined when none is wanted any more. */
  async #runOnce(slot: WorkerSlot): Promise<WorkerExit | undefined> {
    const plan = this.#plans.get(slot.taskQueue);
    if (plan === undefined || this.#isOver(slot)) return undefined;
    // What changes from here on is for the next process.
    slot.takeRenewal();
    const worker = await spawnWorker(plan, {
      databaseUrl: this.#databaseUrl,
      onLine: (line) => this.#options.onLine(slot.name, line),
    });
    slot.worker = worker;
    // A stop may have come while the process began.
    if (this.#isOver(slot) || slot.isRenewing) worker.stop();
    await this.#options.register.add(worker.pid);
    const ready = await worker.ready;
    if (ready !== undefined) slot.serve(ready);
    const exit = await worker.exited;
    slot.worker = undefined;
    slot.isServing = false;
    if (!this.#isOver(slot) && !slot.isRenewing) await this.#release(slot, worker.pid);
    await this.#options.register.remove(worker.pid);
    return this.#isOver(slot) ? undefined : exit;
  }

  #isOver(slot: WorkerSlot): boolean {
    return this.#stopping.signal.aborted || slot.isRetired;
  }

  async #waitAfter(slot: WorkerSlot, exit: WorkerExit, deaths: number): Promise<void> {
    const said = exit.lastWords === "" ? describeExit(exit) : exit.lastWords;
    if (exit.code === REFUSED_EXIT_CODE && this.#wasReady) {
      this.#options.onNotice(`worker ${slot.name} waits for the code to change: ${said}`);
      await slot.renewal(this.#stopping.signal);
      return;
    }
    this.#giveUpIfHopeless(slot, { code: exit.code, said, deaths });
    const waitMs = Math.min(RESTART_MS_MAX, RESTART_MS * 2 ** (deaths - 1));
    this.#options.onNotice(
      `worker ${slot.name} ${describeExit(exit)}; starting it again in ${waitMs / 1_000} s`,
    );
    await delay(waitMs, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
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

  #giveUpIfHopeless(
    slot: WorkerSlot,
    { code, said, deaths }: { readonly code: number | null; readonly said: string; readonly deaths: number },
  ): void {
    if (code === REFUSED_EXIT_CODE) {
      throw new CommandError(EXIT_CODES.usage, `the workers of queue "${slot.taskQueue}" can't run: ${said}`);
    }
    if (!slot.wasReady && deaths >= EARLY_DEATH_MAX) {
      throw new CommandError(
        EXIT_CODES.failure,
        `worker ${slot.name} died ${deaths} times before it was ready, the last time: ${said}`,
      );
    }
  }
}

/** What a worker is started with: a change of it needs another one. */
function settingsOf({
  policy: _policy,
  replicas: _replicas,
  annotations: _annotations,
  ...settings
}: QueuePlan): string {
  return JSON.stringify(settings);
}

function describeExit(exit: WorkerExit): string {
  return exit.signal === null ? `ended with code ${exit.code ?? 0}` : `was ended by ${exit.signal}`;
}
