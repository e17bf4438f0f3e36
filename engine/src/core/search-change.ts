/**
 * One operation on a run's search data, and the check that every operation passes before it is recorded.
 *
 * Search data is flat: fields with texts as values. Promises that what passes can be folded, and stored as jsonb. Does
 * not limit bytes: payload.ts does.
 */
import { EntityError, describeValue } from "./errors.ts";
import { assertKey, isStorable } from "./entity-path.ts";

/** Fields and their texts. */
export type SearchData = Readonly<Record<string, string>>;

/** One operation on search data, as it is recorded. */
export type SearchChange =
  | { readonly op: "search.set"; readonly fields: SearchData }
  | { readonly op: "search.del"; readonly fields: readonly string[] }
  | { readonly op: "search.incr"; readonly field: string; readonly by: number }
  | { readonly op: "search.mult"; readonly field: string; readonly by: number };

/** Code units of a field's name. */
export const SEARCH_FIELD_LENGTH_MAX = 512;

/**
 * Checks an operation.
 *
 * @throws {EntityError} When a field's name is bad or forbidden, a value is no text that Postgres can hold, or `by` is no
 *   finite number.
 *
 * @example
 * checkSearchChange({ op: "search.incr", field: "visits", by: 1 });
 * checkSearchChange({ op: "search.incr", field: "", by: 1 }); // throws EntityError: ENTITY_BAD_PATH
 */
export function checkSearchChange(change: SearchChange): void {
  switch (change.op) {
    case "search.set":
      for (const [field, value] of Object.entries(change.fields)) {
        checkSearchField(field);
        if (typeof value !== "string" || !isStorable(value))
          throw badValue(field, value, "give a text, without U+0000 and half characters");
      }
      return;
    case "search.del":
      for (const field of change.fields) checkSearchField(field);
      return;
    case "search.incr":
    case "search.mult":
      checkSearchField(change.field);
      if (!Number.isFinite(change.by)) throw badValue(change.field, change.by, "give a finite number");
  }
}

/**
 * Checks a field's name.
 *
 * @throws {EntityError} When it is no text, empty, too long, forbidden, or cannot be stored.
 */
export function checkSearchField(field: unknown): asserts field is string {
  if (typeof field !== "string" || field === "" || field.length > SEARCH_FIELD_LENGTH_MAX) {
    throw new EntityError("ENTITY_BAD_PATH", {
      path: typeof field === "string" ? field : describeValue(field),
      problem: `is no name of 1 to ${SEARCH_FIELD_LENGTH_MAX} characters`,
      remedy: "name the field by a text",
      what: "search field",
    });
  }
  assertKey(field, field);
}

function badValue(field: string, value: unknown, remedy: string): EntityError {
  return new EntityError("ENTITY_BAD_VALUE", {
    path: field,
    problem: `was given ${describeValue(value)}`,
    remedy,
    what: "search field",
  });
}
