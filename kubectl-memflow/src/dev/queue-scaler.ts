/**
 * Scales the workers of each queue by the operator's own decision, with processes in place of pods.
 *
 * It looks, decides and sets, again and again; nobody wakes it, so a queue at zero is looked at twice a second. A look that fails
 * holds what there is. All of it is the operator's, but that a worker which goes is the latest one, and hands over.
 */
import { setTimeout as delay } from "node:timers/promises";
import { resolveConnection } from "@memflow/engine";
import { LoadObserver } from "@memflow/operator/observe";
import { decide, EMPTY_MEMORY, observeQueue } from "@memflow/operator/plan";
import type { QueueFacts, ScalingDecision, ScalingMemory } from "@memflow/operator/plan";
import type { QueuePlan } from "./dev-plan.ts";
import type { WorkerPool } from "./worker-pool.ts";

/** What it needs. */
export interface QueueScalerOptions {
  readonly databaseUrl: string;
  readonly pool: Pick<WorkerPool, "setReplicas" | "workersOf">;
  /** Hears of each change of a queue's workers, in the operator's words. */
  readonly onScaled: (taskQueue: string, message: string) => void;
}

/** The one build that there is. */
const BUILD = "dev";
const LOOK_MS_MAX = 500;

interface Queue {
  plan: QueuePlan;
  memory: ScalingMemory;
  /** As `status.scaling` of a TaskQueue. */
  scaling: Readonly<Record<string, unknown>> | undefined;
}

/** @see QueueScalerOptions */
export class QueueScaler {
  readonly #options: QueueScalerOptions;
  readonly #queues = new Map<string, Queue>();
  readonly #stopping = new AbortController();
  #databaseUrl: string;
  #observers = new Map<string, LoadObserver>();
  #loop: Promise<void> = Promise.resolve();

  constructor(options: QueueScalerOptions) {
    this.#options = options;
    this.#databaseUrl = options.databaseUrl;
  }

  /** Takes the queues as they are planned now; what is remembered of those that stay is kept. */
  replan(queues: readonly QueuePlan[]): void {
    const wanted = new Set(queues.map(({ taskQueue }) => taskQueue));
    for (const taskQueue of this.#queues.keys()) if (!wanted.has(taskQueue)) this.#queues.delete(taskQueue);
    for (const plan of queues) {
      const known = this.#queues.get(plan.taskQueue);
      if (known === undefined)
        this.#queues.set(plan.taskQueue, { plan, memory: EMPTY_MEMORY, scaling: undefined });
      else known.plan = plan;
    }
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** The last decision on a queue. */
  scalingOf(taskQueue: string): Readonly<Record<string, unknown>> | undefined {
    return this.#queues.get(taskQueue)?.scaling;
  }

  /** The database has another address. */
  async moveTo(databaseUrl: string): Promise<void> {
    this.#databaseUrl = databaseUrl;
    await this.#forgetObservers();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    await this.#forgetObservers();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const waits = await Promise.all([...this.#queues.values()].map((queue) => this.#scale(queue)));
      const waitMs = Math.max(1, Math.min(LOOK_MS_MAX, ...waits));
      // Resolves, too, when it is to stop.
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** One look at one queue; when to look again. */
  async #scale(queue: Queue): Promise<number> {
    const { plan, memory } = queue;
    const { pool } = this.#options;
    const facts = await this.#observe(plan);
    if (this.#stopping.signal.aborted) return 0;
    const { observation } = observeQueue(facts);
    const decided = decide(observation, plan.policy, memory);
    queue.memory = decided.memory;
    queue.scaling = scalingStatus(decided.decision, facts);
    const replicas = decided.decision.builds[0]?.replicas ?? plan.replicas;
    const { desired } = pool.workersOf(plan.taskQueue);
    if (replicas !== desired) {
      pool.setReplicas(plan.taskQueue, replicas);
      this.#options.onScaled(plan.taskQueue, decided.decision.message);
    }
    return decided.decision.lookAgainInMs;
  }

  async #observe(plan: QueuePlan): Promise<QueueFacts> {
    const seen = await this.#observerOf(plan.schema).look();
    const load = seen.kind === "Seen" ? seen.queue(plan.taskQueue) : seen;
    const { desired, ready } = this.#options.pool.workersOf(plan.taskQueue);
    // All processes share this machine's name: here a worker's own id stands for the pod that it would be in.
    const workers =
      load.kind === "Seen" ? load.workers.map((one) => ({ ...one, host: one.workerId, buildId: BUILD })) : [];
    return {
      queueName: plan.name,
      atMs: Date.now(),
      load: load.kind === "Seen" ? { ...load, workers } : load,
      builds: [
        {
          buildId: BUILD,
          role: "Current",
          sharePercent: 100,
          replicas: { desired, ready, unavailable: desired - ready },
        },
      ],
      pods: workers.map(({ workerId }) => ({ name: workerId, buildId: BUILD, terminating: false })),
      annotations: plan.annotations,
    };
  }

  #observerOf(schema: string): LoadObserver {
    let observer = this.#observers.get(schema);
    if (observer === undefined) {
      observer = new LoadObserver(resolveConnection(this.#databaseUrl), schema);
      this.#observers.set(schema, observer);
    }
    return observer;
  }

  async #forgetObservers(): Promise<void> {
    const observers = [...this.#observers.values()];
    this.#observers = new Map();
    await Promise.all(observers.map((observer) => observer.close()));
  }
}

/** In the words of `status.scaling`. */
function scalingStatus(
  decision: ScalingDecision,
  { atMs, load }: QueueFacts,
): Readonly<Record<string, unknown>> {
  const [build] = decision.builds;
  return {
    observedAt: new Date(atMs).toISOString(),
    ...(load.kind === "Seen" ? { backlog: load.waiting.reduce((sum, { ready }) => sum + ready, 0) } : {}),
    ...(build === undefined
      ? {}
      : {
          inFlight: build.inFlight,
          rawDesired: build.raw ?? undefined,
          desired: build.replicas,
          limitedBy: build.limitedBy,
        }),
    reason: decision.message,
  };
}
