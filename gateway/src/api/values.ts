/**
 * The values that bodies, queries and paths are made of, each with its bound and its words.
 *
 * What a schema here takes is still checked where it is used, when a rule can't be said in JSON Schema.
 */
import { z } from "zod";

/** Characters of a name; Postgres' index takes 512 bytes of it. */
export const NAME_LENGTH_MAX = 512;
/** Runs on one page. */
const PAGE_SIZE_MAX = 1_000;
const PAGE_SIZE_DEFAULT = 50;
const PAGE_TOKEN_LENGTH_MAX = 2_048;

/** A name that Postgres can hold and index. */
export const name = z
  .string()
  .min(1)
  .max(NAME_LENGTH_MAX)
  // oxlint-disable-next-line no-control-regex -- the one character that Postgres can't hold
  .regex(/^[^\u0000]+$/u, "must not hold the character U+0000");

/** Name of a Kubernetes object or namespace. */
export const objectName = z
  .string()
  .max(63)
  .regex(
    /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/u,
    'must be lower-case letters, digits and "-", beginning and ending with a letter or digit',
  );

/** A run's id. */
export const runId = z
  .string()
  .regex(
    /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/u,
    "must be a run id: a lower-case UUID",
  )
  .describe("Id of the run.");

/** A time of the day it is, with its zone. */
export const time = z.iso.datetime({ offset: true });

/** A time as answers have it. */
export const timeAnswer = z.string().describe("ISO 8601 in UTC, in milliseconds.");

/** A duration as text. */
export const duration = z
  .string()
  .regex(/^[0-9]{1,9}(ms|s|m|h|d)$/u, "must be a duration such as 500ms, 30s, 5m, 24h or 7d");

/** Any JSON value. */
export const json = z.unknown();

/** An object whose members are not ours to say. */
export const openObject = z.record(z.string(), z.unknown());

/** How long a call may wait, as its query says. */
export const wait = z
  .string()
  .regex(/^[0-9]{1,6}(ms|s)$/u, "must be a duration such as 500ms or 30s")
  .optional()
  .describe(
    "How long to wait for the end of the run (default 0s; more than the gateway's limit, 60s, is the limit).",
  );

/** A page's size. */
export const pageSize = z.coerce
  .number()
  .int()
  .min(1)
  .max(PAGE_SIZE_MAX)
  .default(PAGE_SIZE_DEFAULT)
  .describe("Items on the page.");

/** Where a page begins. */
export const pageToken = z
  .string()
  .min(1)
  .max(PAGE_TOKEN_LENGTH_MAX)
  .optional()
  .describe("`nextPageToken` of the page before, with the same filters.");

/** The token of the page that follows. */
export const nextPageToken = z
  .string()
  .optional()
  .describe("Ask with it for the page that follows; left out on the last one.");

/** A yes or no in a query. */
export const flag = z.enum(["true", "false"]);

/** Which Store of the Kubernetes namespace. */
export const store = objectName
  .optional()
  .describe("Name of the Store; needed where the Kubernetes namespace has several.");

/** The Kubernetes namespace of a path. */
export const namespace = objectName.describe("Kubernetes namespace (outside Kubernetes: default).");

/** What every query may have. */
export const storeQuery = z.strictObject({ store });
