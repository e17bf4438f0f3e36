/** The Stores that `-A` means: those of the cluster; without Kubernetes, the one that there is. */
import type { CommandSession } from "../cli/command-session.ts";

/** A Store by its Kubernetes namespace; without a name, the only one there. */
export interface StorePlace {
  readonly namespace: string;
  readonly store: string | undefined;
}

/** @throws {KubeError} When Stores may not be listed. */
export async function everyStore(session: CommandSession): Promise<readonly StorePlace[]> {
  const { cluster, namespace, store } = await session.connect();
  if (cluster === undefined) return [{ namespace, store }];
  const { listStores } = await import("../connect/cluster.ts");
  return listStores(cluster);
}
