/**
 * Runs controllers: reflectors fill stores and queues, the leader works the queues off, health is served, and all of it ends in
 * order.
 *
 * Promises: reconciles run only while this process leads, and only once all objects of all sources are known; each leadership
 * begins by reconciling every key; before the lease is given back, running reconciles have ended. Standbys keep their stores
 * warm. It knows nothing of what the controllers do.
 */
import type { Controller, ReconcileContext, Source } from "./controller.ts";
import { startHealthServer } from "./health-server.ts";
import type { Readiness } from "./health-server.ts";
import type { KubeClient } from "./kube-client.ts";
import { LeaderElector, LeadershipEndsError } from "./leader-elector.ts";
import type { LeaderElectorOptions, Leadership } from "./leader-elector.ts";
import { errorFields } from "./log.ts";
import type { Log } from "./log.ts";
import { WorkQueue } from "./work-queue.ts";
import type { ProcessedFacts, WorkQueueOptions, WorkQueueState } from "./work-queue.ts";

/** What to run, and how. */
export interface OperatorRuntimeOptions {
  readonly controllers: readonly Controller[];
  /** What controllers read besides their sources; followed and awaited like these. */
  readonly followed?: readonly Source["reflector"][];
  readonly client: KubeClient;
  readonly election: Omit<LeaderElectorOptions, "lead" | "log">;
  /** Left out: whoever runs it serves `readiness`. */
  readonly health?: { readonly host?: string; readonly port: number };
  readonly log: Log;
  /** For which running reconciles may go on when the process is to end (default 10,000). */
  readonly drainMs?: number;
  /** For tests that want failures to come again soon. */
  readonly queue?: Pick<WorkQueueOptions, "backoff" | "timeoutMs">;
  /** Hears of each reconcile that ended. */
  readonly onReconciled?: (controller: string, facts: ProcessedFacts) => void;
  /** Passed before and after each write of a reconcile: `<controller>.apply.deployments.before`. */
  readonly passing?: (place: string) => void;
}

const CONCURRENCY = 4;
const DRAIN_MS = 10_000;

/** A process of the operator. */
export class OperatorRuntime {
  readonly #options: OperatorRuntimeOptions;
  readonly #elector: LeaderElector;
  /** Each once, though several controllers may use it. */
  readonly #reflectors: ReadonlySet<Source["reflector"]>;
  /** Those of the present leadership. */
  readonly #queues = new Map<string, WorkQueue>();
  readonly #listening = Promise.withResolvers<number>();

  constructor(options: OperatorRuntimeOptions) {
    this.#options = options;
    const { election, log, controllers, followed = [] } = options;
    this.#elector = new LeaderElector({ ...election, log, lead: (leadership) => this.#lead(leadership) });
    this.#reflectors = new Set([
      ...followed,
      ...controllers.flatMap(({ sources }) => sources.map(({ reflector }) => reflector)),
    ]);
    // Whoever asks for the port hears why there is none; nobody needs to ask.
    this.#listening.promise.catch(() => {});
  }

  /** The port of the health server, once it listens. */
  get healthPort(): Promise<number> {
    return this.#listening.promise;
  }

  get isLeading(): boolean {
    return this.#elector.isLeading;
  }

  get readiness(): Readiness {
    const missing = [...this.#reflectors].filter(({ state }) => !state.synced).map(({ type }) => type.plural);
    if (missing.length > 0) return { ready: false, text: `not listed yet: ${missing.join(", ")}` };
    return { ready: true, text: this.#elector.isLeading ? "leader" : "standby" };
  }

  /** The queues of controllers, while this process leads. */
  get queueStates(): ReadonlyMap<string, WorkQueueState> {
    return new Map([...this.#queues].map(([name, queue]) => [name, queue.state]));
  }

  /**
   * Runs until the signal aborts, and then to its end.
   *
   * @throws {HealthPortError} When the health port is taken.
   */
  async run(signal: AbortSignal): Promise<void> {
    const health = this.#options.health && (await this.#startHealth(this.#options.health));
    for (const reflector of this.#reflectors) reflector.start();
    try {
      await this.#elector.run(signal);
    } finally {
      await Promise.all([...this.#reflectors].map((reflector) => reflector.stop()));
      await health?.close();
    }
  }

  async #startHealth(
    where: NonNullable<OperatorRuntimeOptions["health"]>,
  ): ReturnType<typeof startHealthServer> {
    try {
      const server = await startHealthServer({ ...where, readiness: () => this.readiness });
      this.#listening.resolve(server.port);
      return server;
    } catch (error) {
      this.#listening.reject(error);
      throw error;
    }
  }

  /** Works until the leadership is over. */
  async #lead(leadership: Leadership): Promise<void> {
    const { controllers, drainMs = DRAIN_MS, log } = this.#options;
    const over = aborted(leadership.signal);
    await Promise.race([over, Promise.all([...this.#reflectors].map((reflector) => reflector.whenSynced()))]);
    if (leadership.signal.aborted) return;
    const queues = controllers.map((controller) => this.#startQueue(controller, leadership));
    await over;
    // Another one may lead from now on, or waits until we have finished: that is the difference.
    const graceMs = leadership.signal.reason instanceof LeadershipEndsError ? drainMs : 0;
    log("info", "reconciling ends", { graceMs, ...errorFields(leadership.signal.reason) });
    await Promise.all(queues.map((stop) => stop(graceMs)));
  }

  #startQueue(controller: Controller, leadership: Leadership): (graceMs: number) => Promise<void> {
    const { fencingToken, assertCurrent } = leadership;
    const { passing, onReconciled } = this.#options;
    const { name } = controller;
    const client = this.#options.client.guarded({
      mayWrite: assertCurrent,
      passing: (place) => passing?.(`${name}.${place}`),
    });
    const queue = new WorkQueue({
      ...this.#options.queue,
      name,
      concurrency: controller.concurrency ?? CONCURRENCY,
      log: this.#options.log,
      clock: client.clock,
      onProcessed: (facts) => onReconciled?.(name, facts),
      process: (key, signal) => {
        const context: ReconcileContext = { client, signal, fencingToken, assertCurrent };
        return controller.reconcile(key, context);
      },
    });
    const disconnects = controller.sources.map((source) => source.connect((key) => queue.add(key)));
    queue.start();
    this.#queues.set(name, queue);
    return async (graceMs) => {
      for (const disconnect of disconnects) disconnect();
      await queue.stop(graceMs);
      this.#queues.delete(name);
    };
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
