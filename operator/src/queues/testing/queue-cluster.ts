/**
 * The controller at work on a mock API server and a real database.
 *
 * What it follows is read from the mock itself, so each pass sees all that was written before it; passes are made one by one, and
 * time passes only when the test says so. So what a test sees after `settle` is where everything came to rest.
 */
import { API_VERSION } from "@memflow/crds";
import type { TaskQueueStatus } from "@memflow/crds";
import { makeScratchStore } from "@memflow/engine/testing/scratch-store";
import type { ScratchStore } from "@memflow/engine/testing/scratch-store";
import { onTestFinished } from "vitest";
import {
  BUILD_LABEL,
  INDEX,
  STORES,
  TASK_QUEUE_LABEL,
  TASK_QUEUES,
  workerLabels,
  WORKFLOWS,
} from "../../api/index.ts";
import type { ConnectedStore, Followed, StoreObject, TaskQueueObject } from "../../api/index.ts";
import {
  CONFIG_MAPS,
  CONTROLLER_REVISIONS,
  DEPLOYMENTS,
  KubeClient,
  KubeUnreachableError,
  keyOf,
  nameOf,
  NAMESPACES,
  POD_DISRUPTION_BUDGETS,
  PODS,
  SECRETS,
  SERVICE_ACCOUNTS,
} from "../../kube/index.ts";
import type {
  Deployment,
  FollowedObjects,
  Happening,
  KubeObject,
  ReconcileContext,
  ResourceType,
} from "../../kube/index.ts";
import { OpenStore } from "../../stores/connected-store.ts";
import { recordLog } from "../../testing/log-recorder.ts";
import { ManualClock } from "../../testing/manual-clock.ts";
import { MockApiServer } from "../../testing/mock-api/mock-api-server.ts";
import type { MockApiServerOptions, RecordedRequest } from "../../testing/mock-api/mock-api-server.ts";
import { APPLIED_ANNOTATION } from "../object-keeper.ts";
import { makeQueuesController } from "../queues-controller.ts";
import { taskQueueManifest } from "./task-queues.ts";
import type { Manifest } from "./task-queues.ts";

const NAMESPACE = "shop";
const TYPES = [
  STORES,
  TASK_QUEUES,
  WORKFLOWS,
  DEPLOYMENTS,
  CONTROLLER_REVISIONS,
  PODS,
  CONFIG_MAPS,
  SECRETS,
  SERVICE_ACCOUNTS,
  POD_DISRUPTION_BUDGETS,
  NAMESPACES,
];
/** More passes than any change needs: whatever needs more never comes to rest. */
const PASSES_MAX = 12;

/** How a pass ended. */
interface Pass {
  readonly requeueAfterMs: number | undefined;
  readonly writeCount: number;
}

/** How a cluster is made. */
interface QueueClusterOptions extends Pick<MockApiServerOptions, "admit"> {
  readonly shared?: Shared | undefined;
}

/** What clusters may have in common. */
interface Shared {
  readonly database: ScratchStore;
  /** Of the first process: above those that wrote to the database before. */
  readonly fencingToken: number;
}

/** @see startQueueCluster */
export class QueueCluster {
  readonly api: MockApiServer;
  readonly database: ScratchStore;
  readonly client: KubeClient;
  readonly clock: ManualClock = new ManualClock();
  readonly events: Happening[] = [];
  readonly crashPoints: string[] = [];
  /** Called where the process may die. */
  onCrashPoint: (name: string) => void = () => {};
  /** Called before each write to the API server. */
  onWrite: () => void = () => {};
  isConnected = true;
  workerImage = "memflow/worker:1";
  readonly #store: OpenStore;
  #fencingToken: number;
  #controller: ReturnType<typeof makeQueuesController>;

  constructor(api: MockApiServer, { database, fencingToken }: Shared) {
    this.#fencingToken = fencingToken;
    this.api = api;
    this.database = database;
    this.client = new KubeClient({ kubeConfig: api.kubeConfig(), attemptMax: 1 });
    const { source, schema } = database.place;
    this.#store = new OpenStore({ key: `${NAMESPACE}/main`, uid: "s", schema, source, log: recordLog().log });
    this.#controller = this.#makeController();
  }

  /** Another process leads: it knows nothing of what this one remembered. */
  restart(): void {
    this.#fencingToken++;
    this.#controller = this.#makeController();
  }

  /** Applies a TaskQueue as its user does. */
  apply(spec: Manifest = {}, metadata: Manifest = {}): void {
    const manifest = taskQueueManifest(spec, { uid: undefined, ...metadata }) as KubeObject;
    const known = this.api.cluster.find(TASK_QUEUES, nameOf(manifest));
    if (known === undefined) this.api.cluster.create(TASK_QUEUES, manifest);
    else {
      const changed = { ...known, spec: (manifest as TaskQueueObject).spec };
      this.api.cluster.replace(TASK_QUEUES, {
        ...changed,
        metadata: { ...known.metadata, ...(metadata as KubeObject["metadata"]) },
      });
    }
  }

