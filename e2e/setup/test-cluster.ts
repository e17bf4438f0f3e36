/**
 * The cluster that scenario files share, one for a vitest run and provider.
 *
 * It starts when the first file asks for it, so that a run of files with clusters of their own does without, and ends with the run.
 * Files run in other processes: they ask through a port of this machine and are told what the cluster is, or why there is none.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestProject } from "vitest/node";
import { readyProvider, providerNamed } from "../cluster/providers.ts";
import type { Cluster, ClusterDescription, ClusterProvider } from "../cluster/provider.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** What scenario files are told of their provider. */
    readonly clusterProvider: ProviderOffer;
  }
}

/** A provider that is at hand, with the address that gives the shared cluster; or why there is none. */
export type ProviderOffer =
  | { readonly provider: string; readonly sharedClusterUrl: string }
  | { readonly provider: string; readonly skip: string };

/** Vitest's global setup: the returned function is its teardown. The project is named after its provider. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const provider = providerNamed(project.name);
  const skip = await readyProvider(provider);
  if (skip !== undefined) {
    project.provide("clusterProvider", { provider: provider.name, skip });
    return async () => {};
  }
  const shared = new SharedCluster(provider);
  const url = await shared.listen();
  project.provide("clusterProvider", { provider: provider.name, sharedClusterUrl: url });
  return () => shared.close();
}

/** Starts a cluster when it is first asked for. */
class SharedCluster {
  readonly #provider: ClusterProvider;
  #cluster: Promise<Cluster> | undefined;
  readonly #server = createServer((_, response) => {
    this.#describe().then(
      (description) => response.end(JSON.stringify(description)),
      (error: unknown) => response.writeHead(500).end(error instanceof Error ? error.message : String(error)),
    );
  });

  constructor(provider: ClusterProvider) {
    this.#provider = provider;
  }

  async listen(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    // A start that failed was told to those who asked for it, and has left nothing.
    const cluster = await this.#cluster?.catch(() => undefined);
    await cluster?.stop();
  }

  async #describe(): Promise<ClusterDescription> {
    this.#cluster ??= this.#provider.start();
    const { provider, form, kubeconfig, kubectlProgram, nodes, loader, podsReachable } = await this.#cluster;
    return { provider, form, kubeconfig, kubectlProgram, nodes, loader, podsReachable };
  }
}
