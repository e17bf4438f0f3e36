/**
 * The controller at work on a mock API server, with pods that come and go, a Store whose load a test sets, and time that
 * passes only when the test says so.
 *
 * Nothing is due and nothing under way when `settle` or `advance` return; so what a test sees then is what came of it.
 */
import { API_VERSION } from "@memflow/crds";
import type { TaskQueueStatus } from "@memflow/crds";
import { onTestFinished } from "vitest";
import { INDEX, TASK_QUEUE_LABEL, TASK_QUEUES } from "../../api/index.ts";
import type { ScalingFigures, TaskQueueObject } from "../../api/index.ts";
import { DEPLOYMENTS, keyOf, KubeClient, nameOf, PODS, Reflector, WorkQueue } from "../../kube/index.ts";
import type { Deployment, Happening, KubeObject, Pod, ReconcileContext } from "../../kube/index.ts";
import { Bell } from "../../testing/bell.ts";
import { recordLog } from "../../testing/log-recorder.ts";
import type { LogRecorder } from "../../testing/log-recorder.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { MockApiServer } from "../../testing/mock-api/mock-api-server.ts";
import type { RecordedRequest } from "../../testing/mock-api/mock-api-server.ts";
import { makeReplicasController } from "../replicas-controller.ts";
import { storeKeyOf } from "../scaled-queue.ts";
import { DeploymentController, deploymentOf } from "./deployment-controller.ts";
import { FakeStore } from "./fake-store.ts";

type Versions = NonNullable<TaskQueueStatus["versions"]>;

/** A TaskQueue of a test. */
export interface QueueSetup {
  readonly name?: string;
  readonly store?: string;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Default: `b1`, Current, with so many replicas. */
  readonly replicas?: number;
  readonly versions?: readonly { readonly version: Versions[number]; readonly replicas: number }[];
}

/** One process of the operator, as far as it scales. */
interface Process {
  readonly queue: WorkQueue;
  readonly end: () => void;
}

const BACKOFF = { firstMs: 200, maxMs: 60_000 };
/** Of the client and the reflectors, which live in real time. */
const REAL_BACKOFF = { firstMs: 1, maxMs: 5 };

