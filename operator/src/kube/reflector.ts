/**
 * Keeps a store equal to the objects of one type at the API server: lists them, then follows a watch, for ever.
 *
 * Promises: no failure ends it. A lost connection, a refusal or a silent stream is met by another watch from where it was;
 * a resource version that is too old by another list, which also finds what was deleted meanwhile. Handlers hear of every
 * change of the store, after the store has it, and an error of one reaches neither the others nor the reflector.
 *
 * It does not promise to show every state that an object ever had: between two lists, and for changes that the server
 * merged, only the last one. It has client-go's job and none of client-node's informer, which dies of its first error.
 */
import { backoffMs } from "./backoff.ts";
import type { Backoff } from "./backoff.ts";
import { sleep } from "./clock.ts";
import { GoneError, KubeProtocolError, retryAfterMsOf } from "./errors.ts";
import type { KubeClient, Selection } from "./kube-client.ts";
import { errorFields } from "./log.ts";
import type { Log } from "./log.ts";
import { ObjectStore } from "./object-store.ts";
import type { IndexFunction, ReadableStore } from "./object-store.ts";
import { listAll } from "./paged-list.ts";
import type { ResourceType } from "./resource-type.ts";
import { WatchIdleError } from "./watch-stream.ts";
import type { WatchEvent } from "./watch-stream.ts";
import { compareResourceVersions, identityOf, keyOf } from "./wire.ts";
import type { KubeObject } from "./wire.ts";

/** What a reflector follows, and how. */
export interface ReflectorOptions<T extends KubeObject> {
  readonly client: KubeClient;
  readonly type: ResourceType<T>;
  /** Default: all objects in all namespaces. */
  readonly selection?: Selection;
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>>;
  readonly log: Log;
  /** Objects to a page of the list (default 500). */
  readonly pageSize?: number;
  /** A watch that says nothing for so long is opened anew (default 30,000), which costs one request. */
  readonly idleMs?: number;
  /** The server ends each watch after a time drawn from this range (default 240 to 360). */
  readonly watchSeconds?: { readonly min: number; readonly max: number };
  /** Default: from 250 to 30,000. */
  readonly backoff?: Backoff;
  readonly random?: () => number;
}

/** A change of the store. An object that was deleted and made anew under its name is told as both. */
export type ObjectChange<T> =
  | { readonly type: "added"; readonly key: string; readonly object: T }
  | { readonly type: "updated"; readonly key: string; readonly object: T; readonly previous: T }
  /** `object` is its last known state. */
  | { readonly type: "deleted"; readonly key: string; readonly object: T };

/** Hears of a change. It must be quick: work belongs into a queue. */
export type ChangeHandler<T> = (change: ObjectChange<T>) => void;

/** How a reflector fares. */
export interface ReflectorState {
  /** The first list is complete. */
  readonly synced: boolean;
  /** Since the server last said anything: a list, an event, a bookmark, yes to a watch. Infinite before the first. */
  readonly silentMs: number;
  /** Since the last complete list. Infinite before the first. */
  readonly sinceListMs: number;
  readonly listCount: number;
  readonly watchCount: number;
  /** Failures in a row; 0 while all is well. */
  readonly failureCount: number;
  /** The newest of them. */
  readonly lastError: unknown;
  /** What handlers threw so far. */
  readonly handlerErrorCount: number;
}

const PAGE_SIZE = 500;
const IDLE_MS = 30_000;
const WATCH_SECONDS = { min: 240, max: 360 } as const;
const BACKOFF: Backoff = { firstMs: 250, maxMs: 30_000 };
/** A watch that lives so long is of use, even when it is quiet. */
const SETTLED_MS = 5_000;

/** Follows the objects of one type. */
export class Reflector<T extends KubeObject> {
  readonly type: ResourceType<T>;
  readonly #options: ReflectorOptions<T>;
  readonly #objects: ObjectStore<T>;
  readonly #handlers = new Set<ChangeHandler<T>>();
  readonly #firstList = Promise.withResolvers<void>();
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;

