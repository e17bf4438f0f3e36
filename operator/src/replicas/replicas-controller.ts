/**
 * Scales the workers of all TaskQueues, and is the only one that does.
 *
 * Stores are looked at, not queues: one statement tells of all queues of a Store, and each look is followed by a pass for
 * each queue that it is news to. So an idle queue costs a comparison. What changes in the cluster asks for a look too; no
 * pass is made from an old one.
 */
import { TASK_QUEUE_LABEL } from "../api/index.ts";
import { sourceOf } from "../kube/index.ts";
import type {
  Controller,
  Deployment,
  KubeObject,
  ObjectChange,
  Pod,
  ReconcileContext,
} from "../kube/index.ts";
import { DELETION_COST_ANNOTATION } from "../scaling/core/plan-scale-in.ts";
import type { TaskQueueObject } from "../api/index.ts";
import { ScaledQueue } from "./scaled-queue.ts";
import type { ReplicasDependencies } from "./scaled-queue.ts";
import { StoreWatch } from "./store-watch.ts";
import type { Look } from "./store-watch.ts";

/** Queues whose objects are written at a time. */
const CONCURRENCY = 8;
/** An older look is not acted upon: so many queues were before this one. */
const FRESH_MS = 5_000;

/** Makes the controller; it works while the runtime has connected its sources. */
export function makeReplicasController(dependencies: ReplicasDependencies): Controller {
  const replicas = new Replicas(dependencies);
  const { taskQueues, deployments, pods } = dependencies.followed;
  return {
    name: "replicas",
    concurrency: CONCURRENCY,
    reconcile: (key, context) => replicas.reconcile(key, context),
    sources: [
      { reflector: taskQueues, connect: (add) => replicas.connect(add) },
      // Heard by the first one; named so that the runtime follows them.
      sourceOf(deployments, () => []),
      sourceOf(pods, () => []),
    ],
  };
}

/** One Store and the queues in it. */
interface StoreGroup {
  readonly watch: StoreWatch;
  readonly queues: Set<ScaledQueue>;
}

/** What there is while this process leads. */
class Replicas {
  readonly #dependencies: ReplicasDependencies;
  readonly #queues = new Map<string, ScaledQueue>();
  readonly #groups = new Map<string, StoreGroup>();
  #add: (key: string) => void = () => {};

  constructor(dependencies: ReplicasDependencies) {
    this.#dependencies = dependencies;
  }

  /** Begins with no memory, as each leadership does. */
  connect(add: (key: string) => void): () => void {
    const { followed, stores } = this.#dependencies;
    this.#add = add;
    const ends = [
      followed.taskQueues.onChange((change) => this.#onTaskQueue(change)),
      followed.deployments.onChange((change) => this.#onPart(change, hasDeploymentNews)),
      followed.pods.onChange((change) => this.#onPart(change, hasPodNews)),
      stores.onChange((storeKey) => this.#groups.get(storeKey)?.watch.request()),
    ];
    return () => {
      for (const end of ends) end();
      for (const queue of this.#queues.values()) this.#forget(queue);
    };
  }

  async reconcile(key: string, context: ReconcileContext): Promise<undefined> {
    const queue = this.#queues.get(key);
    const watch = queue && this.#groups.get(queue.storeKey)?.watch;
    if (queue === undefined || watch === undefined) return undefined;
    const look = watch.latest;
    const nowMs = this.#dependencies.clock.steadyMs();
    if (look === undefined || !queue.awaits(look) || nowMs - look.endedMs > FRESH_MS) {
      watch.requestBy(Math.max(nowMs, queue.retryAtMs));
      return undefined;
    }
    const { lookAgainInMs } = await queue.pass(look, context);
    // It may have gone meanwhile.
    if (this.#queues.get(key) !== queue) return undefined;
    watch.requestBy(look.endedMs + lookAgainInMs);
    queue.listen(look.store, () => watch.request());
    if (queue.wasWokenSince(look)) watch.request();
    return undefined;
  }

  #onTaskQueue(change: ObjectChange<TaskQueueObject>): void {
    const { key, object, type } = change;
    const known = this.#queues.get(key);
    if (type === "deleted") {
      if (known !== undefined) this.#forget(known);
      return;
    }
    if (type === "updated" && !hasTaskQueueNews(object, change.previous)) return;
    if (known === undefined) this.#keep(new ScaledQueue(object, key, this.#dependencies));
    this.#touch(key);
  }

  #onPart<T extends KubeObject>(change: ObjectChange<T>, hasNews: (object: T, previous: T) => boolean): void {
    if (change.type === "updated" && !hasNews(change.object, change.previous)) return;
    const { namespace = "", labels } = change.object.metadata ?? {};
    this.#touch(`${namespace}/${labels?.[TASK_QUEUE_LABEL] ?? ""}`);
  }

  #touch(key: string): void {
    const queue = this.#queues.get(key);
    if (queue === undefined) return;
    queue.touch();
    this.#groups.get(queue.storeKey)?.watch.request();
  }

  #keep(queue: ScaledQueue): void {
    const { storeKey } = queue;
    const group = this.#groups.get(storeKey) ?? { watch: this.#watch(storeKey), queues: new Set() };
    this.#groups.set(storeKey, group);
    group.queues.add(queue);
    this.#queues.set(queue.key, queue);
  }

  #forget(queue: ScaledQueue): void {
    queue.close();
    this.#queues.delete(queue.key);
    const group = this.#groups.get(queue.storeKey);
    group?.queues.delete(queue);
    if (group?.queues.size !== 0) return;
    group.watch.close();
    this.#groups.delete(queue.storeKey);
  }

  #watch(storeKey: string): StoreWatch {
    const { stores, clock } = this.#dependencies;
    return new StoreWatch({
      storeKey,
      find: () => stores.find(storeKey),
      clock,
      onLook: (look) => this.#onLook(storeKey, look),
    });
  }

  #onLook(storeKey: string, look: Look): void {
    const group = this.#groups.get(storeKey);
    if (group === undefined) return;
    for (const queue of group.queues) {
      const isWaiting = queue.retryAtMs > look.endedMs;
      group.watch.requestBy(isWaiting ? queue.retryAtMs : look.endedMs + queue.pollMs);
      if (queue.concerns(look)) this.#add(queue.key);
    }
  }
}

/** Its figures of scaling are our own doing, most of its conditions concern others. */
function hasTaskQueueNews(object: TaskQueueObject, previous: TaskQueueObject): boolean {
  const newsOf = ({ metadata, status }: TaskQueueObject): string =>
    JSON.stringify([
      metadata?.uid,
      metadata?.generation,
      metadata?.annotations,
      metadata?.deletionTimestamp,
      status?.versions?.map(({ buildId, phase, rampPercent, since }) => [buildId, phase, rampPercent, since]),
    ]);
  return newsOf(object) !== newsOf(previous);
}

/** How many of its pods are up is seen at the next look. */
function hasDeploymentNews({ metadata, spec }: Deployment, previous: Deployment): boolean {
  return (
    spec?.replicas !== previous.spec?.replicas ||
    metadata?.deletionTimestamp !== previous.metadata?.deletionTimestamp
  );
}

/** A scale-in waits for the costs to be seen. */
function hasPodNews({ metadata }: Pod, previous: Pod): boolean {
  const costOf = (annotations: Readonly<Record<string, string>> | undefined): string | undefined =>
    annotations?.[DELETION_COST_ANNOTATION];
  return costOf(metadata?.annotations) !== costOf(previous.metadata?.annotations);
}
