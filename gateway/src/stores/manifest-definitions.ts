/** What manifests say of workflows and queues, as the API shows it and starts honour it. Pure. */
import { byAge, queueNameOf, workflowNameOf, workflowSettings } from "@memflow/crds";
import type { TaskQueue, Workflow } from "@memflow/crds";
import type { QueueDefinition, WorkflowDefinition } from "./index.ts";

/** The definitions of one Store. */
export interface StoreDefinitions {
  readonly workflows: readonly WorkflowDefinition[];
  readonly queues: readonly QueueDefinition[];
}

/** A Workflow, and the TaskQueue that it names. */
export interface PlacedDefinition {
  readonly workflow: Workflow;
  readonly taskQueue: TaskQueue;
}

/** Makes them, each list by name. Of two Workflows of one queue and type the older counts, as for the operator. */
export function storeDefinitions(
  placed: readonly PlacedDefinition[],
  queues: readonly QueueDefinition[],
): StoreDefinitions {
  const taken = new Set<string>();
  const elders = placed
    .toSorted((left, right) => byAge(left.workflow, right.workflow))
    .filter(({ workflow, taskQueue }) => {
      const key = JSON.stringify([queueNameOf(taskQueue), workflowNameOf(workflow)]);
      if (taken.has(key)) return false;
      taken.add(key);
      return true;
    });
  return { workflows: elders.map(workflowDefinition).toSorted(byName), queues: queues.toSorted(byName) };
}

/** The definition of a type on a queue; without the queue, or on a queue that defines none, the only one of the type. */
export function findDefinition(
  workflows: readonly WorkflowDefinition[],
  type: string,
  taskQueue?: string,
): WorkflowDefinition | undefined {
  const ofType = workflows.filter(({ workflowName }) => workflowName === type);
  const onQueue = ofType.find((definition) => definition.taskQueue === taskQueue);
  return onQueue ?? (ofType.length === 1 ? ofType[0] : undefined);
}

/** What a TaskQueue says. */
export function queueDefinition(taskQueue: TaskQueue, scaling: unknown): QueueDefinition {
  return {
    name: taskQueue.metadata.name,
    taskQueue: queueNameOf(taskQueue),
    ...(isRecord(scaling) ? { scaling } : {}),
  };
}

function workflowDefinition({ workflow, taskQueue }: PlacedDefinition): WorkflowDefinition {
  const { input, output, suspend } = workflow.spec;
  return {
    name: workflow.metadata.name,
    workflowName: workflowNameOf(workflow),
    taskQueue: queueNameOf(taskQueue),
    suspended: suspend,
    inputSchema: input?.schema,
    outputSchema: output?.schema,
    ...workflowSettings(workflow.spec),
  };
}

function byName(left: { readonly name: string }, right: { readonly name: string }): number {
  return left.name < right.name ? -1 : left.name > right.name ? 1 : 0;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
