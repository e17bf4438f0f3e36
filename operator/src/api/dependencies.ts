/**
 * What controllers are made with: each is `make<Name>Controller(dependencies: OperatorDependencies): Controller`.
 *
 * The process makes all of it once (`operator.ts`); tests give what their controller needs (`Pick<OperatorDependencies, …>`).
 */
import type {
  Clock,
  ControllerRevision,
  Deployment,
  EventRecorder,
  FollowedObjects,
  KubeClient,
  KubeObject,
  Log,
  Pod,
} from "../kube/index.ts";
import type { ScheduleObject, StoreObject, TaskQueueObject, WorkflowObject } from "./kinds.ts";
import type { StoreAccess } from "./store-access.ts";

/** What the operator follows: one list and one watch for each type, shared by all controllers. */
export interface Followed {
  readonly stores: FollowedObjects<StoreObject>;
  readonly taskQueues: FollowedObjects<TaskQueueObject>;
  readonly workflows: FollowedObjects<WorkflowObject>;
  readonly schedules: FollowedObjects<ScheduleObject>;
  /** Of workers alone: `WORKERS_SELECTOR`. */
  readonly deployments: FollowedObjects<Deployment>;
  /** Of workers alone. */
  readonly pods: FollowedObjects<Pod>;
  /** Of workers alone. */
  readonly controllerRevisions: FollowedObjects<ControllerRevision>;
  /**
   * All Secrets, without their data. Undefined where the role may not list them: then look at those that are referred to
   * each `resyncMs`.
   */
  readonly secrets: FollowedObjects<KubeObject> | undefined;
  /** All ConfigMaps, without their data; undefined as with Secrets. */
  readonly configMaps: FollowedObjects<KubeObject> | undefined;
}

/** Indexes of what is followed: `followed.taskQueues.store.find(INDEX.store, "<namespace>/<name of the Store>")`. */
export const INDEX = {
  /** TaskQueues: key of the Store. */
  store: "store",
  /** TaskQueues: key of the Store, a slash, and the name of the queue in it. */
  queueName: "queueName",
  /** Workflows, and Deployments, pods and ControllerRevisions of workers: key of the TaskQueue. */
  taskQueue: "taskQueue",
  /** Workflows: key of the TaskQueue, a slash, and the name of the function. */
  function: "function",
  /** Schedules: key of the Workflow. */
  workflow: "workflow",
} as const;

/** What a decision of scaling was made from and came to, for metrics. */
export interface ScalingFigures {
  readonly backlog: number;
  readonly oldestAgeSeconds: number;
  readonly inFlight: number;
  readonly desiredReplicas: number;
  readonly readyReplicas: number;
}

/** Keeps the newest figures of each queue for whoever scrapes. */
export interface ScalingGauges {
  /** @param taskQueueKey - `namespace/name` of the TaskQueue. */
  set(taskQueueKey: string, figures: ScalingFigures): void;
  /** The queue is gone, or this process does not lead any more. */
  remove(taskQueueKey: string): void;
}

/** What all controllers share. */
export interface OperatorDependencies {
  /** For reads outside a reconcile. A reconcile writes with its context's client, which refuses once another process may lead. */
  readonly client: KubeClient;
  readonly followed: Followed;
  readonly stores: StoreAccess;
  readonly events: Pick<EventRecorder, "record">;
  readonly scalingGauges: ScalingGauges;
  readonly log: Log;
  readonly clock: Clock;
  /** Looks again at what nothing announces, so often. */
  readonly resyncMs: number;
  /** For workers whose TaskQueue names no image of its own. */
  readonly workerImage: { readonly ref: string; readonly pullPolicy: "Always" | "IfNotPresent" | "Never" };
  /** Where the operator itself runs. */
  readonly operator: { readonly namespace: string; readonly podName: string };
  /**
   * Names a place where the process may die with the most to lose, as `stores.migrated`; for tests, which kill it there.
   * Writes to the API server need none: each is a place by itself, `<controller>.<verb>.<plural>`, before and after.
   */
  readonly crashPoint: (name: string) => void;
}
