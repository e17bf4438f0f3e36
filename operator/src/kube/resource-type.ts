/**
 * Types of resources: how an object's group, version, kind and path belong together.
 *
 * The table lists what the operator touches of Kubernetes itself; our own kinds are described where they are used. A type
 * carries the TypeScript type of its objects, so that a client's answers are typed by what was asked for.
 */
import type { EventsV1Event, V1Lease } from "@kubernetes/client-node";
import type { KubeObject, ObjectName, Wire } from "./wire.ts";

/** One kind of object at the API server. */
export interface ResourceType<T extends KubeObject> {
  /** As in objects: `v1`, `apps/v1`. */
  readonly apiVersion: string;
  readonly kind: string;
  /** As in paths: `deployments`. */
  readonly plural: string;
  readonly namespaced: boolean;
  /** `metadata`: objects come without spec, status and data. */
  readonly detail: "full" | "metadata";
  /** Never there; ties the type of the objects to the description. */
  readonly objects?: T;
}

export type Lease = Wire<V1Lease>;
export type KubeEvent = Wire<EventsV1Event>;

export const LEASES: ResourceType<Lease> = namespaced("coordination.k8s.io/v1", "Lease", "leases");
export const EVENTS: ResourceType<KubeEvent> = namespaced("events.k8s.io/v1", "Event", "events");

/** Describes a type whose objects live in namespaces. */
export function namespaced<T extends KubeObject>(
  apiVersion: string,
  kind: string,
  plural: string,
): ResourceType<T> {
  return { apiVersion, kind, plural, namespaced: true, detail: "full" };
}

/**
 * The same type, of whose objects only the metadata is asked for: enough to learn that a Secret changed, without the right
 * or the memory to hold its data.
 */
export function metadataOf(type: ResourceType<KubeObject>): ResourceType<KubeObject> {
  return { ...type, detail: "metadata" };
}

/** The path of a collection: all namespaces when none is given. */
export function collectionPath(type: ResourceType<KubeObject>, namespace: string | undefined): string {
  const root = type.apiVersion.includes("/") ? `/apis/${type.apiVersion}` : `/api/${type.apiVersion}`;
  return namespace === undefined || !type.namespaced
    ? `${root}/${type.plural}`
    : `${root}/namespaces/${encodeURIComponent(namespace)}/${type.plural}`;
}

/**
 * The path of one object.
 *
 * @throws {TypeError} When its type has namespaces and none is given: the server would take it for another object.
 */
export function objectPath(
  type: ResourceType<KubeObject>,
  { name, namespace }: ObjectName,
  subresource?: string,
): string {
  if (type.namespaced && namespace === undefined) {
    throw new TypeError(`${type.kind} "${name}" needs a namespace`);
  }
  const path = `${collectionPath(type, namespace)}/${encodeURIComponent(name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}
