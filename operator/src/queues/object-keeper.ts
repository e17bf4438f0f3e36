/**
 * Keeps objects in the cluster as they are wanted, by server-side apply, and writes only where that makes a difference.
 *
 * A hash of what was applied stands on each object, so that what is not wanted any more is noticed too. A server may write a
 * value in another way (`1000m` is `1`); so what it made of an apply is remembered, and not applied again.
 */
import { FIELD_MANAGERS } from "../api/index.ts";
import { compareResourceVersions, keyOf, metadataOf, nameOf } from "../kube/index.ts";
import type { Clock, KubeClient, KubeObject, ObjectName, ResourceType } from "../kube/index.ts";
import { hashOf } from "./build-names.ts";
import { canonicalJson } from "./core/canonical-json.ts";
import { covers } from "./core/covers.ts";

/** On each object: changes with what the operator wants of it. */
export const APPLIED_ANNOTATION = "memflow.io/applied";
/** Written by the cluster's own controllers, at any time. */
const FOREIGN_ANNOTATION = "deployment.kubernetes.io/revision";
/** In place of a hash: there should be no such object. */
const GONE = "gone";

/** An object to keep. */
export interface Wanted<T extends KubeObject> {
  readonly type: ResourceType<T>;
  readonly object: T;
  /** As far as the caller knows; undefined when it is not there. */
  readonly actual: T | undefined;
}

/** With what a write is made. */
export interface KeepContext {
  readonly client: KubeClient;
  readonly signal: AbortSignal;
}

interface Applied {
  readonly mark: string;
  readonly object: KubeObject;
}

/** How often what nobody follows is looked at. */
interface KeeperOptions {
  readonly clock: Clock;
  readonly resyncMs: number;
}

/** Remembers what it has applied. */
export class ObjectKeeper {
  readonly #options: KeeperOptions;
  readonly #applied = new Map<string, Applied>();
  /** When objects that nobody follows were seen as they should be. */
  readonly #seen = new Map<string, { readonly mark: string; readonly atMs: number }>();

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** @returns The object as the server has it now. */
  async keep<T extends KubeObject>(wanted: Wanted<T>, { client, signal }: KeepContext): Promise<T> {
    const { type, object } = wanted;
    const key = keptKey(wanted);
    const mark = hashOf(canonicalJson(object));
    const marked = withMark(object, mark);
    const known = this.#applied.get(key);
    const actual = newest(wanted.actual, known?.object as T | undefined);
    if (actual !== undefined) {
      if (covers(actual, marked)) return actual;
      if (known?.mark === mark && stateOf(known.object) === stateOf(actual)) return actual;
    }
    const applied = await client.apply(type, marked, { fieldManager: FIELD_MANAGERS.queues, signal });
    this.#applied.set(key, { mark, object: applied });
    return applied;
  }

  /** Keeps an object of a type that is not followed: it is read once, and again after `resyncMs`. */
  async keepUnfollowed<T extends KubeObject>(
    wanted: Omit<Wanted<T>, "actual">,
    context: KeepContext,
  ): Promise<void> {
    const { type, object } = wanted;
    const key = keptKey(wanted);
    const mark = hashOf(canonicalJson(object));
    const nowMs = this.#options.clock.steadyMs();
    const seen = this.#seen.get(key);
    if (seen?.mark === mark && nowMs - seen.atMs < this.#options.resyncMs) return;
    const actual = await context.client.find(type, nameOf(object), { signal: context.signal });
    await this.keep({ ...wanted, actual }, context);
    this.#seen.set(key, { mark, atMs: nowMs });
  }

  /** Deletes an object of a type that is not followed, if it is there; asked again, not before `resyncMs`. */
  async dropUnfollowed(
    type: ResourceType<KubeObject>,
    name: ObjectName,
    { client, signal }: KeepContext,
  ): Promise<void> {
    const key = `${type.plural}/${keyOf(name)}`;
    const nowMs = this.#options.clock.steadyMs();
    const seen = this.#seen.get(key);
    if (seen?.mark === GONE && nowMs - seen.atMs < this.#options.resyncMs) return;
    // A look costs less than a write of which nothing comes.
    const actual = await client.find(metadataOf(type), name, { signal });
    if (actual !== undefined) await client.delete(type, name, { signal });
    this.#applied.delete(key);
    this.#seen.set(key, { mark: GONE, atMs: nowMs });
  }

  /** Drops what is remembered of an object, which has been deleted. */
  forget(type: ResourceType<KubeObject>, name: ObjectName): void {
    const key = `${type.plural}/${keyOf(name)}`;
    this.#applied.delete(key);
    this.#seen.delete(key);
  }
}

function keptKey<T extends KubeObject>({ type, object }: Omit<Wanted<T>, "actual">): string {
  return `${type.plural}/${keyOf(nameOf(object))}`;
}

/** What a reflector shows may be older than what we have written; what it does not show may be gone, or not seen yet. */
function newest<T extends KubeObject>(seen: T | undefined, written: T | undefined): T | undefined {
  if (seen === undefined || written === undefined) return seen;
  if (seen.metadata?.uid !== written.metadata?.uid) return seen;
  const { resourceVersion: left = "" } = seen.metadata ?? {};
  const { resourceVersion: right = "" } = written.metadata ?? {};
  return (compareResourceVersions(left, right) ?? 0) < 0 ? written : seen;
}

function withMark<T extends KubeObject>(object: T, mark: string): T {
  const annotations = { ...object.metadata?.annotations, [APPLIED_ANNOTATION]: mark };
  return { ...object, metadata: { ...object.metadata, annotations } };
}

/** What others than the cluster's own controllers may have changed, but for replicas. */
function stateOf(object: KubeObject): string {
  const {
    metadata,
    status: _status,
    spec,
    ...rest
  } = object as KubeObject & {
    readonly status?: unknown;
    readonly spec?: Readonly<Record<string, unknown>>;
  };
  const { replicas: _replicas, ...wantedSpec } = spec ?? {};
  const { [FOREIGN_ANNOTATION]: _foreign, ...annotations } = metadata?.annotations ?? {};
  const { labels, ownerReferences } = metadata ?? {};
  return canonicalJson({ ...rest, spec: wantedSpec, labels, annotations, ownerReferences });
}
