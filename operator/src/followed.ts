/**
 * Makes what the operator follows: one reflector for each type, or for each type and namespace, with the indexes that
 * controllers ask.
 *
 * Optional types that the role may not read are left out, with a warning that says what is then slower. Required ones are
 * followed all the same: the process is not ready until it may, and needs no restart then.
 */
import {
  INDEX,
  SCHEDULES,
  STORES,
  TASK_QUEUE_LABEL,
  TASK_QUEUES,
  WORKERS_SELECTOR,
  WORKFLOWS,
} from "./api/index.ts";
import type { CustomObject, Followed } from "./api/index.ts";
import {
  CONFIG_MAPS,
  CONTROLLER_REVISIONS,
  DEPLOYMENTS,
  followNamespaces,
  keyOf,
  mayAccess,
  metadataOf,
  PODS,
  Reflector,
  SECRETS,
} from "./kube/index.ts";
import type {
  FollowedObjects,
  IndexFunction,
  KubeClient,
  KubeObject,
  Log,
  ReflectorOptions,
  ResourceType,
} from "./kube/index.ts";

/** What is followed, and with what. */
export interface FollowOptions {
  readonly client: KubeClient;
  /** Undefined: all. */
  readonly namespaces: readonly string[] | undefined;
  readonly log: Log;
  /** Ends the questions about access. */
  readonly signal?: AbortSignal;
  /** For tests that want failures to come again soon. */
  readonly reflector?: Pick<ReflectorOptions<KubeObject>, "backoff">;
}

/**
 * Makes the reflectors; none is started.
 *
 * @throws {KubeError} When the server did not say what our role may.
 */
export async function makeFollowed(options: FollowOptions): Promise<Followed> {
  const secrets = metadataOf(SECRETS);
  const configMaps = metadataOf(CONFIG_MAPS);
  const followed: Followed = {
    stores: follow(options, STORES),
    taskQueues: follow(options, TASK_QUEUES, {
      indexes: {
        [INDEX.store]: (object) => referenceOf(object, "storeRef"),
        [INDEX.queueName]: (object) =>
          referenceOf(object, "storeRef").map((storeKey) => `${storeKey}/${queueNameOf(object)}`),
      },
    }),
    workflows: follow(options, WORKFLOWS, {
      indexes: {
        [INDEX.taskQueue]: (object) => referenceOf(object, "taskQueueRef"),
        [INDEX.function]: (object) =>
          referenceOf(object, "taskQueueRef").map((queueKey) => `${queueKey}/${functionOf(object)}`),
      },
    }),
    schedules: follow(options, SCHEDULES, {
      indexes: { [INDEX.workflow]: (object) => referenceOf(object, "workflowRef") },
    }),
    deployments: follow(options, DEPLOYMENTS, OF_WORKERS),
    pods: follow(options, PODS, OF_WORKERS),
    controllerRevisions: follow(options, CONTROLLER_REVISIONS, OF_WORKERS),
    secrets: (await mayFollow(options, secrets)) ? follow(options, secrets) : undefined,
    configMaps: (await mayFollow(options, configMaps)) ? follow(options, configMaps) : undefined,
  };
  for (const { type } of listFollowed(followed)) {
    if (await mayFollow(options, type)) continue;
    options.log("error", "the role may not follow what the operator needs: add get, list and watch to it", {
      resource: type.plural,
    });
  }
  if (!followed.secrets || !followed.configMaps) {
    options.log("warn", "the role may not list these: their changes are seen only at the next look", {
      resources: [...(followed.secrets ? [] : ["secrets"]), ...(followed.configMaps ? [] : ["configmaps"])],
    });
  }
  return followed;
}

/** All that is followed. */
export function listFollowed(followed: Followed): readonly FollowedObjects<KubeObject>[] {
  return (Object.values(followed) as readonly (FollowedObjects<KubeObject> | undefined)[]).filter(
    (one) => one !== undefined,
  );
}

interface Narrowing<T extends KubeObject> {
  readonly labelSelector?: string;
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>>;
}

const OF_WORKERS = {
  labelSelector: WORKERS_SELECTOR,
  indexes: { [INDEX.taskQueue]: taskQueueOf },
} as const;

function follow<T extends KubeObject>(
  { client, namespaces, log, reflector }: FollowOptions,
  type: ResourceType<T>,
  { labelSelector, indexes = {} }: Narrowing<T> = {},
): FollowedObjects<T> {
  const reflectorOf = (namespace: string | undefined): Reflector<T> =>
    new Reflector({ ...reflector, client, type, log, indexes, selection: { namespace, labelSelector } });
  if (namespaces === undefined) return reflectorOf(undefined);
  return followNamespaces(new Map(namespaces.map((namespace) => [namespace, reflectorOf(namespace)])));
}

async function mayFollow(
  { client, namespaces, signal }: FollowOptions,
  type: ResourceType<KubeObject>,
): Promise<boolean> {
  for (const namespace of namespaces ?? [undefined]) {
    for (const verb of ["list", "watch"] as const) {
      if (!(await mayAccess(client, { verb, type, namespace }, signal))) return false;
    }
  }
  return true;
}

/** The key of what a field of the spec refers to, in the same namespace. The spec comes unchecked. */
function referenceOf({ metadata, spec }: CustomObject, field: string): string[] {
  const { namespace } = metadata ?? {};
  const reference = (spec as Readonly<Record<string, { readonly name?: unknown }>> | undefined)?.[field];
  const name = reference?.name;
  return typeof name === "string" ? [keyOf({ name, namespace })] : [];
}

/** The name under which a Workflow is started; its own when the spec says none. */
function functionOf({ metadata, spec }: CustomObject): string {
  const name = (spec as { readonly workflowName?: unknown } | undefined)?.workflowName;
  return typeof name === "string" ? name : (metadata?.name ?? "");
}

/** The name of a queue in its Store; the TaskQueue's own when the spec says none. */
function queueNameOf({ metadata, spec }: CustomObject): string {
  const name = (spec as { readonly queueName?: unknown } | undefined)?.queueName;
  return typeof name === "string" ? name : (metadata?.name ?? "");
}

function taskQueueOf({ metadata }: KubeObject): string[] {
  const name = metadata?.labels?.[TASK_QUEUE_LABEL];
  return name === undefined ? [] : [keyOf({ name, namespace: metadata?.namespace })];
}