  /** Up to where the store shows the server's objects; undefined when only a list can tell. */
  #position: string | undefined;
  /** Whether the present watch brought anything new, or lives long. */
  #useful = false;
  #failureCount = 0;
  #lastError: unknown;
  #handlerErrorCount = 0;
  #listCount = 0;
  #watchCount = 0;
  #heardMs = -Infinity;
  #listedMs = -Infinity;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.type = options.type;
    this.#objects = new ObjectStore(options.indexes);
  }

  /** The objects as far as they are known. */
  get store(): ReadableStore<T> {
    return this.#objects;
  }

  get state(): ReflectorState {
    const nowMs = this.#options.client.clock.steadyMs();
    return {
      synced: this.#listCount > 0,
      silentMs: nowMs - this.#heardMs,
      sinceListMs: nowMs - this.#listedMs,
      listCount: this.#listCount,
      watchCount: this.#watchCount,
      failureCount: this.#failureCount,
      lastError: this.#lastError,
      handlerErrorCount: this.#handlerErrorCount,
    };
  }

  /** Begins to follow. Further calls change nothing. */
  start(): void {
    this.#running ??= this.#run(this.#stopping.signal);
  }

  /** Ends following, for good; the store stays as it is. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error(`reflector of ${this.type.plural}: stopped`));
    await this.#running;
  }

  /** Resolves once the store holds a complete list. */
  whenSynced(): Promise<void> {
    return this.#firstList.promise;
  }

  /**
   * Tells a handler of every change from now on, and first of what is there, as added.
   *
   * @returns Ends it.
   */
  onChange(handler: ChangeHandler<T>): () => void {
    // A function may be given twice; each registration is its own.
    const registration: ChangeHandler<T> = (change) => handler(change);
    this.#handlers.add(registration);
    for (const object of this.#objects.list()) {
      this.#tell(registration, { type: "added", key: keyOf(identityOf(object)), object });
    }
    return () => void this.#handlers.delete(registration);
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#useful = false;
      let error: unknown = new Error("the server ended the watch at once");
      try {
        if (this.#position === undefined) await this.#relist(signal);
        await this.#follow(this.#position ?? "", signal);
        if (this.#useful) error = undefined;
      } catch (caught) {
        error = caught;
      }
      if (!signal.aborted) await this.#recover(error, signal);
    }
  }

  /** Decides from how a round ended where the next begins, and waits until it may. */
  async #recover(error: unknown, signal: AbortSignal): Promise<void> {
    if (error === undefined || error instanceof WatchIdleError) return;
    this.#failureCount++;
    this.#lastError = error;
    if (error instanceof GoneError) {
      this.#position = undefined;
      // To lose the place is ordinary. That a new list does not help is not: then there is a pause.
      if (this.#failureCount === 1) return;
    }
    const { client, log, backoff = BACKOFF, random = Math.random } = this.#options;
    const delayMs = backoffMs(backoff, this.#failureCount, random(), retryAfterMsOf(error));
    log("warn", "following objects failed, trying again", {
      resource: this.type.plural,
      failureCount: this.#failureCount,
      delayMs,
      ...errorFields(error),
    });
    await sleep(client.clock, delayMs, signal);
  }

  /** Makes the store equal to a list. */
  async #relist(signal: AbortSignal): Promise<void> {
    const { client, selection, pageSize = PAGE_SIZE } = this.#options;
    const list = await listAll(client, this.type, { ...selection, pageSize, signal });
    this.#heardMs = client.clock.steadyMs();
    const gone = new Set(this.#objects.keys());
    for (const object of list.items) gone.delete(keyOf(identityOf(object)));
    for (const key of gone) this.#remove(key);
    for (const object of list.items) this.#put(object);
    this.#position = list.resourceVersion;
    this.#listCount++;
    this.#listedMs = this.#heardMs;
    this.#firstList.resolve();
  }

  /** Follows one watch to its end. */
  async #follow(from: string, signal: AbortSignal): Promise<void> {
    const { client, selection, idleMs = IDLE_MS, random = Math.random } = this.#options;
    const { min, max } = this.#options.watchSeconds ?? WATCH_SECONDS;
    const timeoutSeconds = min + Math.floor(random() * (max - min + 1));
    const options = { ...selection, resourceVersion: from, timeoutSeconds, idleMs, signal };
    const events = await client.watch(this.type, options);
    this.#watchCount++;
    this.#heardMs = client.clock.steadyMs();
    const stopTimer = client.clock.after(SETTLED_MS, () => this.#noteUse());
    try {
      for await (const event of events) {
        this.#heardMs = client.clock.steadyMs();
        this.#absorb(event);
      }
    } finally {
      stopTimer();
    }
  }

  /** Takes an event in, unless the store is already past it: then a server repeats itself. */
  #absorb(event: WatchEvent<T>): void {
    const version =
      event.type === "BOOKMARK" ? event.resourceVersion : identityOf(event.object).resourceVersion;
    const ahead = compareResourceVersions(version, this.#position ?? "");
    if (event.type === "BOOKMARK" && ahead !== undefined && ahead < 0) {
      // As after a restore of etcd. What it has now, only a list can tell.
      const message = `the server is at resource version ${version} and was at ${this.#position}`;
      this.#position = undefined;
      throw new KubeProtocolError(`watch of ${this.type.plural}`, message);
    }
    if (ahead !== undefined && ahead <= 0) return;
    this.#position = version;
    this.#noteUse();
    if (event.type === "DELETED") this.#remove(keyOf(identityOf(event.object)), event.object);
    else if (event.type !== "BOOKMARK") this.#put(event.object);
  }

  #noteUse(): void {
    this.#useful = true;
    this.#failureCount = 0;
  }

  #put(received: T): void {
    const object = withoutManagedFields(received);
    const { uid, resourceVersion, ...name } = identityOf(object);
    const key = keyOf(name);
    const known = this.#objects.get(key);
    if (known && identityOf(known).uid !== uid) this.#remove(key);
    const previous = this.#objects.put(object);
    if (previous === undefined) this.#tellAll({ type: "added", key, object });
    else if (identityOf(previous).resourceVersion !== resourceVersion) {
      this.#tellAll({ type: "updated", key, object, previous });
    }
  }

  #remove(key: string, lastState?: T): void {
    const previous = this.#objects.delete(key);
    if (previous) this.#tellAll({ type: "deleted", key, object: lastState ?? previous });
  }

  #tellAll(change: ObjectChange<T>): void {
    for (const handler of this.#handlers) this.#tell(handler, change);
  }

  #tell(handler: ChangeHandler<T>, change: ObjectChange<T>): void {
    try {
      handler(change);
    } catch (error) {
      this.#handlerErrorCount++;
      this.#options.log("error", "a handler of changes failed", {
        resource: this.type.plural,
        key: change.key,
        ...errorFields(error),
      });
    }
  }
}

/** They are often more than half of an object, and nobody asks a store who owns a field. */
function withoutManagedFields<T extends KubeObject>(object: T): T {
  if (object.metadata?.managedFields === undefined) return object;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
