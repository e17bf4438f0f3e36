/**
 * The cluster behind a gateway: what a command asks of Kubernetes itself. With the caller's own rights.
 */
import type { KubeClient, KubeObject, ResourceType } from "@memflow/operator/kube";
import { namespaced } from "@memflow/operator/kube";

/** @see openClusterGateway */
export interface Cluster {
  readonly kube: KubeClient;
  /** Where the gateway is installed. */
  readonly gatewayNamespace: string;
}

/** A Store in its Kubernetes namespace. */
export interface PlacedStore {
  readonly namespace: string;
  readonly store: string;
}

const API_VERSION = "memflow.io/v1alpha1";
const PAGE_SIZE = 500;

/** Our own kinds, for reading. */
export const STORES: ResourceType<KubeObject> = namespaced(API_VERSION, "Store", "stores");
export const TASK_QUEUES: ResourceType<KubeObject> = namespaced(API_VERSION, "TaskQueue", "taskqueues");
export const WORKFLOWS: ResourceType<KubeObject> = namespaced(API_VERSION, "Workflow", "workflows");
export const SCHEDULES: ResourceType<KubeObject> = namespaced(API_VERSION, "Schedule", "schedules");

/** All objects of a type, page by page. */
export async function listAll<T extends KubeObject>(
  { kube }: Cluster,
  type: ResourceType<T>,
  selection: { readonly namespace?: string | undefined; readonly labelSelector?: string } = {},
): Promise<readonly T[]> {
  const items: T[] = [];
  let continueToken: string | undefined;
  do {
    const page = await kube.list(type, {
      ...selection,
      limit: PAGE_SIZE,
      ...(continueToken === undefined ? {} : { continueToken }),
    });
    items.push(...page.items);
    continueToken = page.continueToken;
  } while (continueToken !== undefined);
  return items;
}

/** The Stores of all Kubernetes namespaces, for `-A`. */
export async function listStores(cluster: Cluster): Promise<readonly PlacedStore[]> {
  const stores = await listAll(cluster, STORES);
  return stores.map(({ metadata }) => ({
    namespace: metadata?.namespace ?? "",
    store: metadata?.name ?? "",
  }));
}
