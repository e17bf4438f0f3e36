/**
 * Reads manifests as a cluster would: every document of every file, checked field by field, references resolved.
 *
 * Promises to report all faults at once, each as `file:line: path: reason`, and to hand back nothing when there is one.
 * Documents of other groups (a Secret beside the Store) are left alone; an unknown kind of this group is a fault.
 */
import { faultsOf } from "./field-faults.ts";
import { API_GROUP, API_VERSION } from "./fields.ts";
import { scheduleSchema } from "./kinds/schedule.ts";
import type { Schedule } from "./kinds/schedule.ts";
import { storeSchema } from "./kinds/store.ts";
import type { Store } from "./kinds/store.ts";
import { queueNameOf, taskQueueSchema } from "./kinds/task-queue.ts";
import type { TaskQueue } from "./kinds/task-queue.ts";
import { workflowNameOf, workflowSchema } from "./kinds/workflow.ts";
import type { Workflow } from "./kinds/workflow.ts";
import { ManifestError } from "./manifest-error.ts";
import type { ManifestProblem } from "./manifest-error.ts";
import { readYamlDocuments } from "./yaml-documents.ts";
import type { FieldPath, ManifestFile, YamlDocument } from "./yaml-documents.ts";

/** A resource and where it was read. */
export interface Placed<Resource> {
  readonly resource: Resource;
  readonly file: string;
  readonly line: number;
}

/** A TaskQueue with the Store it lives in. */
export interface PlacedTaskQueue extends Placed<TaskQueue> {
  readonly store: Store;
}

/** A Workflow with the queue it runs on. */
export interface PlacedWorkflow extends Placed<Workflow> {
  readonly taskQueue: TaskQueue;
}

/** A Schedule with the Workflow of which it starts runs. */
export interface PlacedSchedule extends Placed<Schedule> {
  readonly workflow: Workflow;
}

/** Everything that a set of manifests declares, in the order of the files. */
export interface Manifests {
  readonly stores: readonly Placed<Store>[];
  readonly taskQueues: readonly PlacedTaskQueue[];
  readonly workflows: readonly PlacedWorkflow[];
  readonly schedules: readonly PlacedSchedule[];
}

type Resource = Store | TaskQueue | Workflow | Schedule;

/** A checked document that can still say where its fields stand. */
interface Candidate {
  readonly resource: Resource;
  readonly document: YamlDocument;
}

const SCHEMAS = {
  Store: storeSchema,
  TaskQueue: taskQueueSchema,
  Workflow: workflowSchema,
  Schedule: scheduleSchema,
} as const;

/**
 * Reads a set of manifests.
 *
 * @param files - Texts with the names to show in messages.
 * @returns Resources with their defaults filled in and their references resolved.
 * @throws {ManifestError} With every fault found.
 */
export function parseManifests(files: readonly ManifestFile[]): Manifests {
  const problems: ManifestProblem[] = [];
  const candidates: Candidate[] = [];
  for (const file of files) {
    const read = readYamlDocuments(file);
    problems.push(...read.problems);
    for (const document of read.documents) {
      const checked = checkDocument(document);
      problems.push(...checked.problems);
      if (checked.resource !== undefined) candidates.push({ resource: checked.resource, document });
    }
  }
  problems.push(...findDuplicates(candidates));
  const manifests = resolveReferences(candidates, problems);
  if (problems.length > 0) throw new ManifestError(problems);
  return manifests;
}

function checkDocument(document: YamlDocument): {
  readonly resource?: Resource;
  readonly problems: readonly ManifestProblem[];
} {
  const value = document.value as
    | { readonly apiVersion?: unknown; readonly kind?: unknown }
    | string
    | number;
  if (typeof value !== "object" || Array.isArray(value)) {
    return { problems: [problem(document, [], "must be a map with apiVersion, kind, metadata and spec")] };
  }
  const { apiVersion, kind } = value;
  if (typeof apiVersion !== "string") {
    return {
      problems: [problem(document, ["apiVersion"], `apiVersion: must be a string like "${API_VERSION}"`)],
    };
  }
  if (!apiVersion.startsWith(`${API_GROUP}/`)) return { problems: [] };
  if (apiVersion !== API_VERSION) {
    const message = `apiVersion: got ${JSON.stringify(apiVersion)}, must be "${API_VERSION}"`;
    return { problems: [problem(document, ["apiVersion"], message)] };
  }
  const schema = typeof kind === "string" ? SCHEMAS[kind as keyof typeof SCHEMAS] : undefined;
  if (schema === undefined) {
    const message = `kind: got ${JSON.stringify(kind)}, must be one of ${Object.keys(SCHEMAS).join(", ")}`;
    return { problems: [problem(document, ["kind"], message)] };
  }
  const outcome = schema.safeParse(value);
  if (outcome.success) return { resource: outcome.data, problems: [] };
  const faults = faultsOf(outcome.error.issues, value);
  return { problems: faults.map((fault) => problem(document, fault.path, fault.message)) };
}

