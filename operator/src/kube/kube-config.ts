/** Finds out which cluster is meant, and with which credentials. */
import { existsSync } from "node:fs";
import { KubeConfig } from "@kubernetes/client-node";

/** The kubeconfig can't be used. */
export class KubeConfigError extends Error {
  readonly code = "BAD_KUBECONFIG";

  constructor(reason: string, cause?: unknown) {
    super(reason, cause === undefined ? undefined : { cause });
    this.name = "KubeConfigError";
  }
}

const SERVICE_ACCOUNT_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/**
 * Reads the kubeconfig.
 *
 * @param path - Of a file; undefined: the pod's service account. Never a file in somebody's home, which may be of any
 *   cluster.
 * @throws {KubeConfigError} Naming the remedy.
 */
export function readKubeConfig(path: string | undefined): KubeConfig {
  const kubeConfig = new KubeConfig();
  if (path === undefined && !existsSync(SERVICE_ACCOUNT_TOKEN)) {
    throw new KubeConfigError("this is no pod with a service account: set KUBECONFIG to the path of a file");
  }
  try {
    if (path === undefined) kubeConfig.loadFromCluster();
    else kubeConfig.loadFromFile(path);
  } catch (cause) {
    throw new KubeConfigError(
      `kubeconfig "${path ?? "of the pod"}" can't be read: ${(cause as Error).message}`,
      cause,
    );
  }
  if (kubeConfig.getCurrentCluster() === null) {
    throw new KubeConfigError(
      `kubeconfig "${path ?? "of the pod"}" has a current-context that names no cluster: set it`,
    );
  }
  return kubeConfig;
}
