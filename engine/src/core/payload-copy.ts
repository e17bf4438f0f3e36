/**
 * The close look at a payload: copies it into plain JSON values, as `JSON.stringify` would write it, and stops at the
 * first thing that would be lost, with its path.
 */
import { PayloadError, describeValue } from "./errors.ts";
import { joinIndex, joinKey } from "./json-path.ts";

/** How large the payload may be, and the name of its field. */
export interface CopyLimits {
  readonly field: string;
  readonly limitBytes: number;
  readonly depthMax: number;
}

/**
 * Copies a value.
 *
 * @returns Plain arrays, objects, texts, numbers, booleans and null; `undefined` when a `toJSON` says so.
 * @throws {PayloadError} With the path of the first obstacle.
 */
export function copyPlain(value: unknown, limits: CopyLimits): unknown {
  return copyValue(
    { value, key: "", path: limits.field },
    { limits, above: [], bytesLeft: limits.limitBytes },
  );
}

/** `new Number(7)` and its like, which JSON writes as what is in them. */
const BOX_TAGS: ReadonlySet<string> = new Set(["Number", "String", "Boolean", "BigInt"]);

interface CopyState {
  readonly limits: CopyLimits;
  /** The objects on the way down, to find a circle. */
  readonly above: object[];
  /** Also ends the copy of an object that is shared a million times. */
  bytesLeft: number;
}

/** A value and where it was found. */
interface Found {
  readonly value: unknown;
  readonly key: string;
  readonly path: string;
}

function copyValue(found: Found, state: CopyState): unknown {
  const value = unbox(askToJson(found));
  switch (typeof value) {
    case "string":
      return spend(value, value.length + 2, state);
    case "number":
      if (Number.isFinite(value)) return spend(value, 1, state);
      throw obstacle(found, state, { problem: `is ${value}`, remedy: "send null or a text" });
    case "boolean":
      return spend(value, 4, state);
    case "undefined":
      return undefined;
    case "object":
      return value === null ? copyNull(found, state) : copyObject(value, found, state);
    case "bigint":
      throw obstacle(found, state, { problem: `is a BigInt`, remedy: "send it as a text" });
    default:
      throw obstacle(found, state, { problem: `is ${describeValue(value)}`, remedy: "leave it out" });
  }
}

/** A Date without a time says null, and would come back as that. */
function copyNull(found: Found, state: CopyState): null {
  if (!(found.value instanceof Date)) return spend(null, 4, state);
  throw obstacle(found, state, { problem: "is a Date without a time", remedy: "send null or a valid Date" });
}

/** As JSON.stringify does: the method gets the key, and its answer is not asked again. */
function askToJson({ value, key }: Found): unknown {
  if (
    value === null ||
    (typeof value !== "object" && typeof value !== "function" && typeof value !== "bigint")
  ) {
    return value;
  }
  const toJson: unknown = Reflect.get(Object(value) as object, "toJSON", value);
  return typeof toJson === "function" ? Reflect.apply(toJson, value, [key]) : value;
}

function unbox(value: unknown): unknown {
  return typeof value === "object" && value !== null && BOX_TAGS.has(tagOf(value)) ? value.valueOf() : value;
}

function copyObject(value: object, found: Found, state: CopyState): unknown {
  const { above, limits } = state;
  if (above.includes(value)) {
    throw obstacle(found, state, { problem: "is a circle, it holds itself", remedy: "send an id instead" });
  }
  if (above.length >= limits.depthMax) {
    throw new PayloadError("PAYLOAD_TOO_DEEP", {
      field: limits.field,
      path: found.path,
      problem: `is more than ${limits.depthMax} levels deep`,
      remedy: "make it flatter",
      limit: limits.depthMax,
    });
  }
  above.push(value);
  const copy = Array.isArray(value) ? copyItems(value, found, state) : copyMembers(value, found, state);
  above.pop();
  return copy;
}

function copyItems(list: readonly unknown[], { path }: Found, state: CopyState): unknown[] {
  const items: unknown[] = spend([], 1, state);
  for (let index = 0; index < list.length; index++) {
    items.push(copyValue({ value: list[index], key: String(index), path: joinIndex(path, index) }, state));
    // The comma; the last one counts for the bracket.
    spend(undefined, 1, state);
  }
  return items;
}

function copyMembers(value: object, found: Found, state: CopyState): object {
  const keys = Object.keys(value);
  if (losesItsContent(value, keys)) {
    throw obstacle(found, state, {
      problem: `is a ${tagOf(value)}, whose content JSON loses`,
      remedy: "turn it into an array, a plain object or a text",
    });
  }
  const entries: [string, unknown][] = spend([], 2, state);
  for (const key of keys) {
    const member = copyValue({ value: Reflect.get(value, key), key, path: joinKey(found.path, key) }, state);
    if (member === undefined) continue;
    spend(undefined, key.length + 3, state);
    entries.push([key, member]);
  }
  // Not by assignment: a key `__proto__` stays a key.
  return Object.fromEntries(entries);
}

/** A Map, a Promise or a RegExp would become {}, an Error lose its message, bytes an object of indexes. */
function losesItsContent(value: object, keys: readonly string[]): boolean {
  if (value instanceof Error || ArrayBuffer.isView(value)) return true;
  return keys.length === 0 && !["Object", "Arguments"].includes(tagOf(value));
}

function tagOf(value: object): string {
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}

function spend<Value>(value: Value, bytes: number, state: CopyState): Value {
  state.bytesLeft -= bytes;
  if (state.bytesLeft >= 0) return value;
  const { field, limitBytes } = state.limits;
  throw new PayloadError("PAYLOAD_TOO_LARGE", {
    field,
    problem: `is over the limit of ${limitBytes} bytes of JSON`,
    remedy: "keep it elsewhere and hand over its address",
    limit: limitBytes,
  });
}

function obstacle(
  { path }: Found,
  { limits }: CopyState,
  words: { readonly problem: string; readonly remedy: string },
): PayloadError {
  return new PayloadError("PAYLOAD_NOT_SERIALIZABLE", { field: limits.field, path, ...words });
}
