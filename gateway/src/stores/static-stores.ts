/**
 * Stores without a cluster: those that are named, each with its connection; definitions are what the database has of them.
 *
 * For `memflow dev` and for any Postgres. Promises that definitions are no older than the last call and `DEFINITIONS_KEPT_MS`.
 */
import { StoreClient } from "@memflow/engine";
import type { ConnectionSource } from "@memflow/engine";
import { readWorkflowDefinitions, Session } from "@memflow/engine/provision";
import type { WorkflowDefinitionRow } from "@memflow/engine/provision";
import { errorFields } from "@memflow/operator/kube";
import type { Log } from "@memflow/operator/kube";
import { UnavailableError } from "../auth/index.ts";
import { StoreAmbiguousError, StoreNotFoundError } from "./index.ts";
import type { QueueDefinition, StoreEntry, Stores, WorkflowDefinition } from "./index.ts";
import { findDefinition } from "./manifest-definitions.ts";

/** One of them. */
export interface StaticStore {
  /** Default `default`. */
  readonly namespace?: string;
  readonly name: string;
  readonly schema: string;
  readonly source: ConnectionSource;
}

interface Opened {
  readonly client: StoreClient;
  readonly session: Session;
}

/** A Store, its connection once somebody has asked for it, and what was read last. */
interface Held {
  readonly store: StaticStore;
  opening: Promise<Opened> | undefined;
  workflows: readonly WorkflowDefinition[];
  readMs: number;
}

const DEFAULT_NAMESPACE = "default";
const DEFINITIONS_KEPT_MS = 2_000;
const RETRY_AFTER_SECONDS = 2;

/** @see StaticStore */
export class StaticStores implements Stores {
  readonly #held: readonly Held[];
  readonly #log: Log;

  constructor(stores: readonly StaticStore[], log: Log) {
    this.#log = log;
    this.#held = stores.map((store) => ({ store, opening: undefined, workflows: [], readMs: -Infinity }));
  }

  async resolve(namespace: string, store?: string): Promise<StoreEntry> {
    const all = this.#ofNamespace(namespace);
    const named = store === undefined ? all : all.filter((held) => held.store.name === store);
    const [only] = named;
    if (only === undefined) throw new StoreNotFoundError(namespace, store);
    if (named.length > 1)
      throw new StoreAmbiguousError(
        namespace,
        named.map((held) => held.store.name),
      );
    return this.#entry(only, namespace);
  }

  async list(namespace: string): Promise<readonly StoreEntry[]> {
    const entries = await Promise.allSettled(
      this.#ofNamespace(namespace).map((held) => this.#entry(held, namespace)),
    );
    return entries.flatMap((entry) => (entry.status === "fulfilled" ? [entry.value] : []));
  }

  /** Closes all connections, once what was asked of them is answered. */
  async close(): Promise<void> {
    const openings = this.#held.flatMap(({ opening }) => (opening === undefined ? [] : [opening]));
    for (const opened of await Promise.allSettled(openings)) {
      if (opened.status === "rejected") continue;
      await Promise.all([opened.value.client.close(), opened.value.session.close()]);
    }
  }

  #ofNamespace(namespace: string): readonly Held[] {
    return this.#held
      .filter(({ store }) => (store.namespace ?? DEFAULT_NAMESPACE) === namespace)
      .toSorted((left, right) => (left.store.name < right.store.name ? -1 : 1));
  }

  async #entry(held: Held, namespace: string): Promise<StoreEntry> {
    try {
      held.opening ??= open(held.store);
      const { client, session } = await held.opening;
      await refresh(held, session);
      const { workflows } = held;
      const queues = queuesOf(workflows);
      return {
        namespace,
        name: held.store.name,
        client,
        workflows: () => workflows,
        workflowOf: (type, taskQueue) => findDefinition(workflows, type, taskQueue),
        queues: () => queues,
      };
    } catch (cause) {
      this.#log("warn", "a Store can't be reached", { store: held.store.name, ...errorFields(cause) });
      throw new UnavailableError(`store "${held.store.name}" is not ready: its database can't be used`, {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
        cause,
      });
    } finally {
      // What failed to open is opened anew by the next who asks.
      held.opening?.catch(() => (held.opening = undefined));
    }
  }
}

async function open({ source, schema }: StaticStore): Promise<Opened> {
  const client = await StoreClient.open(source, schema);
  return { client, session: new Session({ source, purpose: "definitions" }) };
}

async function refresh(held: Held, session: Session): Promise<void> {
  const nowMs = performance.now();
  if (nowMs - held.readMs < DEFINITIONS_KEPT_MS) return;
  const rows = await readWorkflowDefinitions(session, held.store.schema);
  held.workflows = rows.map(definitionOf).toSorted((left, right) => (left.name < right.name ? -1 : 1));
  held.readMs = nowMs;
}

/** The manifest's name is without its namespace: it is of this one. */
function definitionOf({
  taskQueue,
  workflowName,
  resource,
  suspended,
  definition,
}: WorkflowDefinitionRow): WorkflowDefinition {
  const { input, output, ...rest } = definition as {
    readonly input?: WorkflowDefinition["inputSchema"];
    readonly output?: WorkflowDefinition["outputSchema"];
  } & Pick<WorkflowDefinition, "timeouts" | "retry" | "retention" | "searchAttributes" | "defaultArgs">;
  return {
    ...rest,
    name: resource.slice(resource.indexOf("/") + 1),
    workflowName,
    taskQueue,
    suspended,
    inputSchema: input,
    outputSchema: output,
  };
}

/** Without TaskQueue objects a queue is called as its workers call it. */
function queuesOf(workflows: readonly WorkflowDefinition[]): readonly QueueDefinition[] {
  const names = new Set(workflows.map(({ taskQueue }) => taskQueue));
  return [...names].toSorted().map((taskQueue) => ({ name: taskQueue, taskQueue }));
}
