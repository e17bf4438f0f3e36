/**
 * The last thing of a process whose own Kubernetes namespace is being deleted: it takes our finalizers off all objects.
 *
 * That end is an uninstall without the chart's job. A namespace loses its pods first, and nobody is there later to take the
 * finalizers off: objects, and the namespace itself, would wait for ever. What a finalizer stood for does not happen then, as
 * after `helm uninstall`. Does nothing at any other end, and fails at none: a process that ends has nobody to tell but the log.
 */
import { STORES, TASK_QUEUES } from "./api/index.ts";
import { errorFields, ForbiddenError, NAMESPACES, nameOf, NotFoundError } from "./kube/index.ts";
import type { KubeClient, KubeObject, Log, ResourceType } from "./kube/index.ts";

/** Where the process is, and what it looked after. */
export interface ReleaseOptions {
  readonly client: KubeClient;
  /** The operator's own. */
  readonly namespace: string;
  /** Those that it looked after; undefined for all. */
  readonly watchNamespaces: readonly string[] | undefined;
  readonly log: Log;
}

const PREFIX = "memflow.io/";
const FIELD_MANAGER = "memflow-release";
/** The pod's grace period has an end too. */
const RELEASE_LIMIT_MS = 10_000;
/** The kinds of which objects are ever held. */
const HELD_TYPES: readonly ResourceType<KubeObject>[] = [TASK_QUEUES, STORES];

/** Releases what is held if the operator's namespace goes. */
export async function releaseObjectsAtUninstall(options: ReleaseOptions): Promise<void> {
  const { client, namespace, watchNamespaces, log } = options;
  const signal = AbortSignal.timeout(RELEASE_LIMIT_MS);
  try {
    const own = await client.find(NAMESPACES, { name: namespace }, { signal });
    if (own?.metadata?.deletionTimestamp === undefined) return;
    for (const scope of watchNamespaces ?? [undefined]) {
      for (const type of HELD_TYPES) {
        const { items } = await client.list(type, { namespace: scope, signal });
        for (const object of items) await release({ client, type, object, signal });
      }
    }
    log("info", "the operator's namespace is being deleted: nothing waits for it any more", { namespace });
  } catch (error) {
    // A role that may not look at its namespace is of an installation that does without.
    const level = error instanceof ForbiddenError ? "debug" : "warn";
    log(level, "nobody knows whether the operator's namespace is being deleted", errorFields(error));
  }
}

async function release({
  client,
  type,
  object,
  signal,
}: {
  readonly client: KubeClient;
  readonly type: ResourceType<KubeObject>;
  readonly object: KubeObject;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { finalizers = [] } = object.metadata ?? {};
  const others = finalizers.filter((name) => !name.startsWith(PREFIX));
  if (others.length === finalizers.length) return;
  const body = { metadata: { finalizers: others } };
  try {
    await client.patch(
      type,
      nameOf(object),
      { kind: "merge", body },
      { fieldManager: FIELD_MANAGER, signal },
    );
  } catch (error) {
    if (!(error instanceof NotFoundError)) throw error;
  }
}
