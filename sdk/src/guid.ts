/** Ids for people and logs. */
import { randomInt } from "node:crypto";

const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** A new random id: `H` and `size` letters and digits (default 22). Inside a workflow it is the same on every replay. */
export function guid(size: number = 22): string {
  let id = "H";
  for (let index = 0; index < size; index += 1) id += ALPHABET[randomInt(ALPHABET.length)];
  return id;
}
