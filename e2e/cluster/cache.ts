/**
 * Where builds are kept between runs, outside the checkout.
 *
 * An entry is a folder named by what it was built from, so that a change of the inputs is another entry. It is built beside and
 * renamed when it is whole: a build that was broken off is never taken for one. One process builds, others wait.
 */
import { createHash } from "node:crypto";
import { access, mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { withFileLock } from "./file-lock.ts";

/** What an entry is and how it is made. */
export interface CacheEntry {
  /** Lower-case letters, digits and "-". */
  readonly name: string;
  /** All that decides what comes out: versions, sources, flags, the entries that it is built from. */
  readonly inputs: readonly string[];
  /** Fills the folder, which is empty. */
  readonly build: (folder: string) => Promise<void>;
}

/** Entries of one name that are kept: a checkout or two beside this one may use theirs. */
const KEPT_MAX = 4;
/** One that was used since then may be in use. */
const IN_USE_MS = 6 * 60 * 60 * 1000;

/** The cache's folder: `MEMFLOW_E2E_CACHE`, or `memflow-e2e` below `XDG_CACHE_HOME` or `~/.cache`. */
export function cacheFolder(): string {
  const own = process.env["MEMFLOW_E2E_CACHE"];
  if (own !== undefined && own !== "") return own;
  const base = process.env["XDG_CACHE_HOME"];
  return join(base === undefined || base === "" ? join(homedir(), ".cache") : base, "memflow-e2e");
}

/** The folder of an entry, whether it is there or not. */
export function entryFolder({ name, inputs }: CacheEntry): string {
  return join(cacheFolder(), "built", `${name}-${digestOf(inputs)}`);
}

/** Whether an entry is there, whole. */
export async function isCached(entry: CacheEntry): Promise<boolean> {
  return exists(entryFolder(entry));
}

/**
 * Gives the folder of an entry, which is built first when it is not there.
 *
 * @returns The folder; what is in it must not be changed.
 */
export async function cached(entry: CacheEntry): Promise<string> {
  const folder = entryFolder(entry);
  if (await touch(folder)) return folder;
  return withFileLock(join(cacheFolder(), "locks", entry.name), async () => {
    if (await touch(folder)) return folder;
    const unfinished = join(cacheFolder(), "unfinished", entry.name);
    await rm(unfinished, { recursive: true, force: true });
    await mkdir(unfinished, { recursive: true });
    await mkdir(join(cacheFolder(), "built"), { recursive: true });
    await entry.build(unfinished);
    await rename(unfinished, folder);
    await removeOldest(entry.name);
    return folder;
  });
}

/** A short name for a list of inputs. */
export function digestOf(inputs: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(inputs)).digest("hex").slice(0, 12);
}

/** Marks the entry as used now; false when it is not there. */
async function touch(folder: string): Promise<boolean> {
  try {
    const now = new Date();
    await utimes(folder, now, now);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

async function removeOldest(name: string): Promise<void> {
  const built = join(cacheFolder(), "built");
  const names = (await readdir(built)).filter((entry) =>
    new RegExp(`^${name}-[0-9a-f]{12}$`, "u").test(entry),
  );
  const entries = await Promise.all(
    names.map(async (entry) => ({
      path: join(built, entry),
      usedMs: (await stat(join(built, entry))).mtimeMs,
    })),
  );
  const rest = entries.toSorted((a, b) => b.usedMs - a.usedMs).slice(KEPT_MAX);
  const old = rest.filter(({ usedMs }) => usedMs < Date.now() - IN_USE_MS);
  await Promise.all(old.map(({ path }) => rm(path, { recursive: true, force: true })));
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
