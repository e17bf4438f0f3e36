/**
 * The entity: a run's durable JSON memory, shared by the run and its hooks.
 */
import {
  OptionError,
  checkChange,
  decodePayload,
  encodePayload,
  parseCondition,
  parseConditions,
  parsePath,
} from "@memflow/engine";
import type { EntityChange, Json, RunContext } from "@memflow/engine";
import { engineOf } from "../engine-client.ts";
import type { EngineClient } from "../engine-client.ts";
import { findRows, rowOf } from "../entity-search.ts";
import type { EntityConditions, EntityRow, FindOptions } from "../entity-search.ts";
import { checkName } from "../options.ts";
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
  async set<Document>(value: Document): Promise<Document> {
    return await this.#change({ op: "set", value: toJson(value, "set") });
  }

  /** Merges an object into the document, deep at every level; arrays and scalars are replaced. @returns The whole document. */
  async merge<Document>(value: object): Promise<Document> {
    return await this.#change({ op: "merge", value: toJson(value, "merge") });
  }

  /** Reads a path, or the whole document (`{}` before the first change). @returns The value; undefined where nothing is. */
  async get<Value>(path?: string): Promise<Value> {
    const payload = JSON.stringify(path ?? null);
    if (path !== undefined) checkChange({ op: "toggle", path });
    return await this.#issue<Value>("get", payload, false);
  }

  /** Adds to the end of an array. @returns The array. */
  async append<Value>(path: string, value: unknown): Promise<Value[]> {
    return await this.#change({ op: "append", path, value: toJson(value, "append") });
  }

  /** Adds to the front of an array. @returns The array. */
  async prepend<Value>(path: string, value: unknown): Promise<Value[]> {
    return await this.#change({ op: "prepend", path, value: toJson(value, "prepend") });
  }

  /** Removes an array's element by its index. @returns The array. */
  async remove<Value>(path: string, index: number): Promise<Value[]> {
    return await this.#change({ op: "remove", path, index });
  }

  /** Adds to a number; a missing one counts as 0. @returns The sum. */
  async increment(path: string, by: number = 1): Promise<number> {
    return await this.#change({ op: "increment", path, by });
  }

  /** Turns a boolean around; a missing one counts as false. @returns The new value. */
  async toggle(path: string): Promise<boolean> {
    return await this.#change({ op: "toggle", path });
  }

  /** Sets a value where none is. @returns The value that is there then. */
  async setIfNotExists<Value>(path: string, value: Value): Promise<Value> {
    return await this.#change({ op: "setIfNotExists", path, value: toJson(value, "setIfNotExists") });
  }

  /** Deletes a path. @returns The whole document. */
  async delete<Document>(path: string): Promise<Document> {
    return await this.#change({ op: "delete", path });
  }

  /**
   * Finds entities by their type and their documents, as of their last recorded changes. For use outside workflows.
   *
   * @param entity - The type: what the starts of the runs gave as `entity`.
   * @param conditions - Fields and what they equal, or how they compare; `{}` for all.
   * @param client - A `Client`, or what its `getHotMeshClient()` returned.
   * @returns Newest first; runs that have ended are found until their retention is over.
   * @throws {EntityError} `ENTITY_BAD_CONDITION` for an operator or value that is none, and as operations do for a path;
   *   {OptionError} for a bad limit, offset or name.
   * @see docs/replay.md#finding-entities
   *
   * @example
   * const open = await Entity.find('order', { status: 'open', 'total.amount': { $gte: 100 } }, client, { limit: 20 });
   * for (const { key, context, status } of open) console.log(key, context, status);
   */
  static async find<Document = Json>(
    entity: string,
    conditions: EntityConditions,
    client: EngineClient,
    options: FindOptions = {},
  ): Promise<EntityRow<Document>[]> {
    return await findRows<Document>(entity, parseConditions(conditions), client, options);
  }

  /**
   * The entity of a workflow id: of its open run, else of its latest. For use outside workflows.
   *
   * @returns Null when no such run is there, or it is of another type.
   *
   * @example
   * const found = await Entity.findById('order', 'order-17', client);
   */
  static async findById<Document = Json>(
    entity: string,
    id: string,
    client: EngineClient,
  ): Promise<EntityRow<Document> | null> {
    const [type, workflowId] = [checkName("entity", entity), checkName("id", id)];
    const found = await (await engineOf(client)).findEntity(type, workflowId);
    return found === undefined ? null : rowOf<Document>(found);
  }

  /**
   * Finds entities by one condition. For use outside workflows.
   *
   * @param operator - `=`, `!=`, `>`, `>=`, `<`, `<=`, `LIKE`, `IN`, or one of those that `find` takes (default `=`).
   * @throws As `find`.
   *
   * @example
   * await Entity.findByCondition('order', 'customer.city', 'Ber%', 'LIKE', client);
   */
  static async findByCondition<Document = Json>(
    entity: string,
    field: string,
    value: Json,
    operator: string | undefined,
    client: EngineClient,
    options: FindOptions = {},
  ): Promise<EntityRow<Document>[]> {
    return await findRows<Document>(entity, [parseCondition(field, operator ?? "=", value)], client, options);
  }

  /**
   * Makes an index for searches by a field, unless it is there. Writers go on while it is built; from then on each write of
   * a snapshot keeps it up to date. It serves all types.
   *
   * @param entity - The type that is searched.
   * @param kind - `btree` serves `=`, `IN`, ranges and `LIKE` with a known beginning, on numbers and texts; `gin` serves
   *   `=` with any value (default `btree`).
   * @returns Its name.
   * @throws {ConnectionError} `PERMISSION_DENIED` when the role does not own the tables; it names the SQL to run instead.
   *
   * @example
   * await Entity.createIndex('order', 'status', client);
   */
  static async createIndex(
    entity: string,
    field: string,
    client: EngineClient,
    kind: "btree" | "gin" = "btree",
  ): Promise<string> {
    checkName("entity", entity);
    if (kind !== "btree" && kind !== "gin")
      throw new OptionError({ field: "kind", value: kind, remedy: "use btree or gin" });
    const path = parsePath(field);
    return await (await engineOf(client)).createEntityIndex(path, kind);
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