/** @see startScaledCluster */
export class ScaledCluster {
  readonly api: MockApiServer;
  readonly clock: ManualClock = new ManualClock();
  readonly store: FakeStore = new FakeStore();
  readonly kubernetes: DeploymentController;
  readonly events: Happening[] = [];
  readonly gauges: Map<string, ScalingFigures> = new Map();
  readonly log: LogRecorder = recordLog();
  readonly client: KubeClient;
  isConnected = true;
  readonly #bell = new Bell();
  readonly #followed: {
    readonly taskQueues: Reflector<TaskQueueObject>;
    readonly deployments: Reflector<Deployment>;
    readonly pods: Reflector<Pod>;
  };
  readonly #storeChanged = new Set<(storeKey: string) => void>();
  #process: Process | undefined;
  /** Up to which revision reflectors are known to have followed, by type. */
  readonly #followedTo = new Map<string, number>();
  #willRing = false;

  constructor(api: MockApiServer) {
    this.api = api;
    this.client = new KubeClient({ kubeConfig: api.kubeConfig(), backoff: REAL_BACKOFF, attemptMax: 1 });
    this.kubernetes = new DeploymentController(api.cluster);
    const shared = { client: this.client, log: this.log.log, backoff: REAL_BACKOFF };
    const ofQueue = ({ metadata }: KubeObject): string[] => [
      `${metadata?.namespace ?? ""}/${metadata?.labels?.[TASK_QUEUE_LABEL] ?? ""}`,
    ];
    const indexes = { [INDEX.taskQueue]: ofQueue };
    this.#followed = {
      taskQueues: new Reflector({
        ...shared,
        type: TASK_QUEUES,
        indexes: { [INDEX.store]: (queue) => [storeKeyOf(queue)] },
      }),
      deployments: new Reflector({ ...shared, type: DEPLOYMENTS, indexes }),
      pods: new Reflector({ ...shared, type: PODS, indexes }),
    };
    api.bell.onRing(() => this.#ringSoon());
    this.store.onAnswer = () => this.#ringSoon();
  }

  /** Begins to follow. */
  async start(): Promise<void> {
    for (const reflector of Object.values(this.#followed)) {
      reflector.start();
      await reflector.whenSynced();
      reflector.onChange(() => this.#ringSoon());
    }
  }

  async stop(): Promise<void> {
    await this.kill();
    for (const reflector of Object.values(this.#followed)) await reflector.stop();
    await this.client.close();
    await this.api.close();
  }

  /** A process begins to lead, with nothing remembered. */
  lead(): void {
    const stores = {
      find: () => (this.isConnected ? this.store : undefined),
      onChange: (handler: (storeKey: string) => void) => {
        this.#storeChanged.add(handler);
        return () => void this.#storeChanged.delete(handler);
      },
    };
    const controller = makeReplicasController({
      followed: this.#followed,
      stores,
      events: { record: (happening) => void this.events.push(happening) },
      scalingGauges: {
        set: (key, figures) => void this.gauges.set(key, figures),
        remove: (key) => void this.gauges.delete(key),
      },
      clock: this.clock,
    });
    const queue = new WorkQueue({
      name: controller.name,
      concurrency: controller.concurrency ?? 1,
      clock: this.clock,
      backoff: BACKOFF,
      random: () => 0.5,
      log: this.log.log,
      process: async (key, signal) => {
        const context: ReconcileContext = {
          client: this.client,
          signal,
          fencingToken: 1,
          assertCurrent: () => {},
        };
        try {
          return await controller.reconcile(key, context);
        } finally {
          this.#ringSoon();
        }
      },
    });
    const disconnects = controller.sources.map((source) => source.connect((key) => queue.add(key)));
    queue.start();
    this.#process = {
      queue,
      end: () => {
        for (const disconnect of disconnects) disconnect();
      },
    };
  }

  /** The process ends in the middle of whatever it does. */
  async kill(): Promise<void> {
    const process = this.#process;
    this.#process = undefined;
    process?.end();
    await process?.queue.stop(0);
  }

  /** The Store was connected, or no longer is. */
  connect(isConnected: boolean): void {
    this.isConnected = isConnected;
    for (const handler of this.#storeChanged) handler("default/main");
  }

  /** A TaskQueue with its Deployments. */
  addQueue(setup: QueueSetup = {}): TaskQueueObject {
    const { name = "orders", store = "main", spec = {}, annotations = {}, replicas = 0 } = setup;
    const versions = setup.versions ?? [{ version: { buildId: "b1", phase: "Current" } as const, replicas }];
    for (const { version, replicas: count } of versions) {
      this.api.cluster.create(DEPLOYMENTS, deploymentOf(name, version.buildId, count), {
        manager: "memflow-queues",
      });
    }
    const object: TaskQueueObject = {
      apiVersion: API_VERSION,
      kind: "TaskQueue",
      metadata: { name, namespace: "default", annotations: { ...annotations } },
      spec: {
        storeRef: { name: store },
        workers: { source: { image: { ref: "example.com/workers:1" } } },
        ...spec,
      },
    };
    const created = this.api.cluster.create(TASK_QUEUES, object);
    return this.api.cluster.replace(
      TASK_QUEUES,
      { ...created, status: { versions: versions.map(({ version }) => version) } },
      { manager: "memflow-queues", subresource: "status" },
    );
  }

  /** Changes a TaskQueue as a user does. */
  changeQueue(name: string, change: (object: TaskQueueObject) => TaskQueueObject): void {
    this.api.cluster.replace(TASK_QUEUES, change(this.queue(name)));
  }

  /** The phases of a TaskQueue's builds, as who looks after its rollout says them. */
  setVersions(name: string, versions: Versions): void {
    const object = this.queue(name);
    this.api.cluster.replace(
      TASK_QUEUES,
      { ...object, status: { ...object.status, versions } },
      { manager: "memflow-queues", subresource: "status" },
    );
  }

  queue(name = "orders"): TaskQueueObject {
    const found = this.api.cluster.find(TASK_QUEUES, { namespace: "default", name });
    if (found === undefined) throw new Error(`no TaskQueue "${name}"`);
    return found;
  }

  replicas(deployment = "orders-b1"): number | undefined {
    return this.api.cluster.find(DEPLOYMENTS, { namespace: "default", name: deployment })?.spec?.replicas;
  }

  /** Somebody else scales a Deployment. */
  scaleByHand(replicas: number, deployment = "orders-b1"): void {
    const found = this.api.cluster.find(DEPLOYMENTS, { namespace: "default", name: deployment });
    if (found?.spec === undefined) throw new Error(`no Deployment "${deployment}"`);
    this.api.cluster.replace(
      DEPLOYMENTS,
      { ...found, spec: { ...found.spec, replicas } },
      { manager: "kubectl" },
    );
  }

  pods(deployment = "orders-b1"): readonly string[] {
    return this.kubernetes.podsOf(deployment).map(({ metadata }) => metadata?.name ?? "");
  }

  condition(type: string, name = "orders"): { readonly status: string; readonly reason: string } | undefined {
    const found = this.queue(name).status?.conditions?.find((condition) => condition.type === type);
    return found && { status: found.status, reason: found.reason };
  }

  /** Reasons of the Events so far. */
  get eventReasons(): readonly string[] {
    return this.events.map(({ reason }) => reason);
  }

  get scaleWrites(): readonly RecordedRequest[] {
    return this.api.requestsOf("patch", "deployments");
  }

  get statusWrites(): readonly RecordedRequest[] {
    return this.api.requestsOf("patch", "taskqueues");
  }

  /** Lets everything that is under way, or due now, come to its end. */
  async settle(): Promise<void> {
    for (;;) {
      this.kubernetes.run();
      await this.#bell.until(() => this.#isQuiet());
      const revision = this.api.cluster.revision;
      if (this.#isDue()) this.clock.advance(0);
      this.kubernetes.run();
      if (this.#isQuiet() && this.api.cluster.revision === revision && !this.#isDue()) return;
    }
  }

  /** Lets time pass; all that happens meanwhile has come to its end. */
  async advance(durationMs: number): Promise<void> {
    await this.settle();
    let leftMs = durationMs;
    while (leftMs > 0) {
      const stepMs = Math.min(leftMs, this.clock.pendingMs[0] ?? leftMs);
      this.clock.advance(stepMs);
      leftMs -= stepMs;
      await this.settle();
    }
  }

  /** Once for all that happens in this turn, and after it. */
  #ringSoon(): void {
    if (this.#willRing) return;
    this.#willRing = true;
    setImmediate(() => {
      this.#willRing = false;
      this.#bell.ring();
    });
  }

  #isDue(): boolean {
    return (this.clock.pendingMs[0] ?? 1) <= 0;
  }

  #isQuiet(): boolean {
    const { waitingCount = 0, runningCount = 0 } = this.#process?.queue.state ?? {};
    if (this.store.lookingCount + waitingCount + runningCount > 0) return false;
    const { taskQueues, deployments, pods } = this.#followed;
    return this.#isFollowed(taskQueues) && this.#isFollowed(deployments) && this.#isFollowed(pods);
  }

  #isFollowed<T extends KubeObject>({ type, store }: Pick<Reflector<T>, "type" | "store">): boolean {
    const changes = this.api.cluster.changesAfter(type, this.#followedTo.get(type.plural) ?? 0);
    const newest = new Map(changes.map((change) => [keyOf(nameOf(change.object)), change]));
    for (const [key, change] of newest) {
      const version = change.type === "DELETED" ? undefined : change.object.metadata?.resourceVersion;
      if (store.get(key)?.metadata?.resourceVersion !== version) return false;
    }
    const last = changes.at(-1);
    if (last !== undefined) this.#followedTo.set(type.plural, last.revision);
    return true;
  }
}

/** Starts all of it; it ends with the test. */
export async function startScaledCluster(): Promise<ScaledCluster> {
  const cluster = new ScaledCluster(await MockApiServer.start({ types: [TASK_QUEUES, DEPLOYMENTS, PODS] }));
  onTestFinished(() => cluster.stop());
  await cluster.start();
  return cluster;
}
