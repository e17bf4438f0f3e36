/** Whether an object already says all that is wanted of it, whatever the API server added. */
import { isRecord } from "./canonical-json.ts";

/**
 * Compares what is wanted with what is there.
 *
 * @returns True when each member of `wanted` is in `actual` with the same value; lists must be as long, item by item.
 */
export function covers(actual: unknown, wanted: unknown): boolean {
  if (wanted === undefined) return true;
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(actual) &&
      actual.length === wanted.length &&
      wanted.every((item, index) => covers(actual[index], item))
    );
  }
  if (!isRecord(wanted)) return actual === wanted;
  // The API server drops what is empty.
  const members = Object.entries(wanted);
  if (actual === undefined) return members.length === 0;
  return isRecord(actual) && members.every(([name, member]) => covers(actual[name], member));
}
