/**
 * The objects of the mock API server, and the log of their changes.
 *
 * As the real one, it counts all changes by one revision, refuses a write that was made from an older state, keeps `status`
 * apart from the rest, counts generations, lets finalizers hold an object, and forgets old changes when told to. It has no
 * schemas, no defaults, no admission, no garbage collector, and no controllers: a Deployment never gets Pods.
 */
import { randomUUID } from "node:crypto";
import type { ResourceType } from "../../kube/resource-type.ts";
import { keyOf, nameOf } from "../../kube/wire.ts";
import type { KubeObject, ObjectName } from "../../kube/wire.ts";
import { Bell } from "../bell.ts";
import { applyConfig, managedFieldsOf, ownChanges, OWNER_SEPARATOR } from "./field-owners.ts";
import type { OwnedObject } from "./field-owners.ts";
import { copyOf, isEqual, isJsonObject } from "./json-value.ts";
import type { JsonObject } from "./json-value.ts";
import { Refusal } from "./refusal.ts";
import type { ObjectFilter } from "./selection.ts";

/** One change of one object. */
export interface LoggedChange {
  readonly revision: number;
  readonly plural: string;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubeObject;
  readonly previous: KubeObject | undefined;
}

/** How a write is to be taken. */
export interface WriteMeans {
  readonly manager: string;
  readonly subresource?: string | undefined;
}

/** What has to hold for a delete. */
export interface Preconditions {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

/** Revisions do not begin at 1, so that nobody takes them for indexes. */
const FIRST_REVISION = 1_000;
/** Set by the server, whatever a write says. */
const SERVER_FIELDS = [
  "uid",
  "resourceVersion",
  "generation",
  "creationTimestamp",
  "deletionTimestamp",
  "managedFields",
] as const;

/** All objects. */
export class MockCluster {
  /** Rings after each change. */
  readonly bell: Bell = new Bell();
  readonly #tables = new Map<string, Map<string, OwnedObject>>();
  readonly #log: LoggedChange[] = [];
  #revision = FIRST_REVISION;
  #compactedRevision = FIRST_REVISION;

  get revision(): number {
    return this.#revision;
  }

  /** Before this one, nothing is known any more. */
  get compactedRevision(): number {
    return this.#compactedRevision;
  }

  /** Forgets all changes until now: who watches from an earlier revision is told that it is gone. */
  compact(): void {
    this.#log.length = 0;
    this.#compactedRevision = this.#revision;
  }

  /** Goes back to an earlier count, as after a restore of etcd; the objects stay. */
  rewind(revision: number): void {
    this.#log.length = 0;
    this.#revision = revision;
    this.#compactedRevision = revision;
  }

  find<T extends KubeObject>(type: ResourceType<T>, name: ObjectName): T | undefined {
    const owned = this.#table(type).get(keyOf(name));
    return owned && (copyOf(owned.object) as T);
  }

