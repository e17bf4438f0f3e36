/**
 * The Stores of a gateway: which there are in a Kubernetes namespace, how each is reached, and what manifests say of it.
 */
import type { StoreClient } from "@memflow/engine";

/** What the manifest of a Workflow says. */
export interface WorkflowDefinition {
  /** Name of the Workflow object: rights are asked for it. */
  readonly name: string;
  /** The type: under this name runs are started. */
  readonly workflowName: string;
  /** The queue as workers call it. */
  readonly taskQueue: string;
  /** New starts are refused. */
  readonly suspended: boolean;
  /** JSON Schemas of the first argument and of the result. */
  readonly inputSchema?: Readonly<Record<string, unknown>> | undefined;
  readonly outputSchema?: Readonly<Record<string, unknown>> | undefined;
  readonly timeouts?: { readonly executionMs?: number; readonly runMs?: number } | undefined;
  readonly retry?:
    | {
        readonly maximumAttempts: number;
        readonly backoffCoefficient: number;
        readonly initialIntervalMs: number;
        readonly maximumIntervalMs: number;
      }
    | undefined;
  readonly retention?: { readonly completedMs?: number; readonly failedMs?: number } | undefined;
  /** Types of its search attributes by name. */
  readonly searchAttributes?: Readonly<Record<string, string>> | undefined;
  /** Arguments of a start that brings none. */
  readonly defaultArgs?: readonly unknown[] | undefined;
}

/** What the manifest of a TaskQueue says, and the last decision on its replicas. */
export interface QueueDefinition {
  /** Name of the TaskQueue object: rights are asked for it. */
  readonly name: string;
  /** As workers call it. */
  readonly taskQueue: string;
  /** `status.scaling` as it is; undefined where nobody has decided yet. */
  readonly scaling?: Readonly<Record<string, unknown>> | undefined;
}

/** One Store. */
export interface StoreEntry {
  /** Kubernetes namespace; `default` without Kubernetes. */
  readonly namespace: string;
  /** Name of the Store object. */
  readonly name: string;
  readonly client: StoreClient;
  /** All definitions of its workflows, by name. */
  workflows(): readonly WorkflowDefinition[];
  /** The definition of a type on a queue; without the queue the only one of the type, else undefined. */
  workflowOf(type: string, taskQueue?: string): WorkflowDefinition | undefined;
  /** All definitions of its queues, by name. */
  queues(): readonly QueueDefinition[];
}

/** Finds Stores. */
export interface Stores {
  /**
   * The Store of a name; without one, the only Store of the Kubernetes namespace.
   *
   * @throws {StoreNotFoundError} When there is none; {StoreAmbiguousError} when there are several and none is named;
   *   {UnavailableError} (auth) when it is there and can't be reached.
   */
  resolve(namespace: string, store?: string): Promise<StoreEntry>;
  /** All that can be reached, by name. */
  list(namespace: string): Promise<readonly StoreEntry[]>;
}

/** There is no such Store. */
export class StoreNotFoundError extends Error {
  override readonly name = "StoreNotFoundError";
  readonly code = "StoreNotFound";
  readonly namespace: string;
  readonly store: string | undefined;

  constructor(namespace: string, store?: string) {
    super(
      store === undefined
        ? `namespace "${namespace}" has no Store; apply one`
        : `store "${store}" not found in namespace "${namespace}"`,
    );
    this.namespace = namespace;
    this.store = store;
  }
}

/** There are several Stores and none is named. */
export class StoreAmbiguousError extends Error {
  override readonly name = "StoreAmbiguousError";
  readonly code = "StoreAmbiguous";
  readonly namespace: string;
  readonly stores: readonly string[];

  constructor(namespace: string, stores: readonly string[]) {
    const names = stores.map((name) => `"${name}"`).join(", ");
    super(`namespace "${namespace}" has ${stores.length} Stores (${names}); name one with ?store=`);
    this.namespace = namespace;
    this.stores = stores;
  }
}
