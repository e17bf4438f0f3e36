/**
 * Search data as users give it: checked, and turned into texts.
 */
import { OptionError, checkSearchChange, checkSearchField, encodePayload } from "@memflow/engine";
import type { SearchData } from "@memflow/engine";

/** What a field can be given; it is stored and read as text. */
export type SearchValue = string | number | boolean | bigint;

/** The search data of a start, as MemFlow's users write it. */
export interface WorkflowSearchOptions {
  /** Field names of 1 to 512 characters, and their values. */
  readonly data?: Readonly<Record<string, SearchValue>> | undefined;
  /** Accepted for MemFlow's sake: search data needs no declared index. */
  readonly index?: string | undefined;
  readonly prefix?: string | undefined;
  readonly schema?: unknown;
}

/** JSON text of the search data that a start begins with; null for none. */
export function checkSearch(options: unknown): string | null {
  if (options === undefined) return null;
  const { data } = asObject("search", options) as { readonly data?: unknown };
  if (data === undefined) return null;
  const fields = textFields("search.data", data);
  if (Object.keys(fields).length === 0) return null;
  checkSearchChange({ op: "search.set", fields });
  return encodePayload(fields, { field: "search.data" });
}

/** Fields with their values as texts. */
export function textFields(field: string, value: unknown): SearchData {
  const given = Object.entries(asObject(field, value));
  for (const [name] of given) checkSearchField(name);
  return Object.fromEntries(given.map(([name, item]) => [name, textOf(`${field}.${name}`, item)]));
}

/** A value as text: `7` is "7", `true` is "true". */
export function textOf(field: string, value: unknown): string {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
    case "boolean":
    case "bigint":
      return String(value);
    default:
      throw new OptionError({
        field,
        value,
        remedy: "give a text, a number or a boolean; search data is flat",
      });
  }
}

function asObject(field: string, value: unknown): object {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new OptionError({ field, value, remedy: "give an object" });
}
