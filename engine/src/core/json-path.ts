/**
 * Where in a JSON value something is, as a JavaScript programmer would write it: `args[0].user["first name"]`.
 */
import { describeValue } from "./errors.ts";

const IDENTIFIER = /^[A-Za-z_$][\w$]{0,63}$/;

/** Extends a path by the key of an object. */
export function joinKey(path: string, key: string): string {
  return IDENTIFIER.test(key) ? `${path}.${key}` : `${path}[${describeValue(key)}]`;
}

/** Extends a path by the index of an array. */
export function joinIndex(path: string, index: number): string {
  return `${path}[${index}]`;
}
