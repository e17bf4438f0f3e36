/**
 * Conditions on entities: what a search from outside asks of a document, parsed and checked.
 *
 * Promises that what passes can be asked of Postgres without an error of Postgres. Says nothing of how it is asked: see
 * client/entity-predicate.ts.
 */
import { assertKey, isStorable, parsePath } from "./entity-path.ts";
import { EntityError, describeValue } from "./errors.ts";
import type { Json } from "./json.ts";

/** The operators, and what they are called where field, operator and value are three arguments. */
const OPERATORS = {
  $eq: "$eq",
  $ne: "$ne",
  $gt: "$gt",
  $gte: "$gte",
  $lt: "$lt",
  $lte: "$lte",
  $in: "$in",
  $like: "$like",
  "=": "$eq",
  "!=": "$ne",
  ">": "$gt",
  ">=": "$gte",
  "<": "$lt",
  "<=": "$lte",
  IN: "$in",
  LIKE: "$like",
} as const;

/** What a condition compares by. */
export type ConditionOperator = (typeof OPERATORS)[keyof typeof OPERATORS];

/** One condition: the value at the path compares so. */
export type Condition =
  | { readonly path: readonly string[]; readonly operator: "$eq" | "$ne"; readonly value: Json }
  | {
      readonly path: readonly string[];
      readonly operator: "$gt" | "$gte" | "$lt" | "$lte";
      readonly value: number | string;
    }
  | { readonly path: readonly string[]; readonly operator: "$in"; readonly value: readonly Json[] }
  | { readonly path: readonly string[]; readonly operator: "$like"; readonly value: string };

/** Conditions of one search, and values of one `$in`. */
export const CONDITIONS_MAX = 50;
export const CONDITION_VALUES_MAX = 1_000;

/** Levels of a value that is compared. */
const VALUE_DEPTH_MAX = 100;

/**
 * Parses conditions: fields with the value that they equal, or with operators and values, all of which must hold.
 *
 * @throws {EntityError} `ENTITY_BAD_CONDITION` for an unknown operator or a value that it can't compare; `ENTITY_BAD_PATH`,
 *   `ENTITY_FORBIDDEN_KEY` and `ENTITY_BAD_VALUE` as for operations on an entity.
 *
 * @example
 * parseConditions({ status: "open", "stats.visits": { $gte: 3, $lt: 10 } });
 * parseConditions({ status: { $matches: "open" } }); // throws EntityError: ENTITY_BAD_CONDITION
 */
export function parseConditions(conditions: unknown): readonly Condition[] {
  if (!isRecord(conditions)) {
    throw badCondition("", `of a search are ${describeValue(conditions)}`, "give an object of fields");
  }
  const parsed = Object.entries(conditions).flatMap(([field, asked]) =>
    isRecord(asked) && Object.keys(asked).some((key) => key.startsWith("$"))
      ? Object.entries(asked).map(([operator, value]) => parseCondition(field, operator, value))
      : [parseCondition(field, "$eq", asked)],
  );
  if (parsed.length > CONDITIONS_MAX)
    throw badCondition("", `of a search are ${parsed.length}`, `give at most ${CONDITIONS_MAX}`);
  return parsed;
}

/**
 * Parses one condition.
 *
 * @param operator - `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, `$in`, `$like`, or `=`, `!=`, `>`, `>=`, `<`, `<=`, `IN`, `LIKE`.
 * @throws {EntityError} As `parseConditions`.
 */
export function parseCondition(field: string, operator: unknown, value: unknown): Condition {
  const path = parsePath(field);
  const known = typeof operator === "string" ? operatorOf(operator) : undefined;
  switch (known) {
    case "$eq":
    case "$ne":
      return { path, operator: known, value: checkValue(field, value) };
    case "$gt":
    case "$gte":
    case "$lt":
    case "$lte":
      if (typeof value !== "number" && typeof value !== "string")
        throw badCondition(
          field,
          `is compared by ${known} with ${describeValue(value)}`,
          "give a number or a text",
        );
      return { path, operator: known, value: checkValue(field, value) as number | string };
    case "$in":
      if (!Array.isArray(value) || value.length > CONDITION_VALUES_MAX)
        throw badCondition(
          field,
          `is compared by $in with ${describeValue(value)}`,
          `give an array of at most ${CONDITION_VALUES_MAX} values`,
        );
      return { path, operator: known, value: value.map((item) => checkValue(field, item)) };
    case "$like":
      return { path, operator: known, value: checkPattern(field, value) };
    case undefined:
      throw badCondition(
        field,
        `is compared by ${describeValue(operator)}`,
        `use one of ${Object.keys(OPERATORS).join(" ")}`,
      );
  }
}

function operatorOf(operator: string): ConditionOperator | undefined {
  const name = operator.startsWith("$") ? operator : operator.toUpperCase();
  return Object.hasOwn(OPERATORS, name) ? OPERATORS[name as keyof typeof OPERATORS] : undefined;
}

/** `%` stands for any characters, `_` for one, and a backslash takes the next one literally: so none may be the last. */
function checkPattern(field: string, value: unknown): string {
  if (typeof value !== "string" || /(?<!\\)(?:\\\\)*\\$/u.test(value))
    throw badCondition(
      field,
      `is compared by $like with ${describeValue(value)}`,
      "give a text with % and _, and no single backslash at its end",
    );
  return checkValue(field, value) as string;
}

function checkValue(field: string, value: unknown, levels = VALUE_DEPTH_MAX): Json {
  if (value === null || typeof value === "boolean" || Number.isFinite(value)) return value as Json;
  if (typeof value === "string" && isStorable(value)) return value;
  if (levels > 0 && Array.isArray(value)) return value.map((item) => checkValue(field, item, levels - 1));
  if (levels > 0 && isRecord(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => {
        assertKey(key, field);
        return [key, checkValue(field, member, levels - 1)];
      }),
    );
  }
  throw badCondition(
    field,
    `is compared with ${describeValue(value)}`,
    "compare with what JSON and Postgres can hold",
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function badCondition(path: string, problem: string, remedy: string): EntityError {
  return new EntityError("ENTITY_BAD_CONDITION", {
    path,
    problem,
    remedy,
    what: path === "" ? "the conditions" : "the field",
  });
}
