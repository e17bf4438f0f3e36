/**
 * The connections to all Stores, made by the Stores' controller and shared by all others.
 *
 * Promises: a Store has one set of connections; who asks gets the newest; handlers hear of each change after it stands, and
 * an error of one does not reach the others. It decides nothing: `connect` is called with credentials that were tried.
 */
import type { ConnectionSource } from "@memflow/engine/provision";
import type { ConnectedStore, StoreAccess } from "../api/index.ts";
import { errorFields } from "../kube/index.ts";
import type { Log } from "../kube/index.ts";
import { OpenStore } from "./connected-store.ts";

/** A Store with credentials that were tried. */
export interface StoreTarget {
  readonly key: string;
  readonly uid: string;
  readonly schema: string;
  readonly source: ConnectionSource;
  /** Equal for equal credentials and targets: then nothing is connected anew. */
  readonly fingerprint: string;
}

interface Entry {
  readonly fingerprint: string;
  readonly store: OpenStore;
}

/** @see StoreAccess */
export class StoreConnections implements StoreAccess {
  readonly #log: Log;
  readonly #entries = new Map<string, Entry>();
  readonly #handlers = new Set<(storeKey: string) => void>();
  readonly #closers: (() => Promise<void>)[] = [];
  /** Connections that were replaced and still finish what was asked of them. */
  readonly #closing = new Set<Promise<void>>();

  constructor(log: Log) {
    this.#log = log;
  }

  find(storeKey: string): ConnectedStore | undefined {
    return this.#entries.get(storeKey)?.store;
  }

  onChange(handler: (storeKey: string) => void): () => void {
    // Of its own, so that one function may be given twice.
    const own = (storeKey: string): void => handler(storeKey);
    this.#handlers.add(own);
    return () => void this.#handlers.delete(own);
  }

  /**
   * Makes the Store reachable, or reachable in another way; does nothing where it is reached in this way already.
   *
   * @returns Whether it is another connection now.
   */
  connect({ key, uid, schema, source, fingerprint }: StoreTarget): boolean {
    const before = this.#entries.get(key);
    const same = before?.store.uid === uid && before.store.schema === schema;
    if (same && before.fingerprint === fingerprint) return false;
    const store = new OpenStore({ key, uid, schema, source, log: this.#log });
    this.#entries.set(key, { fingerprint, store });
    this.#tellAll(key);
    // After the handlers were told, so that they look at the new one by the time the old one ends.
    if (before !== undefined) this.#close(before.store);
    return true;
  }

  /** The Store is gone, or is not to be used any more. */
  disconnect(storeKey: string): void {
    const entry = this.#entries.get(storeKey);
    if (entry === undefined) return;
    this.#entries.delete(storeKey);
    this.#tellAll(storeKey);
    this.#close(entry.store);
  }

  /** Has something closed together with the connections: what the Stores' controller holds open besides them. */
  onClose(close: () => Promise<void>): void {
    this.#closers.push(close);
  }

  /** Ends all connections, once what was asked of them is answered. After the controllers have ended. */
  async close(): Promise<void> {
    await Promise.all(this.#closers.splice(0).map((close) => close()));
    for (const key of this.#entries.keys()) this.disconnect(key);
    await Promise.all(this.#closing);
  }

  #close(store: OpenStore): void {
    const closing = store
      .close()
      .catch((error: unknown) =>
        this.#logFailure("connections of a Store did not end well", store.key, error),
      )
      .finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }

  #tellAll(storeKey: string): void {
    for (const handler of this.#handlers) {
      try {
        handler(storeKey);
      } catch (error) {
        this.#logFailure("a handler of Stores failed", storeKey, error);
      }
    }
  }

  #logFailure(message: string, store: string, error: unknown): void {
    this.#log("error", message, { store, ...errorFields(error) });
  }
}
