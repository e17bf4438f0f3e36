/** A cluster with fake nodes for what is no test, where one can be had without building anything. */
import { localProvider } from "../cluster/local/local-provider.ts";
import type { Cluster } from "../cluster/provider.ts";

/** It, or why there is none. */
export type IdleCluster =
  | { readonly cluster: Cluster; readonly missing?: undefined }
  | { readonly cluster?: undefined; readonly missing: string };

/** Starts it. */
export async function openIdleCluster(): Promise<IdleCluster> {
  const [reason] = await localProvider.missing();
  if (reason !== undefined) return { missing: reason };
  if (!(await localProvider.isPrepared())) {
    return { missing: "its programs are not built: npm run e2e -- --prepare --provider local" };
  }
  return { cluster: await localProvider.start({ form: "fake-nodes" }) };
}
