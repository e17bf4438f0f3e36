/**
 * Names the place in user code that a stack trace points at.
 *
 * Promises that frames of Node, of this engine and of the SDK are no places, wherever the packages are installed. Source
 * maps are Node's business (`--enable-source-maps`).
 */

/** Enough to see through the engine's own frames. */
const STACK_FRAMES_MAX = 50;

/** A frame: `file:line:column` at its end, in parentheses when a function is named before it. */
const FRAME = /^at .*?\(?((?:file:\/\/)?[^\s()]+:\d+:\d+)\)?$/;

/** The folder that holds the engine's package and, where they are developed or installed side by side, the SDK's. */
const ROOT = new URL("../../../", import.meta.url).pathname;
const LIBRARY = /[\\/]node_modules[\\/]/;
const OWN_TESTS = /\.test\.[jt]s:/;

/** The user's places in a stack, innermost first, each as `file:line:column`. */
export function userPlaces(stack: string | undefined): readonly string[] {
  const places: string[] = [];
  for (const line of (stack ?? "").split("\n")) {
    const place = FRAME.exec(line.trim())?.[1]?.replace(/^file:\/\//, "");
    if (place !== undefined && !place.startsWith("node:") && !isOurs(place)) places.push(place);
  }
  return places;
}

/**
 * The innermost place of user code in a stack as `file:line:column`, or '' when there is none. What a library of the
 * user's did at the user's bidding is the user's place.
 */
export function userPlace(stack: string | undefined): string {
  const places = userPlaces(stack);
  return places.find((place) => !LIBRARY.test(place)) ?? places[0] ?? "";
}

/** The place in user code of the current call. */
export function currentUserPlace(): string {
  return userPlace(currentStack(currentUserPlace));
}

/** The current stack, asynchronous frames included, without `below` and what it called. */
export function currentStack(below: (...args: never[]) => unknown): string {
  const holder: { stack?: string } = {};
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = STACK_FRAMES_MAX;
  Error.captureStackTrace(holder, below);
  // Read before the limit is put back: Node may format it only now.
  const stack = holder.stack ?? "";
  Error.stackTraceLimit = limit;
  return stack;
}

function isOurs(place: string): boolean {
  const path = place.startsWith(ROOT) ? place.slice(ROOT.length) : place;
  const inside =
    path === place
      ? /[\\/]node_modules[\\/]@memflow[\\/]/.test(path)
      : /^(engine|sdk)[\\/](src|dist)[\\/]/.test(path);
  return inside && !OWN_TESTS.test(path);
}
