/** The labels and annotations that tie what the operator makes to whom it is made for, and the names of field managers. */

/** On everything that the operator makes. */
export const OPERATOR_LABELS = {
  "app.kubernetes.io/managed-by": "memflow-operator",
  "app.kubernetes.io/part-of": "memflow",
} as const;

/** The TaskQueue that a worker, its Deployment or its budget belongs to. */
export const TASK_QUEUE_LABEL = "memflow.io/task-queue";
/** The build that a worker runs. */
export const BUILD_LABEL = "memflow.io/build";
/** On a pod template: changes with the credentials of the Store, so that new ones roll the pods. */
export const CREDENTIALS_ANNOTATION = "memflow.io/credentials";

/** Who owns the fields of a server-side apply: one name for each concern, so that none undoes another's. */
export const FIELD_MANAGERS = {
  stores: "memflow-stores",
  queues: "memflow-queues",
  replicas: "memflow-replicas",
  workflows: "memflow-workflows",
  schedules: "memflow-schedules",
} as const;

/** The labels of one queue's workers, and of what goes with them. */
export function workerLabels(taskQueueName: string, buildId?: string): Readonly<Record<string, string>> {
  return {
    ...OPERATOR_LABELS,
    "app.kubernetes.io/component": "worker",
    [TASK_QUEUE_LABEL]: taskQueueName,
    ...(buildId === undefined ? {} : { [BUILD_LABEL]: buildId }),
  };
}

/** Selects all that the operator made for workers: for reflectors of Deployments and pods. */
export const WORKERS_SELECTOR: string =
  "app.kubernetes.io/managed-by=memflow-operator,app.kubernetes.io/component=worker";
