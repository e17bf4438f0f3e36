/**
 * Paths into an entity's document: dotted keys and array indexes, `findings.0.title`.
 *
 * Promises that a document is never changed: an update copies the containers on its path and shares the rest. A write
 * makes the parents that are missing (or null), as objects.
 */
import { EntityError, describeValue } from "./errors.ts";
import type { Json, JsonObject } from "./json.ts";

/** Levels of a document: containers around a value, the outermost included. */
export const ENTITY_DEPTH_MAX = 100;

/** Code units of a path. */
export const ENTITY_PATH_LENGTH_MAX = 4096;

const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(["__proto__", "prototype", "constructor"]);
const ARRAY_INDEX = /^(?:0|[1-9]\d{0,9})$/;

/**
 * Splits a path.
 *
 * @throws {EntityError} When it is empty, too long, too deep, has an empty part, or names a forbidden key.
 */
export function parsePath(path: string): readonly string[] {
  if (typeof path !== "string" || path === "" || path.length > ENTITY_PATH_LENGTH_MAX) {
    throw badPath(path, `is no path of 1 to ${ENTITY_PATH_LENGTH_MAX} characters`);
  }
  const segments = path.split(".");
  if (segments.length > ENTITY_DEPTH_MAX) throw badPath(path, `is over ${ENTITY_DEPTH_MAX} levels deep`);
  for (const segment of segments) {
    if (segment === "") throw badPath(path, "has an empty part");
    assertKey(segment, path);
  }
  return segments;
}

/**
 * Refuses a key that could reach into an object's prototype, or that Postgres cannot store.
 *
 * @param key - The key itself.
 * @param path - Where it is, for the message.
 */
export function assertKey(key: string, path: string): void {
  if (FORBIDDEN_KEYS.has(key)) {
    throw new EntityError("ENTITY_FORBIDDEN_KEY", {
      path,
      problem: `has the forbidden key "${key}"`,
      remedy: "use another name",
    });
  }
  if (!isStorable(key)) throw badPath(path, "has a key with U+0000 or half a character");
}

/** Tells whether jsonb takes a text: it refuses U+0000 and lone surrogates. */
export function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes("\0");
}

/** The value at a path; `undefined` when nothing is there. */
export function readAt(document: Json, segments: readonly string[]): Json | undefined {
  let value: Json | undefined = document;
  for (const segment of segments) value = memberOf(value, segment);
  return value;
}

/**
 * A document with the value at a path replaced.
 *
 * @param update - Gets the value that is there, `undefined` for none.
 * @throws {EntityError} When a parent can have no such member.
 */
export function updateAt(
  document: Json,
  segments: readonly string[],
  update: (leaf: Json | undefined) => Json,
): Json {
  const updateFrom = (container: Json | undefined, level: number): Json => {
    const segment = segments[level];
    if (segment === undefined) return update(container);
    // The container first: a refused write must not have asked for its value.
    assertContainer(container, segments, level);
    return withMember(container, segment, updateFrom(memberOf(container, segment), level + 1));
  };
  return updateFrom(document, 0);
}

/** A document without the value at a path; the same document when nothing is there. */
export function deleteAt(document: Json, segments: readonly string[]): Json {
  if (readAt(document, segments) === undefined) return document;
  const parent = segments.slice(0, -1);
  const last = segments[segments.length - 1] as string;
  return updateAt(document, parent, (container) => withoutMember(container as Json, last));
}

/** The error of a value that has not the type that an operation needs. */
export function mismatch(path: string, expected: string, actual: Json): EntityError {
  return new EntityError("ENTITY_TYPE_MISMATCH", {
    path,
    problem: `holds ${describeValue(actual)}, not ${expected}`,
    remedy: "set it first",
  });
}

export function isArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A member that is the value's own: a document has no `toString`. */
export function memberOf(value: Json | undefined, segment: string): Json | undefined {
  if (isArray(value)) return ARRAY_INDEX.test(segment) ? value[Number(segment)] : undefined;
  return isObject(value) && Object.hasOwn(value, segment) ? value[segment] : undefined;
}

function withMember(container: Json | undefined, segment: string, member: Json): Json {
  if (isArray(container)) return container.toSpliced(Number(segment), 1, member);
  return isObject(container) ? { ...container, [segment]: member } : { [segment]: member };
}

function withoutMember(container: Json, segment: string): Json {
  if (isArray(container)) return container.toSpliced(Number(segment), 1);
  return Object.fromEntries(Object.entries(container as JsonObject).filter(([key]) => key !== segment));
}

/** What can take the member: nothing and null (they become an object), an object, an array up to its end. */
function assertContainer(container: Json | undefined, segments: readonly string[], level: number): void {
  if (container === undefined || container === null || isObject(container)) return;
  const path = segments.slice(0, level).join(".");
  if (!isArray(container)) throw mismatch(path, "an object or array", container);
  const segment = segments[level] as string;
  if (!ARRAY_INDEX.test(segment)) throw mismatch(path, `an object, as "${segment}" is no index`, container);
  if (Number(segment) > container.length) {
    throw badPath(
      segments.slice(0, level + 1).join("."),
      `is beyond the end of an array of ${container.length}`,
    );
  }
}

function badPath(path: string, problem: string): EntityError {
  return new EntityError("ENTITY_BAD_PATH", {
    path,
    problem,
    remedy: 'give keys and indexes, such as "findings.0.title"',
  });
}
