/**
 * Remembers the worker processes of a data folder, so that the next start can end those that outlived their parent.
 *
 * Promises to end only processes that this folder started: a number counts only together with the time at which its
 * process began. They first get the chance to hand their runs over.
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { identifyProcess, isSameProcess } from "./process-identity.ts";
import type { ProcessIdentity } from "./process-identity.ts";

const ORPHAN_GRACE_MS = 3_000;
const POLL_MS = 50;

/** What an earlier start left behind. */
export interface Orphans {
  /** Workers that still ran. */
  readonly endedCount: number;
  /** Process ids of all workers that were running when the earlier start ended; none of them runs any more. */
  readonly gonePids: readonly number[];
}

/** The list of a data folder's workers, kept in `workers.json`. */
export class WorkerRegister {
  readonly #file: string;
  readonly #workers = new Map<number, ProcessIdentity>();
  #writing: Promise<void> = Promise.resolve();

  constructor(dataDir: string) {
    this.#file = path.join(dataDir, "workers.json");
  }

  /** Ends the workers that an earlier start left behind, and says which of them are gone now. */
  async endOrphans(): Promise<Orphans> {
    const known = await readIdentities(this.#file);
    const orphans: ProcessIdentity[] = [];
    for (const identity of known) if (await isSameProcess(identity)) orphans.push(identity);
    await Promise.all(orphans.map(endProcess));
    return { endedCount: orphans.length, gonePids: known.map(({ pid }) => pid) };
  }

  /** Writes a worker down. */
  async add(pid: number): Promise<void> {
    const identity = await identifyProcess(pid);
    if (identity === undefined) return;
    this.#workers.set(pid, identity);
    await this.#write();
  }

  /** Strikes a worker that is gone. */
  async remove(pid: number): Promise<void> {
    if (this.#workers.delete(pid)) await this.#write();
  }

  /** Writes come one after the other, each whole. */
  #write(): Promise<void> {
    const text = `${JSON.stringify([...this.#workers.values()], undefined, 2)}\n`;
    const write = async (): Promise<void> => {
      await writeFile(`${this.#file}.new`, text, { mode: 0o600 });
      await rename(`${this.#file}.new`, this.#file);
    };
    this.#writing = this.#writing.then(write, write);
    return this.#writing;
  }
}

/** A file that is cut short or not ours names no process. */
async function readIdentities(file: string): Promise<readonly ProcessIdentity[]> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  const entries = JSON.parse(text) as unknown;
  if (!Array.isArray(entries)) throw new Error(`"${file}" holds no list of workers: remove it`);
  return entries.filter(isIdentity);
}

function isIdentity(entry: unknown): entry is ProcessIdentity {
  if (typeof entry !== "object" || entry === null) return false;
  const { pid, startedAt } = entry as Partial<ProcessIdentity>;
  return Number.isInteger(pid) && (pid ?? 0) > 1 && typeof startedAt === "string";
}

async function endProcess(identity: ProcessIdentity): Promise<void> {
  signal(identity.pid, "SIGTERM");
  // One that was stopped can only hear it once it goes on.
  signal(identity.pid, "SIGCONT");
  const deadline = performance.now() + ORPHAN_GRACE_MS;
  while (performance.now() < deadline) {
    if (!(await isSameProcess(identity))) return;
    await delay(POLL_MS);
  }
  if (await isSameProcess(identity)) signal(identity.pid, "SIGKILL");
  while (await isSameProcess(identity)) await delay(POLL_MS);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
