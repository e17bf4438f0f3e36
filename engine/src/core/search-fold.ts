/**
 * The fold of search data: what each operation makes of the fields, and what it returns.
 *
 * Pure and deterministic, as the fold of the entity is: an input is never changed. Numbers are kept as the text that
 * JavaScript writes for them.
 */
import { EntityError, describeValue } from "./errors.ts";
import type { SearchChange, SearchData } from "./search-change.ts";

/** The fields after an operation, and what the operation returns; or why it was refused, with the fields as they were. */
export type SearchFoldResult =
  | { readonly search: SearchData; readonly value: number }
  | { readonly search: SearchData; readonly error: EntityError };

/** The search data of a run that never set any. */
export const EMPTY_SEARCH: SearchData = Object.freeze({});

/** A number as JavaScript and Postgres write it; not hexadecimal, not empty, no spaces. */
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/iu;

/**
 * Applies one operation.
 *
 * @param change - An operation that `checkSearchChange` let through.
 * @returns For set the count of fields that are new or have another text now, for del the count of fields that were
 *   there, for incr and mult the number.
 *
 * @example
 * foldSearch({ visits: "1" }, { op: "search.incr", field: "visits", by: 2 }); // value: 3, visits: "3"
 * foldSearch({ visits: "many" }, { op: "search.incr", field: "visits", by: 2 }); // error: ENTITY_TYPE_MISMATCH
 */
export function foldSearch(search: SearchData, change: SearchChange): SearchFoldResult {
  switch (change.op) {
    case "search.set": {
      const given = Object.entries(change.fields);
      const value = given.filter(([field, text]) => fieldOf(search, field) !== text).length;
      return { search: { ...search, ...change.fields }, value };
    }
    case "search.del": {
      const gone = new Set(change.fields.filter((field) => Object.hasOwn(search, field)));
      const kept = Object.entries(search).filter(([field]) => !gone.has(field));
      return { search: Object.fromEntries(kept), value: gone.size };
    }
    case "search.incr":
      return calculate(search, change.field, { missing: 0, apply: (before) => before + change.by });
    case "search.mult":
      return calculate(search, change.field, { missing: 1, apply: (before) => before * change.by });
  }
}

/** A field's text; `undefined` when it is not there. */
export function fieldOf(search: SearchData, field: string): string | undefined {
  return Object.hasOwn(search, field) ? search[field] : undefined;
}

function calculate(
  search: SearchData,
  field: string,
  how: { readonly missing: number; apply(before: number): number },
): SearchFoldResult {
  const text = fieldOf(search, field);
  if (text !== undefined && !NUMBER.test(text))
    return {
      search,
      error: refused("ENTITY_TYPE_MISMATCH", field, `holds ${describeValue(text)}, no number`),
    };
  const value = how.apply(text === undefined ? how.missing : Number(text));
  if (!Number.isFinite(value))
    return { search, error: refused("ENTITY_BAD_VALUE", field, `would become ${value}`) };
  return { search: { ...search, [field]: String(value) }, value };
}

function refused(
  code: "ENTITY_TYPE_MISMATCH" | "ENTITY_BAD_VALUE",
  field: string,
  problem: string,
): EntityError {
  return new EntityError(code, { path: field, problem, remedy: "set it first", what: "search field" });
}
