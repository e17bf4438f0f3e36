/**
 * A run's view of its memory: the entity and the search data as of a number of the change log.
 *
 * Promises that the memory is the fold of the log up to that number, live and on replay alike, and that what it hands
 * out is a copy. Changes that other runs made in between are fed before they are folded; it reads nothing itself.
 */
import { cloneJson, readPath } from "../core/entity-fold.ts";
import type { Json } from "../core/json.ts";
import { EMPTY_MEMORY, foldMemory } from "../core/memory-fold.ts";
import type { Memory, MemoryChange, MemoryFoldResult } from "../core/memory-fold.ts";
import { fieldOf } from "../core/search-fold.ts";

/** What a read asks for: a path of the entity (null: the whole document), or fields of the search data. */
export type MemoryRead = string | null | { readonly search: readonly string[] };

/** A change of the log, by its number. */
export interface NumberedChange {
  readonly entityNo: number;
  /** JSON text of the change. */
  readonly payload: string;
}

export class EntityView {
  #memory: Memory = EMPTY_MEMORY;
  #entityNo = 0;
  readonly #fed = new Map<number, string>();

  /** The number of the last change in the memory. */
  get entityNo(): number {
    return this.#entityNo;
  }

  get memory(): Memory {
    return this.#memory;
  }

  /** Gives changes of other runs, to be folded when an event needs them. */
  feed(changes: readonly NumberedChange[]): void {
    for (const change of changes) {
      if (change.entityNo > this.#entityNo) this.#fed.set(change.entityNo, change.payload);
    }
  }

  /** The changes that are missing to fold up to `entityNo`, as [first, last]; undefined when none is. */
  missing(entityNo: number): readonly [number, number] | undefined {
    for (let number = this.#entityNo + 1; number <= entityNo; number += 1) {
      if (!this.#fed.has(number)) return [number, entityNo];
    }
    return undefined;
  }

  /** Folds the log up to and with the run's own change `entityNo`, and returns that change's outcome. */
  change(entityNo: number, payload: string): MemoryFoldResult {
    this.#advance(entityNo - 1);
    this.#fed.delete(entityNo);
    const folded = foldMemory(this.#memory, JSON.parse(payload) as MemoryChange);
    this.#memory = folded.memory;
    this.#entityNo = entityNo;
    return "error" in folded ? folded : { memory: folded.memory, value: cloneJson(folded.value) };
  }

  /** Folds the log up to `entityNo` and reads; a field that is not there reads as ''. */
  read(entityNo: number, asked: MemoryRead): Json | undefined {
    this.#advance(entityNo);
    if (typeof asked === "object" && asked !== null)
      return asked.search.map((field) => fieldOf(this.#memory.search, field) ?? "");
    const value = readPath(this.#memory.document, asked ?? undefined);
    return value === undefined ? undefined : cloneJson(value);
  }

  #advance(entityNo: number): void {
    for (let number = this.#entityNo + 1; number <= entityNo; number += 1) {
      const payload = this.#fed.get(number);
      if (payload === undefined) throw new Error(`change ${number} of the entity was not fed`);
      this.#fed.delete(number);
      this.#memory = foldMemory(this.#memory, JSON.parse(payload) as MemoryChange).memory;
      this.#entityNo = number;
    }
  }
}
