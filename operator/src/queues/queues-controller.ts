/** The controller of TaskQueues, but for their replicas: whose changes concern which queue. */
import type { OperatorDependencies } from "../api/index.ts";
import { INDEX, TASK_QUEUE_LABEL } from "../api/index.ts";
import { hasSpecNews, sourceOf } from "../kube/index.ts";
import type { Controller, KubeObject, ReconcileContext, Source } from "../kube/index.ts";
import { codeConfigMapKey } from "./find-code.ts";
import { QueueTerm } from "./queue-term.ts";

/** What the controller needs of the operator. */
export type QueuesDependencies = Pick<
  OperatorDependencies,
  "followed" | "stores" | "events" | "log" | "clock" | "resyncMs" | "workerImage" | "crashPoint"
>;

/** Makes the controller; nothing is started. */
export function makeQueuesController(dependencies: QueuesDependencies): Controller {
  // What a leadership remembers is worth nothing in the next one: another process may have written meanwhile.
  let term: QueueTerm | undefined;
  const termOf = ({ fencingToken }: ReconcileContext): QueueTerm => {
    if (term?.fencingToken !== fencingToken) term = new QueueTerm(dependencies, fencingToken);
    return term;
  };
  return {
    name: "queues",
    reconcile: (key, context) => termOf(context).reconcile(key, context),
    sources: sourcesOf(dependencies),
  };
}

function sourcesOf({ followed, stores }: QueuesDependencies): readonly Source[] {
  const { taskQueues, configMaps } = followed;
  const keysOfStore = (storeKey: string): readonly string[] =>
    taskQueues.store.find(INDEX.store, storeKey).map(keyOfObject);
  const ofStores: Source = {
    reflector: followed.stores,
    connect: (add) =>
      stores.onChange((storeKey) => {
        for (const key of keysOfStore(storeKey)) add(key);
      }),
  };
  const ofConfigMaps =
    configMaps === undefined
      ? []
      : [
          sourceOf(configMaps, (_object, key) =>
            taskQueues.store
              .list()
              .filter(({ spec, metadata }) => codeConfigMapKey(spec, metadata?.namespace) === key)
              .map(keyOfObject),
          ),
        ];
  return [
    sourceOf(taskQueues),
    sourceOf(taskQueues, (object) => rivalsOf(object, taskQueues.store), hasSpecNews),
    sourceOf(followed.stores, (_object, key) => keysOfStore(key)),
    ofStores,
    sourceOf(followed.workflows, ({ metadata, spec }) => {
      const { taskQueueRef } = (spec ?? {}) as { readonly taskQueueRef?: { readonly name?: string } };
      return taskQueueRef?.name === undefined ? [] : [`${metadata?.namespace ?? ""}/${taskQueueRef.name}`];
    }),
    sourceOf(followed.deployments, ownerOf),
    sourceOf(followed.pods, ownerOf),
    sourceOf(followed.controllerRevisions, ownerOf),
    ...ofConfigMaps,
  ];
}

/** A queue that goes, or comes, decides whose the name is. */
function rivalsOf(
  { metadata, spec }: KubeObject & { readonly spec?: unknown },
  taskQueues: OperatorDependencies["followed"]["taskQueues"]["store"],
): readonly string[] {
  const { storeRef, queueName } = (spec ?? {}) as {
    readonly storeRef?: { readonly name?: string };
    readonly queueName?: string;
  };
  const name = queueName ?? metadata?.name;
  return taskQueues
    .find(INDEX.queueName, `${metadata?.namespace ?? ""}/${storeRef?.name ?? ""}/${name ?? ""}`)
    .map(keyOfObject);
}

function ownerOf({ metadata }: KubeObject): readonly string[] {
  const name = metadata?.labels?.[TASK_QUEUE_LABEL];
  return name === undefined ? [] : [`${metadata?.namespace ?? ""}/${name}`];
}

function keyOfObject({ metadata }: KubeObject): string {
  return `${metadata?.namespace ?? ""}/${metadata?.name ?? ""}`;
}
