/**
 * Takes text and values out of objects that nobody vouches for, within a budget of JSON bytes.
 *
 * Promises never to throw, never to run longer than the budget lets it, and to give only what jsonb takes: no NUL, no
 * lone surrogate. Does not keep everything: what does not fit, or cannot be read, is left out.
 */
import type { Json } from "./json.ts";

/** What may still be taken; shared by everything that goes into one JSON text. */
export interface CopyBudget {
  bytesLeft: number;
}

/** Levels of a copied value: deeper ones are left out. */
const COPY_DEPTH_MAX = 8;

/** A character of JSON text is at most this long: a control character, as `\u0001`. */
const CHARACTER_BYTES_MAX = 6;

/** Lets `take` have a part of the budget: one field must not leave nothing for what comes after it. */
export function takeShare<Taken>(
  budget: CopyBudget,
  bytesMax: number,
  take: (share: CopyBudget) => Taken,
): Taken {
  const allowed = Math.max(0, Math.min(bytesMax, budget.bytesLeft));
  const share = { bytesLeft: allowed };
  const taken = take(share);
  budget.bytesLeft -= allowed - share.bytesLeft;
  return taken;
}

/** Cuts a text to what jsonb and the budget take, marking a cut with an ellipsis. */
export function cutText(text: string, lengthMax: number, budget: CopyBudget): string {
  const affordable = Math.floor(budget.bytesLeft / CHARACTER_BYTES_MAX);
  const length = Math.max(0, Math.min(lengthMax, affordable));
  const cut = cleanText(text.length <= length ? text : text.slice(0, length));
  budget.bytesLeft -= jsonBytes(cut);
  return text.length <= length ? cut : `${cut}…`;
}

/**
 * Copies a value as JSON would write it.
 *
 * @returns `undefined` when nothing of it can be kept, or all of it is more than the budget; nothing is taken then.
 */
export function copyBounded(value: unknown, budget: CopyBudget): Json | undefined {
  const copyBudget = { bytesLeft: budget.bytesLeft };
  try {
    const copy = copyValue(value, { budget: copyBudget, above: [] });
    if (copy === undefined || copyBudget.bytesLeft < 0) return undefined;
    budget.bytesLeft = copyBudget.bytesLeft;
    return copy;
  } catch {
    // A getter, a toJSON or a proxy of the value threw; that it could not be read is all there is to keep.
    return undefined;
  }
}

/** Reads a property of anything; `undefined` also when reading it throws. */
export function readProperty(target: object, key: string): unknown {
  try {
    return Reflect.get(target, key);
  } catch {
    return undefined;
  }
}

/** The own enumerable keys of anything; none when they cannot be listed. */
export function readKeys(target: object): readonly string[] {
  try {
    return Object.keys(target);
  } catch {
    return [];
  }
}

/** The first items of an array; none when it is no array, or cannot be read. */
export function readItems(list: unknown, countMax: number): readonly unknown[] {
  try {
    if (!Array.isArray(list)) return [];
    return Array.from({ length: Math.min(list.length, countMax) }, (_, index) => list[index] as unknown);
  } catch {
    return [];
  }
}

interface CopyState {
  readonly budget: CopyBudget;
  readonly above: object[];
}

function copyValue(value: unknown, state: CopyState): Json | undefined {
  if (typeof value === "string") return copyText(value, state);
  if (typeof value === "boolean" || value === null || Number.isFinite(value)) {
    state.budget.bytesLeft -= String(value).length;
    // JSON has one zero: the copy is what comes back.
    return Object.is(value, -0) ? 0 : (value as Json);
  }
  if (typeof value === "number") return copyValue(null, state);
  if (typeof value !== "object" || value === null) return undefined;
  if (state.above.length >= COPY_DEPTH_MAX || state.above.includes(value)) return undefined;
  state.above.push(value);
  const copy = copyObject(value, state);
  state.above.pop();
  return copy;
}

function copyText(text: string, state: CopyState): string | undefined {
  // Before it is cleaned: a text of megabytes is not worth the work.
  if (text.length > state.budget.bytesLeft) {
    state.budget.bytesLeft = -1;
    return undefined;
  }
  const clean = cleanText(text);
  state.budget.bytesLeft -= jsonBytes(clean);
  return clean;
}

function copyObject(value: object, state: CopyState): Json | undefined {
  const toJson: unknown = Reflect.get(value, "toJSON");
  if (typeof toJson === "function") return copyValue(Reflect.apply(toJson, value, []), state);
  state.budget.bytesLeft -= 2;
  if (Array.isArray(value)) return copyItems(value, state);
  const entries: [string, Json][] = [];
  for (const key of Object.keys(value)) {
    const copiedKey = copyText(key, state);
    const member = copyValue(Reflect.get(value, key), state);
    state.budget.bytesLeft -= 2;
    if (state.budget.bytesLeft < 0) return undefined;
    if (copiedKey !== undefined && member !== undefined) entries.push([copiedKey, member]);
  }
  // Not by assignment: a key `__proto__` stays a key.
  return Object.fromEntries(entries);
}

function copyItems(list: readonly unknown[], state: CopyState): Json | undefined {
  const items: Json[] = [];
  for (let index = 0; index < list.length; index++) {
    items.push(copyValue(list[index], state) ?? null);
    state.budget.bytesLeft -= 1;
    if (state.budget.bytesLeft < 0) return undefined;
  }
  return items;
}

function cleanText(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\uFFFD");
}

function jsonBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text));
}
