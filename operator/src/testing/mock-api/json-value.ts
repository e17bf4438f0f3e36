/** JSON as the mock API server holds it, and the ways into it. */
import { isDeepStrictEqual } from "node:util";

/** An object of JSON. */
export interface JsonObject {
  [name: string]: unknown;
}

/** The names that lead to a value. */
export type Path = readonly string[];

/** Whether a value has members of its own; lists do not, here. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A copy that shares nothing. */
export function copyOf<Value>(value: Value): Value {
  return structuredClone(value);
}

export function getAt(root: JsonObject, path: Path): unknown {
  let value: unknown = root;
  for (const name of path) value = isJsonObject(value) ? value[name] : undefined;
  return value;
}

export function setAt(root: JsonObject, path: Path, value: unknown): void {
  const last = path.at(-1);
  if (last === undefined) return;
  let parent = root;
  for (const name of path.slice(0, -1)) {
    const child = parent[name];
    parent = isJsonObject(child) ? child : (parent[name] = {});
  }
  parent[last] = value;
}

/** Removes a value, and the objects that it leaves empty. */
export function deleteAt(root: JsonObject, path: Path): void {
  const last = path.at(-1);
  const parent = getAt(root, path.slice(0, -1));
  if (last === undefined || !isJsonObject(parent)) return;
  delete parent[last];
  if (path.length > 1 && Object.keys(parent).length === 0) deleteAt(root, path.slice(0, -1));
}

/** The paths of all values that are not objects, and of empty objects. A list is one value. */
export function leafPaths(value: JsonObject, prefix: Path = []): Path[] {
  return Object.entries(value).flatMap(([name, member]) => {
    const path = [...prefix, name];
    return isJsonObject(member) && Object.keys(member).length > 0 ? leafPaths(member, path) : [path];
  });
}

export function isEqual(left: unknown, right: unknown): boolean {
  return isDeepStrictEqual(left, right);
}

/**
 * A JSON merge patch.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7396
 */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) return patch;
  const result: JsonObject = isJsonObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = mergePatch(result[name], value);
  }
  return result;
}