  /** The objects of a selection in the order of their keys. */
  list<T extends KubeObject>(type: ResourceType<T>, isSelected: ObjectFilter = () => true): T[] {
    return [...this.#table(type)]
      .toSorted(([left], [right]) => (left < right ? -1 : 1))
      .map(([, { object }]) => copyOf(object) as T)
      .filter(isSelected);
  }

  /** The changes of a type since a revision, in order. */
  changesAfter(type: ResourceType<KubeObject>, revision: number): readonly LoggedChange[] {
    return this.#log.filter((change) => change.revision > revision && change.plural === type.plural);
  }

  create<T extends KubeObject>(type: ResourceType<T>, object: T, { manager }: WriteMeans = DIRECT): T {
    const name = nameOf(object);
    if (this.#table(type).has(keyOf(name))) {
      throw new Refusal(409, "AlreadyExists", `${type.plural} "${name.name}" already exists`);
    }
    const fresh = freshObject(type, object);
    return this.#store(type, ownChanges({ object: {}, owners: new Map() }, { manager, config: fresh })) as T;
  }

  /** Takes a whole object, which must name the resource version that it was made from, if it names one. */
  replace<T extends KubeObject>(type: ResourceType<T>, object: T, means: WriteMeans = DIRECT): T {
    const current = this.#require(type, nameOf(object));
    const { resourceVersion, uid } = object.metadata ?? {};
    const had = (current.object as KubeObject).metadata ?? {};
    if ((resourceVersion ?? had.resourceVersion) !== had.resourceVersion || (uid ?? had.uid) !== had.uid) {
      throw new Refusal(
        409,
        "Conflict",
        `Operation cannot be fulfilled on ${type.plural} "${had.name ?? ""}": the object has been modified`,
      );
    }
    const config = merged(current.object, copyOf(object), means.subresource);
    return this.#store(type, ownChanges(current, { manager: ownerOf(means), config })) as T;
  }

  apply<T extends KubeObject>(
    type: ResourceType<T>,
    config: T,
    { force, ...means }: WriteMeans & { readonly force: boolean },
  ): T {
    const current = this.#table(type).get(keyOf(nameOf(config)));
    if (!current && means.subresource !== undefined) throw notFound(type, nameOf(config));
    const { uid } = config.metadata ?? {};
    if (uid !== undefined && uid !== (current?.object as KubeObject | undefined)?.metadata?.uid) {
      throw new Refusal(409, "Conflict", `the uid of ${type.plural} "${nameOf(config).name}" is another`);
    }
    const narrowed = onlyPart(copyOf(config), means.subresource);
    const base = current ?? { object: freshObject(type, namedOnly(config)), owners: new Map() };
    return this.#store(type, applyConfig(base, { manager: ownerOf(means), config: narrowed, force })) as T;
  }

  delete(type: ResourceType<KubeObject>, name: ObjectName, preconditions: Preconditions = {}): KubeObject {
    const { object, owners } = this.#require(type, name);
    const metadata = (object as KubeObject).metadata ?? {};
    const { uid = metadata.uid, resourceVersion = metadata.resourceVersion } = preconditions;
    if (uid !== metadata.uid || resourceVersion !== metadata.resourceVersion) {
      throw new Refusal(409, "Conflict", `the preconditions of ${type.plural} "${name.name}" do not hold`);
    }
    if ((metadata.finalizers ?? []).length === 0) return this.#remove(type, object);
    const marked = copyOf(object);
    (marked["metadata"] as JsonObject)["deletionTimestamp"] ??= new Date().toISOString();
    return this.#store(type, { object: marked, owners });
  }

  #table(type: ResourceType<KubeObject>): Map<string, OwnedObject> {
    const table = this.#tables.get(type.plural) ?? new Map<string, OwnedObject>();
    this.#tables.set(type.plural, table);
    return table;
  }

  #require(type: ResourceType<KubeObject>, name: ObjectName): OwnedObject {
    const owned = this.#table(type).get(keyOf(name));
    if (!owned) throw notFound(type, name);
    return owned;
  }

  /** Takes a new state in; one that changes nothing leaves even the resource version alone. */
  #store(type: ResourceType<KubeObject>, { object, owners }: OwnedObject): KubeObject {
    const key = keyOf(nameOf(object));
    const before = this.#table(type).get(key)?.object;
    const metadata = object["metadata"] as JsonObject;
    metadata["managedFields"] = managedFieldsOf(owners, type.apiVersion);
    if (before && isEqual(object, before)) return copyOf(object);
    const { finalizers, deletionTimestamp } = metadata;
    if (deletionTimestamp !== undefined && (finalizers === undefined || isEqual(finalizers, []))) {
      return this.#remove(type, object);
    }
    if (before && !isEqual(desired(before), desired(object))) {
      metadata["generation"] = Number(metadata["generation"]) + 1;
    }
    metadata["resourceVersion"] = String(++this.#revision);
    this.#table(type).set(key, { object, owners });
    this.#note(type, before ? "MODIFIED" : "ADDED", object, before);
    return copyOf(object);
  }