function findDuplicates(candidates: readonly Candidate[]): ManifestProblem[] {
  const seen = new Map<string, Candidate>();
  const problems: ManifestProblem[] = [];
  for (const candidate of candidates) {
    const { kind, metadata } = candidate.resource;
    const key = `${kind} ${metadata.namespace}/${metadata.name}`;
    const first = seen.get(key);
    if (first === undefined) seen.set(key, candidate);
    else {
      const place = `${first.document.file}:${first.document.lineOf(["metadata", "name"])}`;
      const message = `metadata.name: ${kind} "${metadata.name}" stands already at ${place}`;
      problems.push(problem(candidate.document, ["metadata", "name"], message));
    }
  }
  return problems;
}

/** Faults are added to `problems`; what can't be resolved is left out of the result. */
function resolveReferences(candidates: readonly Candidate[], problems: ManifestProblem[]): Manifests {
  const stores: Placed<Store>[] = [];
  const taskQueues: PlacedTaskQueue[] = [];
  const workflows: PlacedWorkflow[] = [];
  const schedules: PlacedSchedule[] = [];
  const all = candidates.map((candidate) => candidate.resource);
  for (const { resource, document } of candidates) {
    const place = { file: document.file, line: document.lineOf([]) };
    const find = <Kind extends Resource["kind"]>(kind: Kind, field: string, name: string) => {
      const target = findTarget(all, resource, kind, name);
      if (target !== undefined) return target;
      const message = `spec.${field}.name: ${kind} "${name}" not found in the given files`;
      problems.push(problem(document, ["spec", field, "name"], message));
      return undefined;
    };
    switch (resource.kind) {
      case "Store":
        stores.push({ resource, ...place });
        break;
      case "TaskQueue": {
        const store = find("Store", "storeRef", resource.spec.storeRef.name);
        if (store !== undefined) taskQueues.push({ resource, store, ...place });
        break;
      }
      case "Workflow": {
        const taskQueue = find("TaskQueue", "taskQueueRef", resource.spec.taskQueueRef.name);
        if (taskQueue !== undefined) workflows.push({ resource, taskQueue, ...place });
        break;
      }
      case "Schedule": {
        const workflow = find("Workflow", "workflowRef", resource.spec.workflowRef.name);
        if (workflow !== undefined) schedules.push({ resource, workflow, ...place });
        break;
      }
    }
  }
  problems.push(...findSharedNames(taskQueues, workflows, candidates));
  return { stores, taskQueues, workflows, schedules };
}

/** References stay in the Kubernetes namespace of the one that refers. */
function findTarget<Kind extends Resource["kind"]>(
  all: readonly Resource[],
  from: Resource,
  kind: Kind,
  name: string,
): Extract<Resource, { readonly kind: Kind }> | undefined {
  return all.find(
    (other): other is Extract<Resource, { readonly kind: Kind }> =>
      other.kind === kind &&
      other.metadata.name === name &&
      other.metadata.namespace === from.metadata.namespace,
  );
}

/** Two resources may not stand for one queue of a Store, nor for one workflow of a queue. */
function findSharedNames(
  taskQueues: readonly PlacedTaskQueue[],
  workflows: readonly PlacedWorkflow[],
  candidates: readonly Candidate[],
): ManifestProblem[] {
  const names = [
    ...taskQueues.map(({ resource, store }) => ({
      resource,
      path: ["spec", "queueName"],
      name: `queue "${queueNameOf(resource)}" of Store "${store.metadata.name}"`,
      key: JSON.stringify([store.metadata.namespace, store.metadata.name, queueNameOf(resource)]),
    })),
    ...workflows.map(({ resource, taskQueue }) => ({
      resource,
      path: ["spec", "workflowName"],
      name: `workflow "${workflowNameOf(resource)}" of TaskQueue "${taskQueue.metadata.name}"`,
      key: JSON.stringify([
        taskQueue.metadata.namespace,
        taskQueue.metadata.name,
        workflowNameOf(resource),
        "w",
      ]),
    })),
  ];
  return names.flatMap(({ resource, path, name, key }, index) => {
    const first = names.slice(0, index).find((other) => other.key === key);
    const candidate = candidates.find((one) => one.resource === resource);
    if (first === undefined || candidate === undefined) return [];
    const message = `${path.join(".")}: ${name} is declared by "${first.resource.metadata.name}" already`;
    return [problem(candidate.document, path, message)];
  });
}

function problem(document: YamlDocument, path: FieldPath, message: string): ManifestProblem {
  return { file: document.file, line: document.lineOf(path), message };
}