  /** One pass over a queue. */
  async pass(name = "orders"): Promise<Pass> {
    const before = this.writes.length;
    const processed = await this.#controller.reconcile(`${NAMESPACE}/${name}`, this.#context());
    return { requeueAfterMs: processed?.requeueAfterMs, writeCount: this.writes.length - before };
  }

  /** Passes until one writes nothing. */
  async settle(name = "orders"): Promise<Pass> {
    for (let count = 0; count < PASSES_MAX; count++) {
      const pass = await this.pass(name);
      if (pass.writeCount === 0) return pass;
    }
    throw new Error(`TaskQueue "${name}" does not come to rest`);
  }

  /** Passes until one writes nothing; where one dies, another process leads and goes on. */
  async settleInSpiteOf(Death: new () => Error): Promise<void> {
    try {
      await this.settle();
    } catch (error) {
      if (!(error instanceof Death) && !(error instanceof KubeUnreachableError)) throw error;
      this.restart();
      await this.settle();
    }
  }

  /** Requests that write something. */
  get writes(): readonly RecordedRequest[] {
    return this.api.requests.filter(({ verb }) => ["create", "update", "patch", "delete"].includes(verb));
  }

  get deployments(): readonly Deployment[] {
    return this.api.cluster.list(DEPLOYMENTS);
  }

  status(name = "orders"): TaskQueueStatus | undefined {
    return this.api.cluster.find(TASK_QUEUES, { namespace: NAMESPACE, name })?.status;
  }

  /** The phases of a queue's builds. */
  phases(name = "orders"): Record<string, string | undefined> {
    return Object.fromEntries(
      (this.status(name)?.versions ?? []).map(({ buildId, phase }) => [buildId, phase]),
    );
  }

  /** A condition as `status reason`. */
  condition(type: string, name = "orders"): string {
    const found = this.status(name)?.conditions?.find((condition) => condition.type === type);
    return `${found?.status ?? ""} ${found?.reason ?? ""}`;
  }

  /** The routing as the database has it. */
  async routes(queue = "orders"): Promise<readonly string[]> {
    const rows = await this.database.sql<{ route: string }>(
      `select build_id || ' ' || role || ' ' || share_percent as route from :schema.queue_builds
       where task_queue = $1 order by build_id`,
      [queue],
    );
    return rows.map(({ route }) => route);
  }

  deploymentOf(buildId: string): Deployment {
    const found = this.deployments.find(({ metadata }) => metadata?.labels?.[BUILD_LABEL] === buildId);
    if (found === undefined) throw new Error(`build "${buildId}" has no Deployment`);
    return found;
  }

  /** Has so many workers of a build asked for, ready, and there, as those who scale and Kubernetes do. */
  run(buildId: string, replicas: number, ready: number = replicas, present: number = replicas): void {
    const deployment = this.deploymentOf(buildId);
    const { name = "", labels = {} } = deployment.metadata ?? {};
    const means = { manager: "memflow-replicas" };
    const scaled = { ...deployment, spec: { ...deployment.spec, replicas } } as Deployment;
    this.api.cluster.replace(DEPLOYMENTS, scaled, means);
    const now = this.deploymentOf(buildId);
    const observedGeneration = now.metadata?.generation ?? 0;
    const status = {
      observedGeneration,
      replicas: present,
      readyReplicas: ready,
      updatedReplicas: replicas,
    };
    this.api.cluster.replace(
      DEPLOYMENTS,
      { ...now, status },
      { manager: "kubernetes", subresource: "status" },
    );
    for (const pod of this.api.cluster.list(PODS, ({ metadata }) => metadata?.labels?.["of"] === name)) {
      this.api.cluster.delete(PODS, nameOf(pod));
    }
    for (let count = 0; count < replicas; count++) {
      this.api.cluster.create(PODS, {
        metadata: { name: `${name}-${count}`, namespace: NAMESPACE, labels: { ...labels, of: name } },
      });
    }
  }

  /** A pod of a build that waits for a reason. */
  wait(buildId: string, reason: string): void {
    const name = `${buildId}-waiting`;
    this.api.cluster.create(PODS, {
      metadata: { name, namespace: NAMESPACE, labels: { ...workerLabels("orders", buildId) } },
      status: {
        containerStatuses: [
          {
            name: "worker",
            ready: false,
            restartCount: 0,
            image: "",
            imageID: "",
            state: { waiting: { reason } },
          },
        ],
      },
    });
  }

  /** The Store hands out new credentials. */
  rotateCredentials(credentialsHash: string): void {
    const store = this.api.cluster.find(STORES, { namespace: NAMESPACE, name: "main" }) as StoreObject;
    const status = { ...store.status, credentialsHash } as NonNullable<StoreObject["status"]>;
    this.api.cluster.replace(
      STORES,
      { ...store, status },
      { manager: "memflow-stores", subresource: "status" },
    );
  }

