/**
 * Objects as they travel: the JSON that the API server sends and takes.
 *
 * The models are those of @kubernetes/client-node, with times as the text that JSON has: nothing is converted on the way, so
 * an object that was read and written again is the same to the last field, also where our model is older than the server.
 */
import type { KubernetesListObject, KubernetesObject, V1Scale, V1Status } from "@kubernetes/client-node";

type IsAny<Value> = 0 extends 1 & Value ? true : false;

/** client-node writes names that are words of some language with an underscore: `_continue`. */
type WireKey<Key> = Key extends `_${infer Name}` ? Name : Key;

/** A model of client-node as its JSON. */
export type Wire<Model> =
  IsAny<Model> extends true
    ? unknown
    : Model extends Date
      ? string
      : Model extends (infer Item)[]
        ? Wire<Item>[]
        : Model extends object
          ? { [Key in keyof Model as WireKey<Key>]: Wire<Model[Key]> }
          : Model;

/** What any object of the API has. */
export type KubeObject = Wire<KubernetesObject>;

/** A list of objects; the items lack apiVersion and kind. */
export type KubeList<T extends KubeObject> = Omit<Wire<KubernetesListObject<KubernetesObject>>, "items"> & {
  readonly items: readonly T[];
};

export type Scale = Wire<V1Scale>;
export type Status = Wire<V1Status>;

/** Names one object of a known type. */
export interface ObjectName {
  readonly name: string;
  /** Left out for types without namespaces. */
  readonly namespace?: string | undefined;
}

/** What an object that the server has is sure to have. */
export interface Identity extends ObjectName {
  readonly uid: string;
  readonly resourceVersion: string;
}

/**
 * The key of an object within its type: `namespace/name`, or `name` alone.
 */
export function keyOf({ name, namespace }: ObjectName): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** Reads a key of `keyOf` back. */
export function parseKey(key: string): ObjectName {
  const slash = key.indexOf("/");
  return slash === -1 ? { name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/**
 * The name of an object.
 *
 * @throws {TypeError} When it has none.
 */
export function nameOf(object: KubeObject): ObjectName {
  const { name, namespace } = object.metadata ?? {};
  if (name === undefined) throw new TypeError(`object of kind "${object.kind ?? "?"}" lacks metadata.name`);
  return { name, namespace };
}

/**
 * Name and version of an object that came from the server.
 *
 * @throws {TypeError} When it lacks them: then it did not come from a server.
 */
export function identityOf(object: KubeObject): Identity {
  const { name, namespace, uid, resourceVersion } = object.metadata ?? {};
  if (name === undefined || uid === undefined || resourceVersion === undefined) {
    throw new TypeError(
      `object "${object.kind ?? "?"}/${name ?? "?"}" lacks metadata.name, uid or resourceVersion: pass one that the API server sent`,
    );
  }
  return { name, namespace, uid, resourceVersion };
}

/**
 * Compares two resource versions of one type.
 *
 * @returns Below 0 when `left` is older, above 0 when newer, 0 when equal; undefined when one of them is not a decimal number,
 *   about which only the server could tell.
 * @see https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions
 */
export function compareResourceVersions(left: string, right: string): number | undefined {
  if (!DECIMAL.test(left) || !DECIMAL.test(right)) return undefined;
  if (left.length !== right.length) return left.length - right.length;
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

const DECIMAL = /^(?:0|[1-9]\d*)$/u;
