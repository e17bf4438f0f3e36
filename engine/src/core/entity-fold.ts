/**
 * The fold of an entity's change log: what each operation makes of the document, and what it returns.
 *
 * Pure and deterministic: owners, hooks, replay and the checker share it, so the same log gives the same document
 * everywhere. Persistent: an input is never changed, what an operation does not touch is shared (an append copies the
 * spine of its own array alone), so who hands a value to user code clones it first. Does not number, store or limit the
 * log, and takes values as JSON holds them: who takes them from users encodes and decodes them before.
 */
import { EntityError } from "./errors.ts";
import type { EntityChange } from "./entity-change.ts";
import {
  assertKey,
  deleteAt,
  isArray,
  isObject,
  memberOf,
  mismatch,
  parsePath,
  readAt,
  updateAt,
} from "./entity-path.ts";
import type { Json, JsonObject } from "./json.ts";

export { checkChange } from "./entity-change.ts";
export type { EntityChange } from "./entity-change.ts";
export { cloneJson } from "./clone-json.ts";

/** The document after an operation, and what the operation returns; or why it was refused, with the document as it was. */
export type FoldResult =
  | { readonly document: Json; readonly value: Json }
  | { readonly document: Json; readonly error: EntityError };

/** The document of an entity that was never set. */
export const EMPTY_ENTITY: JsonObject = Object.freeze({});

/**
 * Applies one operation.
 *
 * @param document - The document before, `EMPTY_ENTITY` at first.
 * @param change - An operation that `checkChange` let through.
 * @returns For set, merge and delete the whole document, for append, prepend and remove the array, for increment the
 *   number, for toggle the boolean, for setIfNotExists the effective value.
 *
 * @example
 * foldChange({ findings: [] }, { op: "append", path: "findings", value: "a" }); // value: ["a"]
 * foldChange({ findings: 7 }, { op: "toggle", path: "findings" }); // error: ENTITY_TYPE_MISMATCH
 */
export function foldChange(document: Json, change: EntityChange): FoldResult {
  try {
    return applyChange(document, change);
  } catch (error) {
    if (error instanceof EntityError) return { document, error };
    throw error;
  }
}

/**
 * Reads a value.
 *
 * @param path - A dotted path; the whole document without one.
 * @returns `undefined` when nothing is there.
 * @throws {EntityError} When the path is none.
 */
export function readPath(document: Json, path?: string): Json | undefined {
  return path === undefined ? document : readAt(document, parsePath(path));
}

interface Applied {
  readonly document: Json;
  readonly value: Json;
}

function applyChange(document: Json, change: EntityChange): Applied {
  switch (change.op) {
    case "set":
      return whole(change.value);
    case "merge":
      return whole(mergeDeep(document, change.value));
    case "delete":
      return whole(deleteAt(document, parsePath(change.path)));
    case "remove":
      return removeItem(document, change.path, change.index);
    case "append":
      return updateLeaf(document, change.path, (leaf) => [...listOf(leaf, change.path), change.value]);
    case "prepend":
      return updateLeaf(document, change.path, (leaf) => [change.value, ...listOf(leaf, change.path)]);
    case "increment":
      return updateLeaf(document, change.path, (leaf) => addTo(leaf, change.by, change.path));
    case "toggle":
      return updateLeaf(document, change.path, (leaf) => toggled(leaf, change.path));
    case "setIfNotExists":
      return setIfNotExists(document, change.path, change.value);
  }
}

function whole(document: Json): Applied {
  return { document, value: document };
}

function updateLeaf(document: Json, path: string, update: (leaf: Json | undefined) => Json): Applied {
  let value: Json = null;
  const updated = updateAt(document, parsePath(path), (leaf) => (value = update(leaf)));
  return { document: updated, value };
}

/** Objects are merged at every level; anything else, null too, is replaced. */
function mergeDeep(target: Json | undefined, source: Json): Json {
  if (!isObject(source)) return source;
  const merged: Record<string, Json> = isObject(target) ? { ...target } : {};
  for (const key of Object.keys(source)) {
    assertKey(key, key);
    merged[key] = mergeDeep(memberOf(isObject(target) ? target : undefined, key), source[key] as Json);
  }
  return merged;
}

/** A stored null exists. */
function setIfNotExists(document: Json, path: string, value: Json): Applied {
  const leaf = readPath(document, path);
  return leaf === undefined ? updateLeaf(document, path, () => value) : { document, value: leaf };
}

/** Out of range, or with nothing at the path, nothing is removed; the last item leaves an empty array. */
function removeItem(document: Json, path: string, index: number): Applied {
  const segments = parsePath(path);
  const leaf = readAt(document, segments) ?? null;
  if (leaf === null) return { document, value: [] };
  if (!isArray(leaf)) throw mismatch(path, "an array", leaf);
  if (index < 0 || index >= leaf.length) return { document, value: leaf };
  const value = leaf.toSpliced(index, 1);
  return { document: updateAt(document, segments, () => value), value };
}

/** What an append finds: nothing and null are an empty array, a scalar becomes the first item. */
function listOf(leaf: Json | undefined, path: string): readonly Json[] {
  if (leaf === undefined || leaf === null) return [];
  if (isArray(leaf)) return leaf;
  if (isObject(leaf)) throw mismatch(path, "an array", leaf);
  return [leaf];
}

function addTo(leaf: Json | undefined, by: number, path: string): number {
  const before = leaf ?? 0;
  if (typeof before !== "number") throw mismatch(path, "a number", before);
  const sum = before + by;
  if (Number.isFinite(sum)) return sum;
  throw new EntityError("ENTITY_BAD_VALUE", {
    path,
    problem: `would become ${sum}`,
    remedy: "increment by less",
  });
}

function toggled(leaf: Json | undefined, path: string): boolean {
  const before = leaf ?? false;
  if (typeof before !== "boolean") throw mismatch(path, "a boolean", before);
  return !before;
}
