/** What the manifests say of each Store: its workflows and queues, as the gateway shows them and starts honour them. Pure. */
import type { Manifests, Store, TaskQueue } from "@memflow/crds";
import { queueDefinition, storeDefinitions } from "@memflow/gateway";
import type { QueueDefinition, WorkflowDefinition } from "@memflow/gateway";

/** One Store. */
export interface StorePlan {
  readonly name: string;
  readonly schema: string;
  readonly workflows: readonly WorkflowDefinition[];
  readonly queues: readonly QueueDefinition[];
}

/** Makes the plans, by name. */
export function planStores({ stores, taskQueues, workflows }: Manifests): readonly StorePlan[] {
  return stores
    .map(({ resource }) => {
      const own = taskQueues.filter(({ store }) => isSame(store, resource)).map((queue) => queue.resource);
      const isOwn = (taskQueue: TaskQueue): boolean => own.some((queue) => isSame(queue, taskQueue));
      return {
        name: resource.metadata.name,
        schema: resource.spec.schema,
        ...storeDefinitions(
          workflows
            .filter(({ taskQueue }) => isOwn(taskQueue))
            .map(({ resource: workflow, taskQueue }) => ({ workflow, taskQueue })),
          own.map((queue) => queueDefinition(queue, undefined)),
        ),
      };
    })
    .toSorted(byName);
}

function isSame(one: Store | TaskQueue, other: Store | TaskQueue): boolean {
  return one.metadata.name === other.metadata.name && one.metadata.namespace === other.metadata.namespace;
}

function byName(left: { readonly name: string }, right: { readonly name: string }): number {
  return left.name < right.name ? -1 : left.name > right.name ? 1 : 0;
}
