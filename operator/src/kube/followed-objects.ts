/**
 * Objects of one type that are followed: by one reflector, or by one for each of several namespaces.
 *
 * Promises of several together what a reflector promises of its own; a key is never looked for in another namespace's.
 */
import type { ReadableStore } from "./object-store.ts";
import type { ChangeHandler, Reflector, ReflectorState } from "./reflector.ts";
import type { ResourceType } from "./resource-type.ts";
import { parseKey } from "./wire.ts";
import type { KubeObject } from "./wire.ts";

/** What those who reconcile, and the runtime, see of a reflector. */
export interface FollowedObjects<T extends KubeObject> {
  readonly type: ResourceType<T>;
  readonly store: ReadableStore<T>;
  readonly state: ReflectorState;
  start(): void;
  stop(): Promise<void>;
  whenSynced(): Promise<void>;
  onChange(handler: ChangeHandler<T>): () => void;
}

/**
 * Joins the reflectors of several namespaces.
 *
 * @param byNamespace - One for each; at least one, all of the same type and with the same indexes.
 */
export function followNamespaces<T extends KubeObject>(
  byNamespace: ReadonlyMap<string, Reflector<T>>,
): FollowedObjects<T> {
  const parts = [...byNamespace.values()];
  const [first] = parts;
  if (first === undefined) throw new TypeError("no namespace to follow: name at least one");
  const store: ReadableStore<T> = {
    get size() {
      return parts.reduce((sum, part) => sum + part.store.size, 0);
    },
    get: (key) => byNamespace.get(parseKey(key).namespace ?? "")?.store.get(key),
    keys: () => parts.flatMap((part) => part.store.keys()),
    list: () => parts.flatMap((part) => part.store.list()),
    find: (index, value) => parts.flatMap((part) => part.store.find(index, value)),
  };
  return {
    type: first.type,
    store,
    get state() {
      return joined(parts.map((part) => part.state));
    },
    start: () => {
      for (const part of parts) part.start();
    },
    stop: async () => void (await Promise.all(parts.map((part) => part.stop()))),
    whenSynced: async () => void (await Promise.all(parts.map((part) => part.whenSynced()))),
    onChange: (handler) => {
      const ends = parts.map((part) => part.onChange(handler));
      return () => {
        for (const end of ends) end();
      };
    },
  };
}

/** As well as the worst of them. */
function joined(states: readonly ReflectorState[]): ReflectorState {
  const sum = (read: (state: ReflectorState) => number): number =>
    states.reduce((total, state) => total + read(state), 0);
  return {
    synced: states.every((state) => state.synced),
    silentMs: Math.max(...states.map((state) => state.silentMs)),
    sinceListMs: Math.max(...states.map((state) => state.sinceListMs)),
    listCount: sum((state) => state.listCount),
    watchCount: sum((state) => state.watchCount),
    failureCount: Math.max(...states.map((state) => state.failureCount)),
    lastError: states.find((state) => state.failureCount > 0)?.lastError,
    handlerErrorCount: sum((state) => state.handlerErrorCount),
  };
}
