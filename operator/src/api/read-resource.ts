/**
 * Reads an object of one of our kinds: its spec with defaults, checked once more.
 *
 * The API server has checked it already. What still fails here was written while another version of the definitions was
 * installed: it is told as a fault with the field's name, and never acted on in part.
 *
 * An object is read once, whoever asks and however often: what a reflector's store gives out is never changed, and checking a
 * TaskQueue takes a millisecond, which a thousand of them have for each other's every change.
 */
import { scheduleSchema, storeSchema, taskQueueSchema, workflowSchema } from "@memflow/crds";
import type { Schedule, Store, TaskQueue, Workflow } from "@memflow/crds";
import type { z } from "zod";
import type { CustomObject } from "./kinds.ts";

/** The object, or what is wrong with it. */
export type ReadResource<Resource> =
  | { readonly kind: "Read"; readonly resource: Resource }
  /** For a condition's message: each fault names its field. */
  | { readonly kind: "Faulty"; readonly message: string };

/** What was read of objects that are still in use: the memory of a function of nothing but its argument. */
type Known<Resource> = WeakMap<CustomObject, ReadResource<Resource>>;

const STORES_READ: Known<Store> = new WeakMap();
const TASK_QUEUES_READ: Known<TaskQueue> = new WeakMap();
const WORKFLOWS_READ: Known<Workflow> = new WeakMap();
const SCHEDULES_READ: Known<Schedule> = new WeakMap();

export function readStore(object: CustomObject): ReadResource<Store> {
  return readOnce(storeSchema, object, STORES_READ);
}

export function readTaskQueue(object: CustomObject): ReadResource<TaskQueue> {
  return readOnce(taskQueueSchema, object, TASK_QUEUES_READ);
}

export function readWorkflow(object: CustomObject): ReadResource<Workflow> {
  return readOnce(workflowSchema, object, WORKFLOWS_READ);
}

export function readSchedule(object: CustomObject): ReadResource<Schedule> {
  return readOnce(scheduleSchema, object, SCHEDULES_READ);
}

const METADATA_FIELDS = [
  "name",
  "namespace",
  "labels",
  "annotations",
  "uid",
  "resourceVersion",
  "generation",
  "creationTimestamp",
  "deletionTimestamp",
  "finalizers",
  "ownerReferences",
] as const;

function readOnce<Resource>(
  schema: z.ZodType<Resource>,
  object: CustomObject,
  known: Known<Resource>,
): ReadResource<Resource> {
  const before = known.get(object);
  if (before !== undefined) return before;
  const now = read(schema, object);
  known.set(object, now);
  return now;
}

function read<Resource>(schema: z.ZodType<Resource>, object: CustomObject): ReadResource<Resource> {
  // A server newer than us may send metadata of which we know nothing.
  const metadata = Object.fromEntries(
    METADATA_FIELDS.flatMap((field) => {
      const value = object.metadata?.[field];
      return value === undefined ? [] : [[field, value]];
    }),
  );
  const { apiVersion, kind, spec, status } = object;
  const parsed = schema.safeParse({ apiVersion, kind, metadata, spec, status });
  if (parsed.success) return { kind: "Read", resource: parsed.data };
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`);
  return {
    kind: "Faulty",
    message: `${faults.join("; ")}. The object was stored under other definitions: apply it anew, or install the definitions of this operator's version`,
  };
}
