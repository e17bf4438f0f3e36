/**
 * How reconcilers reach the databases of Stores: one set of connections for each Store, shared by all of them.
 *
 * `stores/` provides it. A Store is connected while the operator has credentials for it that were tried and its schema is of
 * this operator's version; whether the server answers at this moment is for each statement to find out. With new credentials
 * `find` gives another object: the old one answers what was asked of it, then its sessions are closed (`SESSION_CLOSED`) and
 * what was given to its `onWork` is not called any more. So find it anew in each reconcile.
 */
import type { ConnectionSource, Session } from "@memflow/engine/provision";
import type { LoadObserver } from "../scaling/observe.ts";

/** The database of one Store. */
export interface ConnectedStore {
  /** `namespace/name` of the Store. */
  readonly key: string;
  /** Of the Store: another one of the same name has another. */
  readonly uid: string;
  readonly schema: string;
  /** With the operator's own credentials. */
  readonly source: ConnectionSource;
  /** For short statements of any reconciler; each has a time limit of its own. */
  readonly session: Session;
  /** Looks at the load of all queues with one statement; who asks while a look is under way shares its answer. */
  readonly observer: Pick<LoadObserver, "look" | "cordon" | "liftCordons">;
  /**
   * Hears of work for a queue: at once while the connection for it lives, and once when that begins and after each reconnect,
   * since what was sent before is lost. It is the haste; looking now and then is the truth.
   *
   * @returns Ends it.
   */
  onWork(queueName: string, wake: () => void): () => void;
}

/** All Stores. */
export interface StoreAccess {
  /** The Store of that key; undefined while it is not connected, for reasons that its own conditions tell. */
  find(storeKey: string): ConnectedStore | undefined;
  /**
   * Hears when a Store was connected, disconnected or given new credentials: reconcile whatever refers to it.
   *
   * @returns Ends it.
   */
  onChange(handler: (storeKey: string) => void): () => void;
}
