/**
 * The entity: a run's durable JSON memory, shared by the run and its hooks.
 */
import { checkChange, decodePayload, encodePayload } from "@memflow/engine";
import type { EntityChange, Json, RunContext } from "@memflow/engine";
import { runOf } from "./in-run.ts";

/**
 * The memory of a run. Each operation is recorded once, in one order for the run and all its hooks, and gives the same
 * value on replay. Paths are dotted (`"findings.0.title"`).
 *
 * @throws Each operation: {EntityError} for a forbidden key (`__proto__`, `prototype`, `constructor`), a bad path, or a value of
 *   the wrong kind at the path; {PayloadError} for what JSON can't hold.
 */
export class Entity {
  readonly #context: RunContext;

  /** Made by `MemFlow.workflow.entity()`. */
  constructor(context: RunContext) {
    this.#context = context;
  }

  /** Replaces the document. @returns The whole document. */
  set<Document>(value: Document): Promise<Document> {
    return this.#change({ op: "set", value: toJson(value, "set") });
  }

  /** Merges an object into the document, deep at every level; arrays and scalars are replaced. @returns The whole document. */
  merge<Document>(value: object): Promise<Document> {
    return this.#change({ op: "merge", value: toJson(value, "merge") });
  }

  /** Reads a path, or the whole document (`{}` before the first change). @returns The value; undefined where nothing is. */
  get<Value>(path?: string): Promise<Value> {
    const payload = JSON.stringify(path ?? null);
    if (path !== undefined) checkChange({ op: "toggle", path });
    return this.#issue<Value>("get", payload, false);
  }

  /** Adds to the end of an array. @returns The array. */
  append<Value>(path: string, value: unknown): Promise<Value[]> {
    return this.#change({ op: "append", path, value: toJson(value, "append") });
  }

  /** Adds to the front of an array. @returns The array. */
  prepend<Value>(path: string, value: unknown): Promise<Value[]> {
    return this.#change({ op: "prepend", path, value: toJson(value, "prepend") });
  }

  /** Removes an array's element by its index. @returns The array. */
  remove<Value>(path: string, index: number): Promise<Value[]> {
    return this.#change({ op: "remove", path, index });
  }

  /** Adds to a number; a missing one counts as 0. @returns The sum. */
  increment(path: string, by: number = 1): Promise<number> {
    return this.#change({ op: "increment", path, by });
  }

  /** Turns a boolean around; a missing one counts as false. @returns The new value. */
  toggle(path: string): Promise<boolean> {
    return this.#change({ op: "toggle", path });
  }

  /** Sets a value where none is. @returns The value that is there then. */
  setIfNotExists<Value>(path: string, value: Value): Promise<Value> {
    return this.#change({ op: "setIfNotExists", path, value: toJson(value, "setIfNotExists") });
  }

  /** Deletes a path. @returns The whole document. */
  delete<Document>(path: string): Promise<Document> {
    return this.#change({ op: "delete", path });
  }

  async #change<Value>(change: EntityChange): Promise<Value> {
    checkChange(change);
    return await this.#issue<Value>(change.op, JSON.stringify(change), true);
  }

  #issue<Value>(name: string, payload: string, change: boolean): Promise<Value> {
    return this.#context.issue<Value>({ kind: "entity", name }, (position) => ({
      kind: "entity",
      position,
      change,
      name,
      payload,
    }));
  }
}

/**
 * The run's entity.
 *
 * @example
 * const agent = await MemFlow.workflow.entity();
 * await agent.set({ findings: [], status: 'researching' });
 * await agent.append('findings', { title: 'durable' });
 */
export async function entity(): Promise<Entity> {
  return await Promise.resolve(new Entity(runOf("entity")));
}

function toJson(value: unknown, operation: string): Json {
  const text = encodePayload(value, { field: `value of entity.${operation}` });
  return text === null ? null : (decodePayload(text) as Json);
}
