/**
 * What a Schedule points at: its Workflow, the queue of that, the Store of that.
 *
 * Pure but for what is followed, which it is given. Promises to say why no run can be started, in the words of a condition.
 */
import { durationMs, queueNameOf, workflowNameOf } from "@memflow/crds";
import type { Schedule, Workflow } from "@memflow/crds";
import type { ScheduledRun } from "@memflow/engine/provision";
import { encodeArguments, normalizeRetryPolicy } from "@memflow/engine/provision";
import { readStore, readTaskQueue, readWorkflow } from "../api/index.ts";
import type { Followed } from "../api/index.ts";
import { keyOf } from "../kube/index.ts";

/** What is looked up. */
export type FollowedTargets = Pick<Followed, "workflows" | "taskQueues" | "stores">;

/** Where its runs go. */
export interface ScheduleTarget {
  readonly kind: "Found";
  /** `namespace/name` of the Store. */
  readonly storeKey: string;
  readonly run: Omit<ScheduledRun, "workflowIdPrefix">;
}

/** Why there is none. */
export interface MissingTarget {
  readonly kind: "Missing";
  readonly reason: "WorkflowNotFound" | "WorkflowNotReady" | "StoreNotReady";
  readonly message: string;
}

/** Finds it. */
export function findTarget(
  { metadata, spec }: Schedule,
  { workflows, taskQueues, stores }: FollowedTargets,
): ScheduleTarget | MissingTarget {
  const { namespace } = metadata;
  const { name } = spec.workflowRef;
  const object = workflows.store.get(keyOf({ namespace, name }));
  if (object === undefined)
    return missing(
      "WorkflowNotFound",
      `there is no Workflow "${name}" in this Kubernetes namespace: apply it`,
    );
  const workflow = readWorkflow(object);
  if (workflow.kind === "Faulty")
    return missing("WorkflowNotReady", `Workflow "${name}" can't be read: ${workflow.message}`);
  const { resource } = workflow;
  if (resource.spec.suspend)
    return missing("WorkflowNotReady", `Workflow "${name}" is suspended: no time fires until it is resumed`);
  const queueName = resource.spec.taskQueueRef.name;
  const queueObject = taskQueues.store.get(keyOf({ namespace, name: queueName }));
  const queue = queueObject && readTaskQueue(queueObject);
  if (queue?.kind !== "Read")
    return missing(
      "WorkflowNotReady",
      `TaskQueue "${queueName}" of Workflow "${name}" is not there or not valid`,
    );
  const storeKey = keyOf({ namespace, name: queue.resource.spec.storeRef.name });
  const storeObject = stores.store.get(storeKey);
  const store = storeObject && readStore(storeObject);
  if (store?.kind !== "Read")
    return missing("StoreNotReady", `Store "${queue.resource.spec.storeRef.name}" is not there or not valid`);
  const args = spec.args ?? resource.spec.defaultArgs ?? [];
  return {
    kind: "Found",
    storeKey,
    run: {
      workflowName: workflowNameOf(resource),
      taskQueue: queueNameOf(queue.resource),
      input: encodeArguments(args, { field: "spec.args" }),
      options: optionsOf(resource),
      // The database knows both retentions, and what the run will have come to.
      retentionSeconds: null,
    },
  };
}

function missing(reason: MissingTarget["reason"], message: string): MissingTarget {
  return { kind: "Missing", reason, message };
}

/** As a start by the SDK records them; null for none. */
function optionsOf({ spec: { retry } }: Workflow): string | null {
  if (retry === undefined) return null;
  const { maximumAttempts, backoffCoefficient, initialInterval, maximumInterval } = retry;
  const policy = normalizeRetryPolicy(
    {
      maximumAttempts,
      backoffCoefficient,
      initialInterval: durationMs(initialInterval),
      maximumInterval: durationMs(maximumInterval),
    },
    "spec.retry",
  );
  return JSON.stringify({ retry: policy });
}
