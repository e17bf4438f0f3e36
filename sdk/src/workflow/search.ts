/**
 * Search data: flat fields with texts, shared by a run and its hooks, beside the entity.
 */
import { checkSearchChange, checkSearchField } from "@memflow/engine";
import type { RunContext, SearchChange, SearchData } from "@memflow/engine";
import { engineOf } from "../engine-client.ts";
import type { EngineClient } from "../engine-client.ts";
import { checkName } from "../options.ts";
import { textFields, textOf } from "../search-options.ts";
import type { SearchValue, WorkflowSearchOptions } from "../search-options.ts";
import { runOf } from "./in-run.ts";

/**
 * The search data of a run. Each operation is recorded once, in one order with those of the entity, for the run and all
 * its hooks, and gives the same value on replay. Values are kept as texts.
 *
 * @throws Each operation: {EntityError} for a bad or forbidden field name, a value of the wrong kind, or arithmetic on a
 *   text that is no number; {OptionError} for a value that is no text, number or boolean.
 * @see docs/replay.md#hooks-and-the-entity
 *
 * @example
 * const search = await MemFlow.workflow.search();
 * await search.set({ status: 'open', visits: 1 });
 * await search.incr('visits', 2); // 3
 * await search.get('missing'); // ''
 */
export class Search {
  readonly #context: RunContext;

  /** Made by `MemFlow.workflow.search()`. */
  constructor(context: RunContext) {
    this.#context = context;
  }

  /**
   * Sets fields, given as an object or as names and values in turn.
   *
   * @returns How many of them are new or have another value now.
   */
  async set(fields: Readonly<Record<string, SearchValue>>): Promise<number>;
  async set(...fieldsAndValues: readonly SearchValue[]): Promise<number>;
  async set(...given: readonly unknown[]): Promise<number> {
    return await this.#change({ op: "search.set", fields: fieldsOf(given) });
  }

  /** Reads a field. @returns Its text; '' where nothing is, live and on replay. */
  async get(field: string): Promise<string> {
    const [text = ""] = await this.#read("search.get", [field]);
    return text;
  }

  /** Reads several fields. @returns Their texts in that order; '' where nothing is. */
  async mget(...fields: readonly string[]): Promise<string[]> {
    return await this.#read("search.mget", fields);
  }

  /** Removes fields. @returns How many of them were there. */
  async del(...fields: readonly string[]): Promise<number> {
    return await this.#change({ op: "search.del", fields });
  }

  /** Adds to a number; a missing field counts as 0. @returns The sum. */
  async incr(field: string, by: number): Promise<number> {
    return await this.#change({ op: "search.incr", field, by });
  }

  /** Multiplies a number, exactly as JavaScript does; a missing field counts as 1. @returns The product. */
  async mult(field: string, by: number): Promise<number> {
    return await this.#change({ op: "search.mult", field, by });
  }

  /**
   * All search data of a run, as of its last recorded change. For use outside workflows.
   *
   * @param jobId - The workflow id; of several runs of the id the open one, else the latest.
   * @param client - A `Client`.
   * @throws {WorkflowNotFoundError} When no run has the id.
   */
  static async findAllUserData(jobId: string, client: EngineClient): Promise<Record<string, string>> {
    const engine = await engineOf(client);
    const { entityId } = await engine.find(checkName("jobId", jobId));
    return { ...(await engine.memory(entityId)).search };
  }

  /** The indexes that `Entity.createIndex` has made in the client's namespace, by name; search data itself has none. */
  static async listSearchIndexes(client: EngineClient): Promise<string[]> {
    return [...(await (await engineOf(client)).entityIndexes())];
  }

  /** Accepted for MemFlow's sake: search data needs no declaration, so there is nothing to do. */
  static async configureSearchIndex(client: EngineClient, _search?: WorkflowSearchOptions): Promise<void> {
    await engineOf(client);
  }

  async #change(change: SearchChange): Promise<number> {
    checkSearchChange(change);
    return await issueSearchChange(this.#context, change);
  }

  async #read(name: string, fields: readonly string[]): Promise<string[]> {
    for (const field of fields) checkSearchField(field);
    return await this.#context.issue<string[]>({ kind: "entity", name }, (position) => ({
      kind: "entity",
      position,
      change: false,
      name,
      payload: JSON.stringify({ search: fields }),
    }));
  }
}

/**
 * The run's search data.
 *
 * @example
 * const search = await MemFlow.workflow.search();
 * await search.set('status', 'open');
 */
export async function search(): Promise<Search> {
  return await Promise.resolve(new Search(runOf("search")));
}

/**
 * Adds fields to the run's search data; recorded once.
 *
 * @returns True.
 *
 * @example
 * await MemFlow.workflow.enrich({ customer: 'c-17', priority: 'high' });
 */
export async function enrich(fields: Readonly<Record<string, SearchValue>>): Promise<boolean> {
  const change: SearchChange = { op: "search.set", fields: textFields("fields", fields) };
  const context = runOf("enrich");
  checkSearchChange(change);
  await issueSearchChange(context, change);
  return true;
}

/** Records a change that was checked. */
export function issueSearchChange(context: RunContext, change: SearchChange): Promise<number> {
  const name = change.op;
  return context.issue<number>({ kind: "entity", name }, (position) => ({
    kind: "entity",
    position,
    change: true,
    name,
    payload: JSON.stringify(change),
  }));
}

function fieldsOf(given: readonly unknown[]): SearchData {
  const [first] = given;
  if (given.length === 1) return textFields("fields", first);
  const pairs: [string, string][] = [];
  for (let index = 0; index < given.length; index += 2) {
    const field = given[index];
    checkSearchField(field);
    pairs.push([field, textOf(field, given[index + 1])]);
  }
  return Object.fromEntries(pairs);
}
