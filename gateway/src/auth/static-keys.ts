/**
 * Keys from a file, where there is no cluster to ask: each has a name, rights, and the hash of a random text.
 *
 * Keys are made here, of 256 random bits, and no other text is taken as one: so SHA-256 is enough. A slow hash protects what people
 * think up; it would add nothing here but milliseconds of processor for each request, for whoever sends some.
 *
 * Promises that the file holds no key, that a look at it takes as long whichever key fits, and that a file that can't be
 * read while the gateway runs leaves the keys of the last one in force.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { z } from "zod";
import { rulesSchema } from "./core/static-rights.ts";
import type { Rule } from "./core/static-rights.ts";

/** One key of the file. */
export interface StaticKey {
  readonly name: string;
  readonly digest: Buffer;
  readonly rules: readonly Rule[];
  /** After which it is not taken any more; undefined: never. */
  readonly expiresMs: number | undefined;
}

/** The file is missing or holds something bad. */
export class KeysFileError extends Error {
  readonly code = "BAD_KEYS_FILE";

  constructor(path: string, reason: string, cause?: unknown) {
    super(`keys file "${path}" ${reason}`, cause === undefined ? undefined : { cause });
    this.name = "KeysFileError";
  }
}

const PREFIX = "mfk_";
const KEY_BYTES = 32;
/** What `makeKey` gives; nothing else is looked for. */
const KEY = /^mfk_[A-Za-z0-9_-]{43}$/u;
const KEYS_MAX = 1_000;
const NAME_CHARACTERS_MAX = 128;

const fileSchema = z.strictObject({
  keys: z
    .array(
      z.strictObject({
        name: z.string().min(1).max(NAME_CHARACTERS_MAX),
        hash: z.string().regex(/^sha256:[0-9a-f]{64}$/u, 'must be "sha256:" and 64 hexadecimal digits'),
        expires: z.iso.datetime({ offset: true }).optional(),
        rules: rulesSchema,
      }),
    )
    .max(KEYS_MAX),
});

/** Makes a key, and what the file says of it. */
export function makeKey(): { readonly key: string; readonly hash: string } {
  const key = PREFIX + randomBytes(KEY_BYTES).toString("base64url");
  return { key, hash: `sha256:${digestOf(key).toString("hex")}` };
}

/**
 * Reads the file.
 *
 * @throws {KeysFileError} Naming what is wrong with it.
 */
export async function readKeysFile(path: string): Promise<readonly StaticKey[]> {
  return parseKeys(await textOf(path), path);
}

/** Reads the file's text. */
export function parseKeys(text: string, path: string): readonly StaticKey[] {
  const read = fileSchema.safeParse(yamlOf(text, path));
  if (!read.success) {
    const faults = read.error.issues.map(({ path: place, message }) => `${place.join(".")} ${message}`);
    throw new KeysFileError(path, faults.join("; "));
  }
  const { keys } = read.data;
  const names = keys.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  // The audit log tells keys apart by their names.
  if (twice !== undefined) throw new KeysFileError(path, `has two keys of the name "${twice}"`);
  return keys.map(({ name, hash, expires, rules }) => ({
    name,
    rules,
    digest: Buffer.from(hash.slice("sha256:".length), "hex"),
    expiresMs: expires === undefined ? undefined : Date.parse(expires),
  }));
}

/** The entry of a key; undefined when there is none, or it has run out. */
export function findKey(keys: readonly StaticKey[], presented: string, nowMs: number): StaticKey | undefined {
  if (!KEY.test(presented)) return undefined;
  const digest = digestOf(presented);
  let found: StaticKey | undefined;
  // To the end, whichever fits.
  for (const key of keys) if (timingSafeEqual(key.digest, digest)) found = key;
  return found !== undefined && (found.expiresMs === undefined || nowMs < found.expiresMs)
    ? found
    : undefined;
}

function digestOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new KeysFileError(path, `can't be read (${(cause as NodeJS.ErrnoException).code ?? "?"})`, cause);
  }
}

function yamlOf(text: string, path: string): unknown {
  try {
    return parse(text);
  } catch (cause) {
    throw new KeysFileError(path, `is no YAML (${(cause as Error).message})`, cause);
  }
}
