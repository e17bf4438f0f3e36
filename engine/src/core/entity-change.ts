/**
 * One operation on an entity, and the check that every operation passes before it is recorded.
 *
 * Promises that what passes can be folded, and stored as jsonb, at any depth that a document may reach. Does not limit
 * bytes: payload.ts does.
 */
import { ENTITY_DEPTH_MAX, assertKey, isStorable, parsePath } from "./entity-path.ts";
import { EntityError, describeValue } from "./errors.ts";
import type { Json } from "./json.ts";

/** One operation on an entity, as it is recorded. A path is dotted: `findings.0.title`. */
export type EntityChange =
  | { readonly op: "set"; readonly value: Json }
  | { readonly op: "merge"; readonly value: Json }
  | { readonly op: "append"; readonly path: string; readonly value: Json }
  | { readonly op: "prepend"; readonly path: string; readonly value: Json }
  | { readonly op: "remove"; readonly path: string; readonly index: number }
  | { readonly op: "increment"; readonly path: string; readonly by: number }
  | { readonly op: "toggle"; readonly path: string }
  | { readonly op: "setIfNotExists"; readonly path: string; readonly value: Json }
  | { readonly op: "delete"; readonly path: string };

/**
 * Checks an operation.
 *
 * @throws {EntityError} When a path or a key is bad or forbidden, a value is not JSON or too deep, `by` is no finite
 *   number, `index` no whole number, or a merged value no object.
 *
 * @example
 * checkChange({ op: "increment", path: "stats.runs", by: 1 });
 * checkChange({ op: "set", value: JSON.parse('{"__proto__":{}}') }); // throws EntityError: ENTITY_FORBIDDEN_KEY
 */
export function checkChange(change: EntityChange): void {
  switch (change.op) {
    case "set":
      return assertValue(change.value, "", ENTITY_DEPTH_MAX);
    case "merge":
      return assertMerged(change.value);
    case "append":
    case "prepend":
      // One level less: the array around the value.
      return assertValue(change.value, change.path, ENTITY_DEPTH_MAX - parsePath(change.path).length - 1);
    case "setIfNotExists":
      return assertValue(change.value, change.path, ENTITY_DEPTH_MAX - parsePath(change.path).length);
    case "remove":
      parsePath(change.path);
      if (!Number.isSafeInteger(change.index))
        throw badValue(change.path, change.index, "give a whole number as index");
      return;
    case "increment":
      parsePath(change.path);
      if (!Number.isFinite(change.by)) throw badValue(change.path, change.by, "increment by a finite number");
      return;
    case "toggle":
    case "delete":
      parsePath(change.path);
  }
}

function assertMerged(value: Json): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badValue("", value, "merge an object, or use set");
  }
  assertValue(value, "", ENTITY_DEPTH_MAX);
}

/** The type says Json, but it comes from user code: everything is asked. */
function assertValue(value: unknown, path: string, levels: number): void {
  if (value === null || typeof value === "boolean" || Number.isFinite(value)) return;
  if (typeof value === "string") {
    if (!isStorable(value))
      throw badValue(path, value, "remove U+0000 and half characters, Postgres cannot store them");
    return;
  }
  if (!isContainer(value)) throw badValue(path, value, "store what JSON can hold");
  if (levels <= 0) throw badValue(path, value, `keep the document within ${ENTITY_DEPTH_MAX} levels`);
  for (const [key, member] of Object.entries(value)) {
    const memberPath = path === "" ? key : `${path}.${key}`;
    assertKey(key, memberPath);
    assertValue(member, memberPath, levels - 1);
  }
}

function isContainer(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function badValue(path: string, value: unknown, remedy: string): EntityError {
  return new EntityError("ENTITY_BAD_VALUE", { path, problem: `was given ${describeValue(value)}`, remedy });
}
