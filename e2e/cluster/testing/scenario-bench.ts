/**
 * What a scenario works with: a namespace of its own on a cluster, and the tools to change it and to see what becomes of it.
 */
import { randomBytes } from "node:crypto";
import { KubeConfig } from "@kubernetes/client-node";
import { KubeClient } from "@memflow/operator/kube";
import type { AttachedCluster } from "../clusters.ts";
import { runCommand } from "../command.ts";
import { programPath } from "../programs.ts";
import { diagnose } from "./diagnose.ts";
import { watchUntil } from "./watch-until.ts";
import type { Awaited } from "./watch-until.ts";
import type { KubeObject } from "@memflow/operator/kube";

/** A scenario failed; the message holds what the cluster said. */
export class ScenarioError extends Error {
  readonly code = "SCENARIO_FAILED";

  constructor(cause: unknown, diagnosis: string) {
    super(`${cause instanceof Error ? cause.message : String(cause)}\n\n${diagnosis}`, { cause });
    this.name = "ScenarioError";
    if (cause instanceof Error && cause.stack !== undefined) this.stack = `${this.message}\n${cause.stack}`;
  }
}

/** The tools of one test. */
export class ScenarioBench {
  readonly cluster: AttachedCluster;
  /** A fresh one, which is deleted after the test. */
  readonly namespace: string;
  readonly client: KubeClient;
  /** Aborted when the test's time is up. */
  readonly signal: AbortSignal;
  readonly #cleanups: (() => Promise<void>)[] = [];

  private constructor(cluster: AttachedCluster, signal: AbortSignal) {
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromFile(cluster.kubeconfig);
    this.cluster = cluster;
    this.signal = signal;
    this.client = new KubeClient({ kubeConfig });
    this.namespace = `t-${randomBytes(5).toString("hex")}`;
  }

  /** Runs the body of a scenario, then undoes all that it did through the bench. */
  static async run(
    cluster: AttachedCluster,
    body: (bench: ScenarioBench) => Promise<void>,
    limitMs: number,
  ): Promise<void> {
    const bench = new ScenarioBench(cluster, AbortSignal.timeout(limitMs));
    try {
      await cluster.kubectl(["create", "namespace", bench.namespace]);
      await Promise.race([body(bench), rejection(bench.signal)]);
    } catch (error) {
      throw new ScenarioError(error, await diagnose(cluster, bench.namespace));
    } finally {
      await bench.#cleanUp();
    }
  }

  /** Long forms are asked for: `npm run e2e -- --long`. */
  get isLong(): boolean {
    return process.env["MEMFLOW_E2E_LONG"] === "1";
  }

  /** Runs kubectl in the namespace and gives its output. */
  kubectl(args: readonly string[], input?: string): Promise<string> {
    return this.cluster.kubectl(["--namespace", this.namespace, ...args], input);
  }

  /** Applies objects, or YAML, in the namespace unless they name another. */
  async apply(objects: string | object | readonly object[]): Promise<void> {
    const input =
      typeof objects === "string"
        ? objects
        : JSON.stringify({ apiVersion: "v1", kind: "List", items: [objects].flat() });
    await this.kubectl(["apply", "-f", "-"], input);
  }

  /** Follows an object by a watch until it is as wanted; until then it need not be there. Ends with the test's time. */
  waitFor<T extends KubeObject>(
    awaited: Omit<Awaited<T>, "namespace"> & { readonly namespace?: string },
  ): Promise<T> {
    return watchUntil(this.client, { namespace: this.namespace, ...awaited }, this.signal);
  }

  /** Runs helm against the cluster; names of releases are of the namespace unless the arguments say otherwise. */
  async helm(args: readonly string[]): Promise<string> {
    const home = `${this.cluster.kubeconfig}.helm`;
    return runCommand(await programPath("helm"), ["--namespace", this.namespace, ...args], {
      env: {
        KUBECONFIG: this.cluster.kubeconfig,
        HELM_CACHE_HOME: `${home}/cache`,
        HELM_CONFIG_HOME: `${home}/config`,
        HELM_DATA_HOME: `${home}/data`,
      },
    });
  }

  /** Has something undone after the test, the last first, before the namespace goes. */
  afterwards(cleanup: () => Promise<void>): void {
    this.#cleanups.push(cleanup);
  }

  async #cleanUp(): Promise<void> {
    for (const cleanup of this.#cleanups.toReversed()) await cleanup();
    await this.client.close();
    await this.cluster.kubectl(["delete", "namespace", this.namespace, "--ignore-not-found", "--wait=false"]);
  }
}

function rejection(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}
