/**
 * Reads the kubeconfig of a person, as kubectl does: a given file, else those of KUBECONFIG, else the one at home, else the pod's.
 *
 * For programs that people start. Those that run on their own use `readKubeConfig`, which never takes a file from a home.
 */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { KubeConfigError, readKubeConfig } from "./kube-config.ts";

/** What a person says about the cluster. */
export interface KubeConfigWish {
  /** kubectl's `--kubeconfig`. */
  readonly path?: string | undefined;
  /** kubectl's `--context` (default: the current one). */
  readonly context?: string | undefined;
  /** kubectl's variable KUBECONFIG: files with the system's path delimiter between. */
  readonly variable?: string | undefined;
}

/** A cluster, a user, and the namespace that commands mean when they name none. */
export interface UserKubeConfig {
  readonly kubeConfig: KubeConfig;
  readonly namespace: string;
  /** For messages. */
  readonly context: string;
}

const NAMESPACE_DEFAULT = "default";

/**
 * @throws {KubeConfigError} When there is none, when it can't be read, or has no such context; naming the remedy.
 */
export function readUserKubeConfig(wish: KubeConfigWish): UserKubeConfig {
  const kubeConfig = load(wish);
  if (wish.context !== undefined) {
    const names = kubeConfig.getContexts().map(({ name }) => name);
    if (!names.includes(wish.context)) {
      throw new KubeConfigError(
        `the kubeconfig has no context "${wish.context}"; it has: ${names.join(", ") || "none"}`,
      );
    }
    kubeConfig.setCurrentContext(wish.context);
  }
  const context = kubeConfig.getCurrentContext();
  if (kubeConfig.getCurrentCluster() === null) {
    throw new KubeConfigError(
      "the kubeconfig's current-context names no cluster: set it with kubectl config use-context, or say --context",
    );
  }
  return {
    kubeConfig,
    context,
    namespace: kubeConfig.getContextObject(context)?.namespace ?? NAMESPACE_DEFAULT,
  };
}

function load(wish: KubeConfigWish): KubeConfig {
  if (wish.path !== undefined) return readFiles([wish.path]);
  const named = (wish.variable ?? "").split(path.delimiter).filter((file) => file !== "");
  // As kubectl does: those that are not there are passed over.
  const files = named.length > 0 ? named : [path.join(homedir(), ".kube", "config")];
  const present = files.filter((file) => existsSync(file));
  if (present.length > 0) return readFiles(present);
  try {
    return readKubeConfig(undefined);
  } catch (cause) {
    throw new KubeConfigError(
      `no kubeconfig: looked for ${files.join(", ")}; name a file with --kubeconfig or KUBECONFIG`,
      cause,
    );
  }
}

function readFiles(files: readonly string[]): KubeConfig {
  const [first = "", ...others] = files;
  const kubeConfig = readFile(first);
  for (const file of others) kubeConfig.mergeConfig(readFile(file), true);
  return kubeConfig;
}

function readFile(file: string): KubeConfig {
  const kubeConfig = new KubeConfig();
  try {
    kubeConfig.loadFromFile(file);
  } catch (cause) {
    throw new KubeConfigError(
      `kubeconfig "${file}" can't be read: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    );
  }
  return kubeConfig;
}
