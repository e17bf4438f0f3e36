/**
 * Names in the database: what a schema may be called, how an identifier is quoted, which channel belongs to whom.
 *
 * Promises that any name Postgres itself accepts works, and that two schemas, kinds or names never share a channel.
 * Does not ask the database anything.
 */
import { createHash } from "node:crypto";
import pg from "pg";
import { SchemaError, describeValue } from "../core/errors.ts";

/** Postgres cuts longer identifiers off without an error (NAMEDATALEN - 1). */
export const IDENTIFIER_BYTES_MAX = 63;

/** Who listens on a channel. */
export type ChannelKind = "queue" | "worker" | "client" | "topic" | "schedules";

const CHANNEL_PREFIX = "memflow";
/** 160 bits of SHA-256: no two names meet by chance, and the channel stays far below 63 bytes. */
const CHANNEL_HASH_BYTES = 20;
/** Every start and message asks for a channel, and few are different: each hash is kept. */
const CHANNELS_KEPT_MAX = 1_000;
const channels = new Map<string, string>();

/**
 * Quotes an identifier, so that any name keeps its case, spaces and quotes.
 *
 * @param name - A schema, table or channel name.
 * @returns The name in double quotes, safe to place into a statement.
 */
export function quoteIdentifier(name: string): string {
  return pg.escapeIdentifier(name);
}

/**
 * Checks that `name` can be the schema of a store.
 *
 * @param name - Any identifier of 1..63 UTF-8 bytes: upper case, spaces, quotes and unicode are fine.
 * @throws {SchemaError} `BAD_SCHEMA_NAME` for '', a NUL character, half a surrogate pair, more than 63 bytes, and
 *   `pg_*`, which Postgres keeps for itself.
 */
export function assertSchemaName(name: unknown): asserts name is string {
  const problem = schemaNameProblem(name);
  if (problem === undefined) return;
  throw new SchemaError("BAD_SCHEMA_NAME", {
    message: `schema ${describeValue(name)} ${problem}`,
    ...(typeof name === "string" ? { schema: name } : {}),
  });
}

/**
 * The NOTIFY channel of one queue, worker, client or topic of one store.
 *
 * @param schema - The store's schema: channels are shared by the whole database, so it is part of the name.
 * @param kind - Who listens.
 * @param name - The queue's or topic's name, or the worker's or client's id; '' for the schedules.
 * @returns At most 63 bytes: readable up to the kind, hashed after it.
 */
export function channelName(schema: string, kind: ChannelKind, name: string): string {
  // The length makes the pair unambiguous: ("a", "bc") and ("ab", "c") hash apart.
  const identity = `${Buffer.byteLength(schema)}:${schema}:${name}`;
  const key = `${kind}:${identity}`;
  const known = channels.get(key);
  if (known !== undefined) return known;
  const hash = createHash("sha256").update(identity).digest().subarray(0, CHANNEL_HASH_BYTES);
  const channel = `${CHANNEL_PREFIX}_${kind}_${hash.toString("hex")}`;
  if (channels.size >= CHANNELS_KEPT_MAX) channels.clear();
  channels.set(key, channel);
  return channel;
}

/**
 * The NOTIFY channel of a task queue: told at once of each start, and of each message that makes work for the queue.
 *
 * @param schema - The store's schema.
 * @param taskQueue - The queue's name.
 * @returns The channel; its payloads say what there may be, `runs` or `activities`, joined by commas.
 */
export function queueChannel(schema: string, taskQueue: string): string {
  return channelName(schema, "queue", taskQueue);
}

function schemaNameProblem(name: unknown): string | undefined {
  if (typeof name !== "string") return "must be a string";
  if (name === "") return 'must not be empty; the default is "memflow"';
  if (name.includes("\0")) return "must not contain a NUL character";
  if (!name.isWellFormed()) return "must be well-formed unicode";
  const bytes = Buffer.byteLength(name);
  if (bytes > IDENTIFIER_BYTES_MAX) {
    return `has ${bytes} bytes; Postgres keeps at most ${IDENTIFIER_BYTES_MAX}, choose a shorter name`;
  }
  if (name.startsWith("pg_")) return 'must not start with "pg_": Postgres keeps these names for itself';
  return undefined;
}
