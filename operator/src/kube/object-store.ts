/**
 * The objects of one type as they were last seen, by key and by index.
 *
 * Who reads gets the objects themselves, not copies: they must not be changed. Only the reflector writes.
 */
import { keyOf, nameOf } from "./wire.ts";
import type { KubeObject } from "./wire.ts";

/** Values under which an object is found, as the names of Secrets that it refers to. */
export type IndexFunction<T> = (object: T) => readonly string[];

/** What readers see of a store. */
export interface ReadableStore<T> {
  readonly size: number;
  get(key: string): T | undefined;
  keys(): readonly string[];
  list(): readonly T[];
  /**
   * The objects that have a value in an index.
   *
   * @throws {TypeError} When there is no such index.
   */
  find(index: string, value: string): readonly T[];
}

/** A store and its indexes. */
export class ObjectStore<T extends KubeObject> implements ReadableStore<T> {
  readonly #objects = new Map<string, T>();
  readonly #indexes: ReadonlyMap<string, Index<T>>;

  constructor(indexFunctions: Readonly<Record<string, IndexFunction<T>>> = {}) {
    this.#indexes = new Map(
      Object.entries(indexFunctions).map(([name, valuesOf]) => [name, new Index(valuesOf)]),
    );
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  keys(): readonly string[] {
    return [...this.#objects.keys()];
  }

  list(): readonly T[] {
    return [...this.#objects.values()];
  }

  find(index: string, value: string): readonly T[] {
    const found = this.#indexes.get(index);
    if (!found)
      throw new TypeError(`store: no index "${index}" (there are: ${[...this.#indexes.keys()].join(", ")})`);
    return found.keysOf(value).flatMap((key) => this.#objects.get(key) ?? []);
  }

  /** @returns What was there before. */
  put(object: T): T | undefined {
    const key = keyOf(nameOf(object));
    const previous = this.delete(key);
    this.#objects.set(key, object);
    for (const index of this.#indexes.values()) index.add(key, object);
    return previous;
  }

  /** @returns What was there before. */
  delete(key: string): T | undefined {
    const previous = this.#objects.get(key);
    if (previous === undefined) return undefined;
    this.#objects.delete(key);
    for (const index of this.#indexes.values()) index.remove(key);
    return previous;
  }
}

/** Keys by value. It remembers each object's values, so that removing does not depend on the function giving them again. */
class Index<T> {
  readonly #valuesOf: IndexFunction<T>;
  readonly #keysByValue = new Map<string, Set<string>>();
  readonly #valuesByKey = new Map<string, ReadonlySet<string>>();

  constructor(valuesOf: IndexFunction<T>) {
    this.#valuesOf = valuesOf;
  }

  keysOf(value: string): readonly string[] {
    return [...(this.#keysByValue.get(value) ?? [])];
  }

  add(key: string, object: T): void {
    const values = new Set(this.#valuesOf(object));
    this.#valuesByKey.set(key, values);
    for (const value of values) {
      const keys = this.#keysByValue.get(value) ?? new Set();
      this.#keysByValue.set(value, keys.add(key));
    }
  }

  remove(key: string): void {
    for (const value of this.#valuesByKey.get(key) ?? []) {
      const keys = this.#keysByValue.get(value);
      keys?.delete(key);
      if (keys?.size === 0) this.#keysByValue.delete(value);
    }
    this.#valuesByKey.delete(key);
  }
}
