/**
 * Searches for entities from outside workflows: what they are given, and the rows that they give.
 */
import { OptionError } from "@memflow/engine";
import type { Condition, FoundEntity, Json } from "@memflow/engine";
import { engineOf } from "./engine-client.ts";
import type { EngineClient } from "./engine-client.ts";
import { semaphoreOf } from "./export.ts";
import { checkName } from "./options.ts";

/** An entity that was found. */
export interface EntityRow<Document = Json> {
  /** The workflow id of its run. */
  readonly key: string;
  readonly context: Document;
  /** MemFlow's semaphore of its run: 1 while it runs, 0 when it is done, about -1e9 when it was stopped from outside. */
  readonly status: number;
}

/** What of the matches is returned. */
export interface FindOptions {
  /** 0 to 10,000 (default 1,000). */
  readonly limit?: number | undefined;
  /** How many of the newest are left out (default 0). They are read all the same. */
  readonly offset?: number | undefined;
}

/** How a field is compared: with operators, or with the value that it equals. */
export type FieldCondition =
  | Json
  | {
      readonly $eq?: Json;
      /** Holds also where nothing is. */
      readonly $ne?: Json;
      /** Numbers compare with numbers, texts with texts by code points; nothing else does. */
      readonly $gt?: number | string;
      readonly $gte?: number | string;
      readonly $lt?: number | string;
      readonly $lte?: number | string;
      readonly $in?: readonly Json[];
      /** As LIKE of SQL: `%` any characters, `_` one, a backslash takes the next one literally. */
      readonly $like?: string;
    };

/** Fields by their paths, as `get` takes them; all conditions must hold. */
export type EntityConditions = Readonly<Record<string, FieldCondition>>;

const FIND_LIMIT_DEFAULT = 1_000;
const FIND_LIMIT_MAX = 10_000;
const OFFSET_MAX = 1_000_000;

/** The matches of conditions that were parsed. */
export async function findRows<Document>(
  entity: string,
  conditions: readonly Condition[],
  client: EngineClient,
  options: FindOptions,
): Promise<EntityRow<Document>[]> {
  const entityType = checkName("entity", entity);
  const limit = checkCount("limit", options.limit ?? FIND_LIMIT_DEFAULT, FIND_LIMIT_MAX);
  const offset = checkCount("offset", options.offset ?? 0, OFFSET_MAX);
  const engine = await engineOf(client);
  const found = await engine.findEntities({ entityType, conditions, limit, offset });
  return found.map(rowOf<Document>);
}

/** A match as MemFlow's users know it. */
export function rowOf<Document>(found: FoundEntity): EntityRow<Document> {
  return { key: found.workflowId, context: found.document as Document, status: semaphoreOf(found) };
}

function checkCount(field: string, value: unknown, max: number): number {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max) return value as number;
  throw new OptionError({ field, value, remedy: `give a whole number of 0 to ${max}` });
}