  /** All objects, but for what time and chance decide. */
  picture(): unknown {
    return TYPES.map((type) =>
      this.api.cluster.list(type).map(({ metadata, ...rest }) => {
        const { name, labels, annotations, finalizers, ownerReferences } = metadata ?? {};
        const owners = ownerReferences?.map((owner) => ({ ...owner, uid: "" }));
        // The uid of the TaskQueue is chance, and so is what was hashed with it.
        const { [APPLIED_ANNOTATION]: _applied, ...said } = annotations ?? {};
        const whole = { name, labels, annotations: said, finalizers, owners, ...(rest as object) };
        // A condition that was turned and turned back while nobody lived to say so has kept its time.
        return JSON.parse(
          JSON.stringify(whole, (key, value: unknown) => (key === "lastTransitionTime" ? "" : value)),
        );
      }),
    );
  }

  async close(): Promise<void> {
    await this.#store.close();
    await this.client.close();
    await this.api.close();
  }

  #context(): ReconcileContext {
    return {
      client: this.client.guarded({ mayWrite: () => this.onWrite() }),
      signal: new AbortController().signal,
      fencingToken: this.#fencingToken,
      assertCurrent: () => {},
    };
  }

  #makeController(): ReturnType<typeof makeQueuesController> {
    const find = (): ConnectedStore | undefined => (this.isConnected ? this.#store : undefined);
    return makeQueuesController({
      followed: this.#followed(),
      stores: { find, onChange: () => () => {} },
      events: { record: (happening) => void this.events.push(happening) },
      log: recordLog().log,
      clock: this.clock,
      resyncMs: 300_000,
      workerImage: { ref: this.workerImage, pullPolicy: "IfNotPresent" },
      crashPoint: (name) => {
        this.crashPoints.push(name);
        this.onCrashPoint(name);
      },
    });
  }

  #followed(): Followed {
    const byLabel = ({ metadata }: KubeObject): string | undefined => metadata?.labels?.[TASK_QUEUE_LABEL];
    const byReference =
      (name: string) =>
      (object: KubeObject): string | undefined =>
        (object as { spec?: Record<string, { name?: string } | undefined> }).spec?.[name]?.name;
    return {
      stores: this.#follow(STORES),
      taskQueues: this.#follow(TASK_QUEUES, {
        [INDEX.store]: byReference("storeRef"),
        [INDEX.queueName]: (object) => {
          const { queueName } = (object as { spec?: { queueName?: string } }).spec ?? {};
          return `${byReference("storeRef")(object) ?? ""}/${queueName ?? object.metadata?.name ?? ""}`;
        },
      }),
      workflows: this.#follow(WORKFLOWS, { [INDEX.taskQueue]: byReference("taskQueueRef") }),
      schedules: this.#follow(WORKFLOWS),
      deployments: this.#follow(DEPLOYMENTS, { [INDEX.taskQueue]: byLabel }),
      pods: this.#follow(PODS, { [INDEX.taskQueue]: byLabel }),
      controllerRevisions: this.#follow(CONTROLLER_REVISIONS, { [INDEX.taskQueue]: byLabel }),
      secrets: this.#follow<KubeObject>(SECRETS),
      configMaps: this.#follow<KubeObject>(CONFIG_MAPS),
    };
  }

  /** Follows without delay. */
  #follow<T extends KubeObject>(
    type: ResourceType<T>,
    indexes: Readonly<Record<string, (object: KubeObject) => string | undefined>> = {},
  ): FollowedObjects<T> {
    const list = (): T[] => this.api.cluster.list(type);
    const keyIn = (object: KubeObject): string => keyOf(nameOf(object));
    return {
      type,
      store: {
        get size() {
          return list().length;
        },
        get: (key) => list().find((object) => keyIn(object) === key),
        keys: () => list().map(keyIn),
        list,
        find: (index, value) =>
          list().filter(
            (object) => `${object.metadata?.namespace ?? ""}/${indexes[index]?.(object) ?? ""}` === value,
          ),
      },
      state: {
        synced: true,
        silentMs: 0,
        sinceListMs: 0,
        listCount: 1,
        watchCount: 1,
        failureCount: 0,
        lastError: undefined,
        handlerErrorCount: 0,
      },
      start: () => {},
      stop: async () => {},
      whenSynced: async () => {},
      onChange: () => () => {},
    };
  }
}

/**
 * Starts a cluster with a Store `main` that is ready.
 *
 * @param options - Default: a database of its own, and a server that serves every field.
 */
export async function startQueueCluster({
  shared,
  ...server
}: QueueClusterOptions = {}): Promise<QueueCluster> {
  const api = await MockApiServer.start({ types: TYPES, ...server });
  const cluster = new QueueCluster(api, shared ?? { database: await makeScratchStore(), fencingToken: 1 });
  onTestFinished(() => cluster.close());
  api.cluster.create(STORES, {
    apiVersion: API_VERSION,
    kind: "Store",
    metadata: { name: "main", namespace: NAMESPACE },
    spec: { connection: { secretRef: { name: "db" } } },
    status: {
      credentialsHash: "c1",
      workerSecret: { name: "main-worker" },
      conditions: [
        {
          type: "Ready",
          status: "True",
          reason: "AllChecksPassed",
          message: "",
          lastTransitionTime: "2026-01-01T00:00:00Z",
        },
      ],
    },
  });
  return cluster;
}
