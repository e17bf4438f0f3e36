/**
 * Conditions on entities as SQL: one predicate over a document, whether it lies in a table or was folded by the reader.
 *
 * Promises that the text is made of the fragments below alone: paths and values are parameters, or hexadecimal digits in
 * the definition of an index, which can't have parameters. What a path means is what `entity.get` means by it.
 *
 * A field has two keys, which the index of createIndex holds: its number, and the first characters of its text in the
 * order of code points. A condition says with them what it says exactly besides, so that the planner can use the index;
 * it can because statements without a name are planned with their parameters as constants.
 */
import type { Condition } from "../core/entity-condition.ts";
import type { Json } from "../core/json.ts";
import { jsonbArray, textArray } from "../store/binary-arrays.ts";

/** A text with its parameters, numbered on from those before. */
export interface Predicate {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** A value in a document, as expressions of SQL. */
interface Field {
  readonly value: string;
  /** Its text when it is one. */
  readonly text: string;
  readonly textKey: string;
  readonly numberKey: string;
}

/** An index entry holds at most 2,704 bytes: a key of 200 characters and a type's name fit. */
const TEXT_KEY_LENGTH = 200;
/** What Postgres reads as an index of an array and `entity.get` does not. */
const LOOSE_INDEX = /^\s*[+-]?\d+$/u;
const ARRAY_INDEX = /^(?:0|[1-9]\d*)$/u;

/**
 * The predicate that all conditions hold.
 *
 * @param document - The expression of the document, of type jsonb.
 * @param firstParameter - The number of its first parameter.
 */
export function predicateOf(
  conditions: readonly Condition[],
  { document, firstParameter }: { readonly document: string; readonly firstParameter: number },
): Predicate {
  const values: unknown[] = [];
  const parameter = (value: unknown, type: string): string => {
    values.push(value);
    return `$${firstParameter + values.length - 1}::${type}`;
  };
  const parts = conditions.map((condition) => {
    const field = fieldAt(document, condition.path, (path) => parameter(textArray(path), "text[]"));
    return `(${compare(field, condition, parameter)})`;
  });
  return { text: parts.length === 0 ? "true" : parts.join(" and "), values };
}

/**
 * What an index on a path holds.
 *
 * @param kind - `btree` serves every operator but `$ne`, on numbers and texts; `gin` serves `$eq` with any value.
 */
export function indexExpressions(kind: "btree" | "gin", path: readonly string[]): string {
  const { value, numberKey, textKey } = fieldAt("snapshot", path, literalPath);
  return kind === "gin" ? `((${value})) jsonb_path_ops` : `entity_type, (${numberKey}), (${textKey})`;
}

function compare(
  field: Field,
  condition: Condition,
  parameter: (value: unknown, type: string) => string,
): string {
  const { value, text, textKey, numberKey } = field;
  switch (condition.operator) {
    case "$eq": {
      const wanted = parameter(JSON.stringify(condition.value), "jsonb");
      const exact = `${value} @> ${wanted} and ${value} = ${wanted}`;
      const key = keyOf(condition.value, parameter);
      if (key === undefined) return exact;
      const isText = typeof condition.value === "string";
      return isText
        ? `${numberKey} is null and ${textKey} = ${key} and ${exact}`
        : `${numberKey} = ${key} and ${exact}`;
    }
    case "$ne":
      return `(${value} = ${parameter(JSON.stringify(condition.value), "jsonb")}) is not true`;
    case "$gt":
    case "$gte":
    case "$lt":
    case "$lte": {
      const operator = ORDER[condition.operator];
      if (typeof condition.value === "number")
        return `${numberKey} ${operator} ${parameter(String(condition.value), "numeric")}`;
      const key = parameter(startOf(condition.value), "text");
      const wanted = parameter(condition.value, "text");
      // Texts may be equal as far as their keys go.
      return `${numberKey} is null and ${textKey} ${operator[0]}= ${key} and ${text} ${operator} ${wanted}`;
    }
    case "$in":
      return isOneOf(field, condition.value, parameter);
    case "$like": {
      const wanted = `${text} like ${parameter(condition.value, "text")}`;
      const start = literalStart(condition.value);
      return start === ""
        ? wanted
        : `${numberKey} is null and ${textKey} ^@ ${parameter(startOf(start), "text")} and ${wanted}`;
    }
  }
}

const ORDER = { $gt: ">", $gte: ">=", $lt: "<", $lte: "<=" } as const;

function isOneOf(
  { value, textKey, numberKey }: Field,
  wanted: readonly Json[],
  parameter: (value: unknown, type: string) => string,
): string {
  const exact = `${value} = any (${parameter(jsonbArray(wanted.map((item) => JSON.stringify(item))), "jsonb[]")})`;
  const texts = wanted.filter((item) => typeof item === "string");
  if (texts.length === wanted.length)
    return `${numberKey} is null and ${textKey} = any (${parameter(textArray(texts.map(startOf)), "text[]")}) and ${exact}`;
  const numbers = wanted.filter((item) => typeof item === "number");
  if (numbers.length === wanted.length)
    return `${numberKey} = any (${parameter(numbers.map(String), "numeric[]")}) and ${exact}`;
  return exact;
}

function keyOf(value: Json, parameter: (value: unknown, type: string) => string): string | undefined {
  if (typeof value === "string") return parameter(startOf(value), "text");
  return typeof value === "number" ? parameter(String(value), "numeric") : undefined;
}

/** The field of a path; `literal` gives the expression of a path. */
function fieldAt(
  document: string,
  path: readonly string[],
  literal: (path: readonly string[]) => string,
): Field {
  const whole = literal(path);
  const loose = path.flatMap((segment, level) =>
    LOOSE_INDEX.test(segment) && !ARRAY_INDEX.test(segment) ? [literal(path.slice(0, level))] : [],
  );
  // In an array such a segment names nothing: Postgres would count "-1" from its end.
  const guards = loose.map((parent) => `jsonb_typeof(${document} #> ${parent}) is distinct from 'array'`);
  const guarded = (expression: string): string =>
    guards.length === 0 ? `(${expression})` : `(case when ${guards.join(" and ")} then ${expression} end)`;
  const value = guarded(`${document} #> ${whole}`);
  const string = guarded(`${document} #>> ${whole}`);
  const text = `(case when jsonb_typeof(${value}) = 'string' then ${string} end) collate "C"`;
  return {
    value,
    text,
    textKey: `"left"((case when jsonb_typeof(${value}) = 'string' then ${string} end), ${TEXT_KEY_LENGTH}) collate "C"`,
    numberKey: `(case when jsonb_typeof(${value}) = 'number' then ${string}::numeric end)`,
  };
}

/** A path as a constant of SQL, of hexadecimal digits alone: E'\\U00000061' is 'a'. */
function literalPath(path: readonly string[]): string {
  const segments = path.map((segment) => `E'${Array.from(segment, escaped).join("")}'`);
  return `array[${segments.join(", ")}]::text[]`;
}

function escaped(character: string): string {
  return `\\U${(character.codePointAt(0) ?? 0).toString(16).padStart(8, "0")}`;
}

/** The first characters as Postgres counts them. */
function startOf(text: string): string {
  return text.length <= TEXT_KEY_LENGTH ? text : Array.from(text).slice(0, TEXT_KEY_LENGTH).join("");
}

/** What every text that matches a pattern begins with. */
function literalStart(pattern: string): string {
  return /^[^%_\\]*/u.exec(pattern)?.[0] ?? "";
}
