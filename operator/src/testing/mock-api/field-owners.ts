/**
 * Server-side apply in the small: who owns which field.
 *
 * As in Kubernetes, an apply sets its fields, gives up those that its manager no longer names, and conflicts when it would
 * change a field of another manager, unless it is forced. Smaller than there: a list is one value, but for those of every
 * object that are merged by their items: conditions, finalizers and owner references.
 *
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */
import { copyOf, deleteAt, getAt, isEqual, leafPaths, setAt } from "./json-value.ts";
import type { JsonObject, Path } from "./json-value.ts";
import { keyLists, unkeyLists } from "./keyed-lists.ts";
import { Refusal } from "./refusal.ts";

/** Between a manager and the subresource through which it wrote. */
export const OWNER_SEPARATOR = "#";

/** The fields of each manager, or of a manager and a subresource, each path as its JSON. */
export type FieldOwners = ReadonlyMap<string, ReadonlySet<string>>;

/** An object and its owners. */
export interface OwnedObject {
  readonly object: JsonObject;
  readonly owners: FieldOwners;
}

/** What names the object belongs to nobody. */
const UNOWNED: ReadonlySet<string> = new Set(
  [
    ["apiVersion"],
    ["kind"],
    ...[
      "name",
      "namespace",
      "uid",
      "resourceVersion",
      "generation",
      "creationTimestamp",
      "managedFields",
    ].map((name) => ["metadata", name]),
  ].map((path) => JSON.stringify(path)),
);

function ownedPaths(object: JsonObject): Map<string, Path> {
  const paths = leafPaths(object).map((path) => [JSON.stringify(path), path] as const);
  return new Map(paths.filter(([text]) => !UNOWNED.has(text)));
}

/** Whose apply, of what, and whether it takes fields from others. */
export interface Apply {
  readonly manager: string;
  readonly config: JsonObject;
  readonly force: boolean;
}

/**
 * Applies a configuration.
 *
 * @throws {Refusal} 409 when another manager owns a field that would change.
 */
export function applyConfig(current: OwnedObject, { manager, config: listed, force }: Apply): OwnedObject {
  const config = keyLists(listed);
  const object = keyLists(current.object);
  const wanted = ownedPaths(config);
  const owners = new Map([...current.owners].map(([name, paths]) => [name, new Set(paths)]));
  for (const [text, path] of wanted) {
    if (isEqual(getAt(object, path), getAt(config, path))) continue;
    const others = [...owners].filter(([name, paths]) => name !== manager && paths.has(text));
    if (others.length > 0 && !force) {
      const names = others.map(([name]) => `"${name}"`).join(", ");
      throw new Refusal(
        409,
        "Conflict",
        `Apply failed with 1 conflict: conflict with ${names}: .${path.join(".")}`,
      );
    }
    for (const [, paths] of others) paths.delete(text);
    setAt(object, path, copyOf(getAt(config, path)));
  }
  const before = owners.get(manager) ?? new Set();
  owners.set(manager, new Set(wanted.keys()));
  const stillOwned = new Set([...owners.values()].flatMap((paths) => [...paths]));
  for (const text of before) if (!stillOwned.has(text)) deleteAt(object, JSON.parse(text) as Path);
  return { object: unkeyLists(object), owners };
}

/** After a change by other means than apply, its manager owns what it changed. */
export function ownChanges(
  current: OwnedObject,
  { manager, config }: Pick<Apply, "manager" | "config">,
): OwnedObject {
  const [stored, written] = [keyLists(current.object), keyLists(config)];
  const before = ownedPaths(stored);
  const after = ownedPaths(written);
  const changed = [...after].filter(
    ([text, path]) => !before.has(text) || !isEqual(getAt(stored, path), getAt(written, path)),
  );
  const owners = new Map(
    [...current.owners].map(([name, paths]) => [name, new Set([...paths].filter((text) => after.has(text)))]),
  );
  const own = owners.get(manager) ?? new Set();
  for (const [text] of changed) {
    for (const paths of owners.values()) paths.delete(text);
    own.add(text);
  }
  owners.set(manager, own);
  return { object: config, owners };
}

/** The owners as `metadata.managedFields` says them. */
export function managedFieldsOf(owners: FieldOwners, apiVersion: string): readonly JsonObject[] {
  return [...owners]
    .filter(([, paths]) => paths.size > 0)
    .map(([owner, paths]) => {
      const [manager, subresource] = owner.split(OWNER_SEPARATOR);
      const fieldsV1: JsonObject = {};
      for (const text of paths) {
        const path = JSON.parse(text) as Path;
        setAt(
          fieldsV1,
          path.map((name) => `f:${name}`),
          {},
        );
      }
      const through = subresource === undefined ? {} : { subresource };
      return { manager, operation: "Apply", apiVersion, fieldsType: "FieldsV1", fieldsV1, ...through };
    });
}
