/**
 * A text that changes with credentials and tells nothing of them.
 *
 * Promises that even a weak password can't be found by trying: each try costs what a password hash costs. The same credentials
 * give the same text in each process, so that a new operator rolls no pods.
 */
import { scrypt } from "node:crypto";
import { promisify } from "node:util";
import { fingerprintOf } from "./database-source.ts";

const HASH_BYTES = 16;
/** The work is done once for each value, not at each look. */
const KNOWN_MAX = 2_000;
const known = new Map<string, Promise<string>>();

/**
 * @param values - The credentials.
 * @param salt - The Store's uid: equal credentials of two Stores don't look equal.
 */
export function hashCredentials(values: readonly string[], salt: string): Promise<string> {
  const key = fingerprintOf([values, salt]);
  let hash = known.get(key);
  if (hash === undefined) {
    if (known.size >= KNOWN_MAX) known.clear();
    hash = promisify<string, string, number, Buffer>(scrypt)(JSON.stringify(values), salt, HASH_BYTES).then(
      (bytes) => bytes.toString("hex"),
    );
    known.set(key, hash);
  }
  return hash;
}
