/**
 * A run's view of its entity: the document as of a number of the change log.
 *
 * Promises that the document is the fold of the log up to that number, live and on replay alike, and that what it hands
 * out is a copy. Changes that other runs made in between are fed before they are folded; it reads nothing itself.
 */
import { cloneJson, foldChange, readPath } from "../core/entity-fold.ts";
import type { EntityChange, FoldResult } from "../core/entity-fold.ts";
import type { Json } from "../core/json.ts";

/** A change of the log, by its number. */
export interface NumberedChange {
  readonly entityNo: number;
  /** JSON text of the change. */
  readonly payload: string;
}

export class EntityView {
  #document: Json = {};
  #entityNo = 0;
  readonly #fed = new Map<number, string>();

  /** The number of the last change in the document. */
  get entityNo(): number {
    return this.#entityNo;
  }

  get document(): Json {
    return this.#document;
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
  change(entityNo: number, payload: string): FoldResult {
    this.#advance(entityNo - 1);
    this.#fed.delete(entityNo);
    const folded = foldChange(this.#document, JSON.parse(payload) as EntityChange);
    this.#document = folded.document;
    this.#entityNo = entityNo;
    return "error" in folded ? folded : { document: folded.document, value: cloneJson(folded.value) };
  }

  /** Folds the log up to `entityNo` and reads a path. */
  read(entityNo: number, path: string | undefined): Json | undefined {
    this.#advance(entityNo);
    const value = readPath(this.#document, path);
    return value === undefined ? undefined : cloneJson(value);
  }

  #advance(entityNo: number): void {
    for (let number = this.#entityNo + 1; number <= entityNo; number += 1) {
      const payload = this.#fed.get(number);
      if (payload === undefined) throw new Error(`change ${number} of the entity was not fed`);
      this.#fed.delete(number);
      this.#document = foldChange(this.#document, JSON.parse(payload) as EntityChange).document;
      this.#entityNo = number;
    }
  }
}
