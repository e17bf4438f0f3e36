/** What a controller is made of: whose changes concern it, and how it brings one object to what it should be. */
import type { FollowedObjects } from "./followed-objects.ts";
import type { KubeClient } from "./kube-client.ts";
import type { KubeObject } from "./wire.ts";
import type { Processed } from "./work-queue.ts";

/** What a reconcile works with, for as long as this leadership lasts. */
export interface ReconcileContext {
  /** Writes only while the leadership lasts. */
  readonly client: KubeClient;
  /** Aborts when the reconcile takes too long or is no longer wanted. */
  readonly signal: AbortSignal;
  readonly fencingToken: number;
  /** @throws {LeadershipLostError} From the moment on when another one may lead. For writes elsewhere than to the API server. */
  assertCurrent(): void;
}

/** Brings what a key names to what it should be; looks at everything, and relies on no particular change having been seen. */
export type Reconcile = (key: string, context: ReconcileContext) => Promise<Processed | undefined>;

/** A controller. */
export interface Controller {
  /** For logs. */
  readonly name: string;
  readonly reconcile: Reconcile;
  readonly sources: readonly Source[];
  /** Keys at a time (default 4). */
  readonly concurrency?: number;
}

/** Where keys come from. */
export interface Source {
  /** What it needs the runtime to start, to await and to stop. */
  readonly reflector: Pick<FollowedObjects<KubeObject>, "type" | "start" | "stop" | "whenSynced" | "state">;
  /** Passes keys on, those of what is there first. @returns Ends it. */
  connect(add: (key: string) => void): () => void;
}

/**
 * A source whose changes concern the objects that `keysOf` names.
 *
 * @param keysOf - Default: the object itself. It is asked about the old and the new state of a changed object, so that a
 *   reference that was taken away concerns whom it pointed to.
 * @param hasNews - Whether a change of an object is to be told at all; default: each is.
 */
export function sourceOf<T extends KubeObject>(
  reflector: FollowedObjects<T>,
  keysOf?: (object: T, key: string) => Iterable<string>,
  hasNews: (object: T, previous: T) => boolean = () => true,
): Source {
  const find = keysOf ?? ((_object: T, key: string) => [key]);
  return {
    reflector,
    connect: (add) =>
      reflector.onChange((change) => {
        if (change.type === "updated" && !hasNews(change.object, change.previous)) return;
        const keys = new Set(find(change.object, change.key));
        if (change.type === "updated") for (const key of find(change.previous, change.key)) keys.add(key);
        for (const key of keys) add(key);
      }),
  };
}

/**
 * Whether anything is wanted otherwise of an object than before, its end included: for those who read no status of it. Of a kind with a
 * status of its own, whose generation the server counts.
 */
export function hasSpecNews({ metadata }: KubeObject, { metadata: previous }: KubeObject): boolean {
  return (
    metadata?.generation !== previous?.generation ||
    metadata?.deletionTimestamp !== previous?.deletionTimestamp
  );
}
