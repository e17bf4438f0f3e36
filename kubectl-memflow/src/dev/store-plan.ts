/** What the manifests say of each Store: its workflows and queues, as the gateway shows them and starts honour them. Pure. */
import { durationMs, queueNameOf, workflowNameOf } from "@memflow/crds";
import type { Manifests, Store, TaskQueue, Workflow } from "@memflow/crds";
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
        workflows: workflows
          .filter(({ taskQueue }) => isOwn(taskQueue))
          .map(({ resource: workflow, taskQueue }) => definitionOf(workflow, taskQueue))
          .toSorted(byName),
        queues: own
          .map((queue) => ({ name: queue.metadata.name, taskQueue: queueNameOf(queue) }))
          .toSorted(byName),
      };
    })
    .toSorted(byName);
}

function isSame(one: Store | TaskQueue, other: Store | TaskQueue): boolean {
  return one.metadata.name === other.metadata.name && one.metadata.namespace === other.metadata.namespace;
}

function definitionOf(workflow: Workflow, taskQueue: TaskQueue): WorkflowDefinition {
  const { input, output, timeouts, retry, retention, searchAttributes, defaultArgs, suspend } = workflow.spec;
  return {
    name: workflow.metadata.name,
    workflowName: workflowNameOf(workflow),
    taskQueue: queueNameOf(taskQueue),
    suspended: suspend,
    inputSchema: input?.schema,
    outputSchema: output?.schema,
    timeouts: timeouts && { ...ms("executionMs", timeouts.execution), ...ms("runMs", timeouts.run) },
    retry: retry && {
      maximumAttempts: retry.maximumAttempts,
      backoffCoefficient: retry.backoffCoefficient,
      initialIntervalMs: durationMs(retry.initialInterval),
      maximumIntervalMs: durationMs(retry.maximumInterval),
    },
    retention: retention && {
      ...ms("completedMs", retention.completed),
      ...ms("failedMs", retention.failed),
    },
    searchAttributes: Object.keys(searchAttributes).length > 0 ? searchAttributes : undefined,
    defaultArgs,
  };
}

function ms(name: string, duration: string | undefined): Readonly<Record<string, number>> {
  return duration === undefined ? {} : { [name]: durationMs(duration) };
}

function byName(left: { readonly name: string }, right: { readonly name: string }): number {
  return left.name < right.name ? -1 : left.name > right.name ? 1 : 0;
}
