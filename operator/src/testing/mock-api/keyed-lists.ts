/**
 * Lists that a server-side apply merges item by item, as maps while it does so.
 *
 * @see https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
 */
import { copyOf, getAt, isJsonObject, setAt } from "./json-value.ts";
import type { JsonObject, Path } from "./json-value.ts";

/** Where they are, and by which member of its items each is keyed; a set is keyed by its items themselves. */
const LISTS: readonly { readonly path: Path; readonly key: string | undefined }[] = [
  { path: ["status", "conditions"], key: "type" },
  { path: ["metadata", "ownerReferences"], key: "uid" },
  { path: ["metadata", "finalizers"], key: undefined },
];

/** A copy with those lists as maps. */
export function keyLists(object: JsonObject): JsonObject {
  const copy = copyOf(object);
  for (const { path, key } of LISTS) {
    const list = getAt(copy, path);
    if (!Array.isArray(list)) continue;
    const entries = list.map((item: unknown): [string, unknown] => [keyIn(item, key), item]);
    setAt(copy, path, Object.fromEntries(entries));
  }
  return copy;
}

/** A copy with them as lists again. */
export function unkeyLists(object: JsonObject): JsonObject {
  const copy = copyOf(object);
  for (const { path } of LISTS) {
    const map = getAt(copy, path);
    if (isJsonObject(map)) setAt(copy, path, Object.values(map));
  }
  return copy;
}

function keyIn(item: unknown, key: string | undefined): string {
  return String(key !== undefined && isJsonObject(item) ? item[key] : item);
}
