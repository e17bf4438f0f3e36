/**
 * Types of resources: our own kinds as the server sends them.
 *
 * They come unchecked: `readResource` gives them their types and defaults.
 */
import { API_VERSION, SCHEDULE, STORE, TASK_QUEUE, WORKFLOW } from "@memflow/crds";
import type {
  KindDefinition,
  ScheduleStatus,
  StoreStatus,
  TaskQueueStatus,
  WorkflowStatus,
} from "@memflow/crds";
import { namespaced } from "../kube/index.ts";
import type { KubeObject, ResourceType } from "../kube/index.ts";

/** An object of one of our kinds as the server sends it. */
export type CustomObject<Status = unknown> = KubeObject & {
  readonly spec?: unknown;
  readonly status?: Status;
};

export type StoreObject = CustomObject<StoreStatus>;
export type TaskQueueObject = CustomObject<TaskQueueStatus>;
export type WorkflowObject = CustomObject<WorkflowStatus>;
export type ScheduleObject = CustomObject<ScheduleStatus>;

export const STORES: ResourceType<StoreObject> = ours(STORE);
export const TASK_QUEUES: ResourceType<TaskQueueObject> = ours(TASK_QUEUE);
export const WORKFLOWS: ResourceType<WorkflowObject> = ours(WORKFLOW);
export const SCHEDULES: ResourceType<ScheduleObject> = ours(SCHEDULE);

function ours<Status>({ kind, plural }: KindDefinition): ResourceType<CustomObject<Status>> {
  return namespaced(API_VERSION, kind, plural);
}
