/**
 * One Store that is connected: the sessions that all reconcilers share, and one connection that hears of work.
 *
 * Promises that nothing is opened before it is used, and that `close` ends all of it. Does not judge whether the server
 * answers: each statement finds out.
 */
import { Listener, listenSource, queueChannel, Session } from "@memflow/engine/provision";
import type { ConnectionSource } from "@memflow/engine/provision";
import type { ConnectedStore } from "../api/index.ts";
import { errorFields } from "../kube/index.ts";
import type { Log } from "../kube/index.ts";
import { LoadObserver } from "../scaling/observe.ts";

/** Which Store, and how its database is reached. */
export interface ConnectedStoreOptions {
  readonly key: string;
  readonly uid: string;
  readonly schema: string;
  readonly source: ConnectionSource;
  readonly log: Log;
}

/** @see ConnectedStore */
export class OpenStore implements ConnectedStore {
  readonly key: string;
  readonly uid: string;
  readonly schema: string;
  readonly source: ConnectionSource;
  readonly session: Session;
  readonly observer: LoadObserver;
  readonly #log: Log;
  readonly #wakers = new Map<string, Set<() => void>>();
  #listener: Listener | undefined;
  #closed = false;

  constructor({ key, uid, schema, source, log }: ConnectedStoreOptions) {
    this.key = key;
    this.uid = uid;
    this.schema = schema;
    this.source = source;
    this.session = new Session({ source, purpose: "operator" });
    this.observer = new LoadObserver(source, schema);
    this.#log = log;
  }

  onWork(queueName: string, wake: () => void): () => void {
    const direct = listenSource(this.source);
    // Behind a pooler, without a way around it, nothing can be heard: looking now and then is all there is.
    if (direct === undefined || this.#closed) return () => undefined;
    const channel = queueChannel(this.schema, queueName);
    const wakers = this.#wakers.get(channel) ?? new Set();
    this.#wakers.set(channel, wakers);
    // Of its own, so that one function may be given twice.
    const waker = (): void => wake();
    wakers.add(waker);
    this.#listener ??= this.#listenOn(direct);
    void this.#wakeOnceHearing(this.#listener, channel, () => {
      if (this.#wakers.get(channel)?.has(waker) === true) wake();
    });
    return () => {
      wakers.delete(waker);
      if (wakers.size > 0 || this.#wakers.get(channel) !== wakers) return;
      this.#wakers.delete(channel);
      this.#listener?.unlisten(channel).catch((error: unknown) => this.#tell(error));
    };
  }

  /** Waits for what was asked, then ends all connections. Nobody is woken after it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#wakers.clear();
    await Promise.all([this.session.close(), this.observer.close(), this.#listener?.close()]);
  }

  /** What was started before it could be heard is found by whoever is woken then. */
  async #wakeOnceHearing(listener: Listener, channel: string, wake: () => void): Promise<void> {
    await listener.listen(channel);
    wake();
  }

  #listenOn(source: ConnectionSource): Listener {
    return new Listener({
      source,
      onNotification: (channel) => {
        for (const wake of this.#wakers.get(channel) ?? []) wake();
      },
      onReconnect: () => {
        for (const wakers of this.#wakers.values()) for (const wake of wakers) wake();
      },
      onError: (error) => this.#tell(error),
    });
  }

  #tell(error: unknown): void {
    this.#log("warn", "the connection that hears of work was lost", {
      store: this.key,
      ...errorFields(error),
    });
  }
}
