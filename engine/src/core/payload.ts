/**
 * Payloads: what users hand over as arguments, results and signals, as JSON text.
 *
 * Promises that what is written comes back as JSON would bring it (a Date as its ISO text, an undefined member not at all,
 * an undefined item as null, -0 as 0), and that anything which JSON would silently lose or change is refused, with the
 * place. Asks an object twice at most (once when it has a `toJSON`), so a getter should not change what it says.
 */
import { PayloadError } from "./errors.ts";
import { joinIndex, joinKey } from "./json-path.ts";
import { copyPlain } from "./payload-copy.ts";
import { isPlainJson } from "./payload-scan.ts";

/** What a payload may be, and how its field is called in messages. */
export interface PayloadOptions {
  /** The argument or option that holds the value, such as `args`. */
  readonly field: string;
  /** Bytes of JSON text (default `PAYLOAD_LIMIT_BYTES`). */
  readonly limitBytes?: number;
  /** Levels of arrays and objects (default `PAYLOAD_DEPTH_MAX`). */
  readonly depthMax?: number;
}

/** The default limit of a payload: 2 MiB. */
export const PAYLOAD_LIMIT_BYTES: number = 2 * 1024 * 1024;

/** The default limit of a payload's levels. */
export const PAYLOAD_DEPTH_MAX = 100;

/** A UTF-16 code unit takes at most this many bytes in UTF-8. */
const CODE_UNIT_BYTES_MAX = 3;

/**
 * Writes a value as JSON text.
 *
 * @returns The text; `null` for `undefined`, which has none.
 * @throws {PayloadError} When JSON cannot hold the value, or it is over a limit.
 *
 * @example
 * encodePayload([{ id: 7 }], { field: "args" }); // [{"id":7}]
 * encodePayload([{ id: 7n }], { field: "args" }); // throws PayloadError: payload "args[0].id" is a BigInt
 */
export function encodePayload(value: unknown, options: PayloadOptions): string | null {
  if (value === undefined) return null;
  const limits = {
    field: options.field,
    limitBytes: options.limitBytes ?? PAYLOAD_LIMIT_BYTES,
    depthMax: options.depthMax ?? PAYLOAD_DEPTH_MAX,
  };
  const text = writeJson(value, limits);
  if (text === undefined) return null;
  assertSize(text, limits);
  assertNoNul(text, limits.field);
  return MAY_HOLD_HALF_A_CHARACTER.test(text) || text.startsWith(ENVELOPE) ? putInEnvelope(text) : text;
}

/**
 * Writes a list of arguments as JSON text. What is undefined at its end is left out, so that it is undefined again (and
 * takes the function's default) where JSON would make null of it; an undefined before another argument becomes null.
 *
 * @throws {PayloadError} As `encodePayload`.
 */
export function encodeArguments(args: readonly unknown[], options: PayloadOptions): string | null {
  const count = args.findLastIndex((argument) => argument !== undefined) + 1;
  return encodePayload(count === args.length ? args : args.slice(0, count), options);
}

/**
 * Reads what `encodePayload` wrote.
 *
 * @param text - JSON text, or `null` for `undefined`.
 * @throws {PayloadError} When the text is no JSON.
 */
export function decodePayload(text: string | null): unknown {
  if (text === null) return undefined;
  try {
    const value = JSON.parse(text) as unknown;
    return text.startsWith(ENVELOPE) ? (JSON.parse(takeFromEnvelope(value)) as unknown) : value;
  } catch (cause) {
    throw new PayloadError("PAYLOAD_UNREADABLE", {
      field: "payload",
      problem: "is not JSON",
      remedy: "look who else writes to the schema",
      cause,
    });
  }
}

/**
 * Half a character (a text cut in the middle of a surrogate pair) is JSON, and Postgres keeps it, but refuses to look for
 * anything in an object that holds it. Such a text is kept as one string inside an object of its own; so is a text that
 * would be taken for one.
 */
const MAY_HOLD_HALF_A_CHARACTER = /\\ud[89a-f]/;
const ENVELOPE = '{"$memflow.json":';

function putInEnvelope(text: string): string {
  return `${ENVELOPE}${JSON.stringify(text)}}`;
}

function takeFromEnvelope(value: unknown): string {
  return (value as { readonly "$memflow.json": string })["$memflow.json"];
}

type Limits = Required<PayloadOptions>;

function writeJson(value: unknown, limits: Limits): string | undefined {
  try {
    // The second way costs several times the first: it names the obstacle, or finds that there is none (a toJSON).
    const plain = isPlainJson(value, limits) ? value : copyPlain(value, limits);
    return JSON.stringify(plain);
  } catch (cause) {
    if (cause instanceof PayloadError) throw cause;
    throw new PayloadError("PAYLOAD_NOT_SERIALIZABLE", {
      field: limits.field,
      problem: "throws when it is read",
      remedy: "hand over plain data",
      cause,
    });
  }
}

function assertSize(text: string, { field, limitBytes }: Limits): void {
  if (text.length * CODE_UNIT_BYTES_MAX <= limitBytes) return;
  const bytes = Buffer.byteLength(text);
  if (bytes <= limitBytes) return;
  throw new PayloadError("PAYLOAD_TOO_LARGE", {
    field,
    problem: `is ${bytes} bytes of JSON, the limit is ${limitBytes}`,
    remedy: "keep it elsewhere and hand over its address",
    limit: limitBytes,
  });
}

/** Postgres cannot hold U+0000 in jsonb or text. The text may also say `\\u0000` and mean six characters. */
function assertNoNul(text: string, field: string): void {
  if (!text.includes("\\u0000")) return;
  const path = findNul(JSON.parse(text), field);
  if (path === undefined) return;
  throw new PayloadError("PAYLOAD_NUL_CHARACTER", {
    field,
    path,
    problem: "holds the character U+0000, which Postgres cannot store",
    remedy: "remove it, or hand over binary data as base64",
  });
}

function findNul(value: unknown, path: string): string | undefined {
  if (typeof value === "string") return value.includes("\0") ? path : undefined;
  if (typeof value !== "object" || value === null) return undefined;
  for (const [key, member] of Object.entries(value)) {
    const memberPath = Array.isArray(value) ? joinIndex(path, Number(key)) : joinKey(path, key);
    const found = key.includes("\0") ? memberPath : findNul(member, memberPath);
    if (found !== undefined) return found;
  }
  return undefined;
}
