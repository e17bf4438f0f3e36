/** Finds inline code where it is, and whether the Secrets and ConfigMaps of the environment are there. */
import type { TaskQueue } from "@memflow/crds";
import { INDEX, readWorkflow } from "../api/index.ts";
import type { OperatorDependencies } from "../api/index.ts";
import { CONFIG_MAPS, metadataOf, SECRETS } from "../kube/index.ts";
import type { KubeClient, KubeObject } from "../kube/index.ts";
import { codeOfConfigMap, codeOfWorkflows } from "./core/code-files.ts";
import type { CodeFiles, FoundCode } from "./core/code-files.ts";
import type { ClaimFacts } from "./core/queue-claims.ts";

/** The code of a queue; `code` is undefined where it is in an image. */
export type SourceOfCode =
  | { readonly kind: "Found"; readonly code: CodeFiles | undefined }
  | { readonly kind: "Missing"; readonly hindrance: NonNullable<ClaimFacts["code"]> };

interface CachedConfigMap {
  readonly resourceVersion: string | undefined;
  readonly data: Readonly<Record<string, string>>;
}

/** With what it is asked. */
interface AskContext {
  readonly client: KubeClient;
  readonly signal: AbortSignal;
}

/** Reads a ConfigMap again only when it changed, where changes are followed. */
export class CodeFinder {
  readonly #followed: OperatorDependencies["followed"];
  readonly #configMaps = new Map<string, CachedConfigMap>();

  constructor({ followed }: Pick<OperatorDependencies, "followed">) {
    this.#followed = followed;
  }

  /** Finds the code of a queue. */
  async find(taskQueue: TaskQueue, key: string, context: AskContext): Promise<SourceOfCode> {
    const { code } = taskQueue.spec.workers.source;
    if (code === undefined) return { kind: "Found", code: undefined };
    const { configMapRef } = code;
    const found: FoundCode =
      configMapRef === undefined
        ? codeOfWorkflows(this.#workflowsOf(key))
        : codeOfConfigMap(code, await this.#read(taskQueue, configMapRef.name, context));
    if (found.kind === "Found") return found;
    return { kind: "Missing", hindrance: { reason: found.reason, message: found.message } };
  }

  #workflowsOf(key: string): Parameters<typeof codeOfWorkflows>[0] {
    return this.#followed.workflows.store.find(INDEX.taskQueue, key).flatMap((object) => {
      if (object.metadata?.deletionTimestamp !== undefined) return [];
      const read = readWorkflow(object);
      return read.kind === "Read" ? [read.resource] : [];
    });
  }

  async #read(
    taskQueue: TaskQueue,
    name: string,
    { client, signal }: AskContext,
  ): Promise<Readonly<Record<string, string>> | undefined> {
    const { namespace } = taskQueue.metadata;
    const key = `${namespace}/${name}`;
    const { configMaps } = this.#followed;
    const seen = configMaps?.store.get(key)?.metadata?.resourceVersion;
    const cached = this.#configMaps.get(key);
    if (seen !== undefined && seen === cached?.resourceVersion) return cached.data;
    const read = await client.find(CONFIG_MAPS, { namespace, name }, { signal });
    if (read === undefined) {
      this.#configMaps.delete(key);
      return undefined;
    }
    const data = read.data ?? {};
    this.#configMaps.set(key, { resourceVersion: read.metadata?.resourceVersion, data });
    return data;
  }
}

/**
 * Looks whether what the environment refers to is there: a pod would wait for it without a word to whoever applied the queue.
 *
 * @returns What is missing; undefined when nothing is.
 */
export async function findMissingReference(
  taskQueue: TaskQueue,
  { client, signal }: AskContext,
): Promise<ClaimFacts["code"]> {
  const { namespace } = taskQueue.metadata;
  for (const { kind, name } of referencesOf(taskQueue)) {
    const type = metadataOf(kind === "Secret" ? SECRETS : CONFIG_MAPS);
    const found: KubeObject | undefined = await client.find(type, { namespace, name }, { signal });
    if (found === undefined) {
      const message = `${kind} "${name}" of env or envFrom is not there: create it in this Kubernetes namespace`;
      return { reason: "SecretNotFound", message };
    }
  }
  return undefined;
}

interface Reference {
  readonly kind: "Secret" | "ConfigMap";
  readonly name: string;
}

function referencesOf({ spec }: TaskQueue): readonly Reference[] {
  const { env, envFrom } = spec.workers;
  const found = new Map<string, Reference>();
  const add = (kind: Reference["kind"], name: string | undefined): void => {
    if (name !== undefined) found.set(`${kind}/${name}`, { kind, name });
  };
  for (const { valueFrom } of env) {
    add("Secret", valueFrom?.secretKeyRef?.name);
    add("ConfigMap", valueFrom?.configMapKeyRef?.name);
  }
  for (const { secretRef, configMapRef } of envFrom) {
    add("Secret", secretRef?.name);
    add("ConfigMap", configMapRef?.name);
  }
  return [...found.values()];
}

/** ConfigMaps with code that queues refer to: whose changes concern which queue. */
export function codeConfigMapKey(spec: unknown, namespace: string | undefined): string | undefined {
  const name = (spec as TaskQueue["spec"] | undefined)?.workers?.source?.code?.configMapRef?.name;
  return name === undefined ? undefined : `${namespace ?? ""}/${name}`;
}
