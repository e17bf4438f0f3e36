/**
 * Brings the definitions of workflows into the databases of Stores: all of one Store with one statement.
 *
 * Promises that what was deleted is removed too, without a finalizer: each write says the whole, and each leadership begins with
 * one; that a leader of the past is refused by its fencing token; and that nothing is written while nothing changed.
 */
import { quoteIdentifier, toStoreError } from "@memflow/engine/provision";
import type { ConnectedStore, OperatorDependencies } from "../api/index.ts";
import { hasSpecNews, sourceOf } from "../kube/index.ts";
import type { Controller, Source } from "../kube/index.ts";
import { referenceKey } from "./workflow-view.ts";
import type { WorkflowViews } from "./workflow-view.ts";

const STATEMENT_TIMEOUT_MS = 10_000;

/** What was written last. */
interface Written {
  readonly store: ConnectedStore;
  readonly fencingToken: number;
  readonly text: string;
}

export function makeDefinitionsController(
  dependencies: Pick<OperatorDependencies, "followed" | "stores" | "log" | "resyncMs" | "crashPoint">,
  views: WorkflowViews,
): Controller {
  const { followed, stores, log, resyncMs, crashPoint } = dependencies;
  const written = new Map<string, Written>();
  return {
    name: "definitions",
    concurrency: 2,
    sources: [
      connections(dependencies),
      sourceOf(
        followed.taskQueues,
        (object) => {
          const storeKey = referenceKey(object, "storeRef");
          return storeKey === undefined ? [] : [storeKey];
        },
        hasSpecNews,
      ),
      sourceOf(followed.workflows, (object) => {
        const queue = views.queue(referenceKey(object, "taskQueueRef"));
        return queue === undefined ? [] : [queue.storeKey];
      }),
    ],
    reconcile: async (storeKey, { fencingToken, assertCurrent }) => {
      const store = stores.find(storeKey);
      if (store === undefined) {
        written.delete(storeKey);
        return undefined;
      }
      await views.readAhead(storeKey);
      const rows = views.definitions(storeKey);
      const text = JSON.stringify(rows);
      const last = written.get(storeKey);
      const stands = last?.store === store && last.fencingToken === fencingToken && last.text === text;
      if (stands) return { requeueAfterMs: resyncMs };
      assertCurrent();
      crashPoint("definitions.write.before");
      const changed = await write(store, text, fencingToken);
      crashPoint("definitions.write.after");
      written.set(storeKey, { store, fencingToken, text });
      if (changed > 0) log("info", "definitions of workflows written", { store: storeKey, changed });
      return { requeueAfterMs: resyncMs };
    },
  };
}

async function write(store: ConnectedStore, text: string, fencingToken: number): Promise<number> {
  try {
    const { rows } = await store.session.query<{ changed: number }>({
      text: `select ${quoteIdentifier(store.schema)}.set_workflow_definitions($1::json, $2) as changed`,
      values: [text, fencingToken],
      timeoutMs: STATEMENT_TIMEOUT_MS,
    });
    return rows[0]?.changed ?? 0;
  } catch (error) {
    throw toStoreError(error, store.source);
  }
}

/** Stores that were connected, at first all that are. */
function connections({ followed, stores }: Pick<OperatorDependencies, "followed" | "stores">): Source {
  return {
    reflector: followed.stores,
    connect: (add) => {
      for (const key of followed.stores.store.keys()) add(key);
      return stores.onChange(add);
    },
  };
}