  #remove(type: ResourceType<KubeObject>, last: JsonObject): KubeObject {
    const key = keyOf(nameOf(last));
    const before = this.#table(type).get(key)?.object;
    const object = copyOf(last);
    (object["metadata"] as JsonObject)["resourceVersion"] = String(++this.#revision);
    this.#table(type).delete(key);
    this.#note(type, "DELETED", object, before);
    return object;
  }

  #note(
    { plural }: ResourceType<KubeObject>,
    type: LoggedChange["type"],
    object: JsonObject,
    previous: JsonObject | undefined,
  ): void {
    const frozen = { object: copyOf(object) as KubeObject, previous: previous as KubeObject | undefined };
    this.#log.push({ revision: this.#revision, plural, type, ...frozen });
    this.bell.ring();
  }
}

/** Of a test that changes objects by hand. */
const DIRECT: WriteMeans = { manager: "test" };

/** A manager owns the fields that it writes through a subresource apart from its others: to apply the one gives up nothing of the other. */
function ownerOf({ manager, subresource }: WriteMeans): string {
  return subresource === undefined ? manager : `${manager}${OWNER_SEPARATOR}${subresource}`;
}

function notFound(type: ResourceType<KubeObject>, { name }: ObjectName): Refusal {
  return new Refusal(404, "NotFound", `${type.plural} "${name}" not found`);
}

function namedOnly(object: KubeObject): KubeObject {
  return { metadata: nameOf(object) as NonNullable<KubeObject["metadata"]> };
}

function freshObject(type: ResourceType<KubeObject>, object: KubeObject): JsonObject {
  const fresh = copyOf(object) as JsonObject;
  const metadata = (fresh["metadata"] ?? {}) as JsonObject;
  for (const name of SERVER_FIELDS) delete metadata[name];
  if (metadata["namespace"] === undefined) delete metadata["namespace"];
  return {
    ...fresh,
    apiVersion: type.apiVersion,
    kind: type.kind,
    metadata: {
      ...metadata,
      uid: randomUUID(),
      generation: 1,
      creationTimestamp: new Date().toISOString(),
    },
  };
}

/** A written object with what the server decides, and with what the write may not touch, from the stored one. */
function merged(stored: JsonObject, written: JsonObject, subresource: string | undefined): JsonObject {
  if (subresource === "status") return { ...stored, ...definedMember("status", written["status"]) };
  const metadata: JsonObject = { ...(written["metadata"] as JsonObject) };
  const storedMetadata = stored["metadata"] as JsonObject;
  for (const name of SERVER_FIELDS) {
    delete metadata[name];
    if (storedMetadata[name] !== undefined) metadata[name] = storedMetadata[name];
  }
  const { status: _, ...rest } = written;
  return {
    ...rest,
    apiVersion: stored["apiVersion"],
    kind: stored["kind"],
    metadata,
    ...definedMember("status", stored["status"]),
  };
}

/** Of an applied configuration, the part that its path lets through. */
function onlyPart(config: JsonObject, subresource: string | undefined): JsonObject {
  const { status, ...rest } = config;
  return subresource === "status" ? { ...namedPart(config), ...definedMember("status", status) } : rest;
}

function namedPart({ apiVersion, kind, metadata }: JsonObject): JsonObject {
  const { name, namespace } = isJsonObject(metadata) ? metadata : {};
  return { apiVersion, kind, metadata: { name, ...definedMember("namespace", namespace) } };
}

function definedMember(name: string, value: unknown): JsonObject {
  return value === undefined ? {} : { [name]: value };
}

/** What the generation counts the changes of: all but metadata and status. */
function desired(object: JsonObject): JsonObject {
  const { metadata: _metadata, status: _status, ...rest } = object;
  return rest;
}
