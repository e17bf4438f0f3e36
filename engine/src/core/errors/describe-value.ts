/**
 * How a value looks inside an error message: short, on one line, and never a reason for another error.
 *
 * Does not hide secrets: who reports a connection string takes its password out first.
 */

const DESCRIPTION_LENGTH_MAX = 80;

/**
 * Describes any value in at most about 80 characters.
 *
 * @param value - Anything, also proxies and objects with throwing getters.
 * @returns The value as JSON where that is possible, else what kind of thing it is.
 */
export function describeValue(value: unknown): string {
  try {
    return shorten(describe(value));
  } catch {
    // Only a hostile object gets here; its kind is all that can be said without touching it again.
    return `an unreadable ${typeof value}`;
  }
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, DESCRIPTION_LENGTH_MAX + 1));
  // A number of a million digits takes seconds to write.
  if (typeof value === "bigint") return BigInt.asIntN(64, value) === value ? `${value}n` : "a large BigInt";
  if (typeof value === "function") return value.name === "" ? "a function" : `function ${value.name}`;
  if (typeof value !== "object" || value === null) return String(value);
  if (Array.isArray(value)) return `an array of ${value.length}`;
  const tag = Object.prototype.toString.call(value).slice("[object ".length, -1);
  return tag === "Object" ? describeObject(value) : `a ${tag}`;
}

function describeObject(value: object): string {
  const keys = Object.keys(value);
  return keys.length === 0 ? "an object" : `an object with ${keys.slice(0, 5).join(", ")}`;
}

function shorten(text: string): string {
  return text.length <= DESCRIPTION_LENGTH_MAX ? text : `${text.slice(0, DESCRIPTION_LENGTH_MAX)}…`;
}
