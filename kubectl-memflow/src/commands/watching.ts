/** Looks again and again, and prints what changed: `-w`. */
import { setTimeout as delay } from "node:timers/promises";
import type { CommandSession } from "../cli/command-session.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import type { View } from "../print/printer.ts";

const LOOK_MS = 1_000;

/** What is watched. */
export interface Watched<Item> {
  readonly view: View<Item>;
  readonly key: (item: Item) => string;
  readonly look: () => Promise<readonly Item[]>;
  /** Ends the watch; without it, Ctrl-C does. */
  readonly isOver?: (items: readonly Item[]) => boolean;
}

/** Prints everything once, then each thing as it appears or changes. */
export async function watch<Item>(session: CommandSession, watched: Watched<Item>): Promise<number> {
  const signal = session.io.interruption();
  const known = new Map<string, string>();
  while (!signal.aborted) {
    const items = await watched.look();
    const changed = items.filter((item) => {
      const text = JSON.stringify(item);
      const isNew = known.get(watched.key(item)) !== text;
      known.set(watched.key(item), text);
      return isNew;
    });
    await print(session, watched.view, changed);
    if (watched.isOver?.(items) === true) return EXIT_CODES.done;
    // Resolves, too, when the signal comes: then the loop ends.
    await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
  return EXIT_CODES.interrupted;
}

/** Tables go on; other forms print one document a thing. */
async function print<Item>(
  { printer }: CommandSession,
  view: View<Item>,
  items: readonly Item[],
): Promise<void> {
  if (printer.form.kind === "table" || printer.form.kind === "wide") printer.rows(view, items);
  else for (const item of items) await printer.one(view, item);
}
