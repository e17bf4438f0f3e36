/**
 * The memory of a run: its entity and its search data, made by one change log.
 *
 * Promises what the two folds promise, in one order: a change touches one of both and leaves the other as it was.
 */
import { EMPTY_ENTITY, foldChange } from "./entity-fold.ts";
import type { EntityChange } from "./entity-change.ts";
import type { EntityError } from "./errors.ts";
import type { Json } from "./json.ts";
import type { SearchChange, SearchData } from "./search-change.ts";
import { EMPTY_SEARCH, foldSearch } from "./search-fold.ts";

/** A run's memory as of one number of its log. */
export interface Memory {
  /** The entity. */
  readonly document: Json;
  readonly search: SearchData;
}

/** One operation of the log. */
export type MemoryChange = EntityChange | SearchChange;

/** The memory after an operation, and what the operation returns; or why it was refused, with the memory as it was. */
export type MemoryFoldResult =
  | { readonly memory: Memory; readonly value: Json }
  | { readonly memory: Memory; readonly error: EntityError };

/** The memory of a run that never used it. */
export const EMPTY_MEMORY: Memory = Object.freeze({ document: EMPTY_ENTITY, search: EMPTY_SEARCH });

/**
 * Applies one operation.
 *
 * @param change - An operation that its check let through.
 *
 * @example
 * foldMemory(EMPTY_MEMORY, { op: "search.set", fields: { status: "new" } }); // value: 1
 * foldMemory(EMPTY_MEMORY, { op: "set", value: { status: "new" } }); // value: { status: "new" }
 */
export function foldMemory(memory: Memory, change: MemoryChange): MemoryFoldResult {
  if (isSearchChange(change)) {
    const { search, ...outcome } = foldSearch(memory.search, change);
    return { memory: { document: memory.document, search }, ...outcome };
  }
  const { document, ...outcome } = foldChange(memory.document, change);
  return { memory: { document, search: memory.search }, ...outcome };
}

/** Folds changes, as JSON text, onto a memory. */
export function foldLog(memory: Memory, payloads: readonly string[]): Memory {
  return payloads.reduce(
    (folded, payload) => foldMemory(folded, JSON.parse(payload) as MemoryChange).memory,
    memory,
  );
}

function isSearchChange(change: MemoryChange): change is SearchChange {
  return change.op.startsWith("search.");
}
