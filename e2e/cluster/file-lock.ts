/**
 * A lock on a file, shared between processes, that the kernel releases when its holder ends, however it ends.
 *
 * Node has no flock of its own: a child (`flock`, util-linux) holds the lock for as long as this process holds its pipe.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";

/** A lock that is held. */
export interface FileLock {
  release(): Promise<void>;
}

/**
 * Waits for the lock and takes it.
 *
 * @param path - The file; it is made when it is not there, and stays.
 * @param mode - `shared`: with other holders of that mode; `exclusive`: alone.
 */
export async function lockFile(path: string, mode: "shared" | "exclusive"): Promise<FileLock> {
  await mkdir(dirname(path), { recursive: true });
  const child = spawn("flock", [`--${mode}`, "--no-fork", path, "sh", "-c", "echo held; exec cat"], {
    // A group of its own: an interrupt from the terminal must not release what this process still uses.
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const closed = once(child, "close");
  const [first] = (await Promise.race([once(child.stdout, "data"), closed])) as [unknown];
  if (!Buffer.isBuffer(first))
    throw new Error(`flock can't lock "${path}": it ended with status ${String(first)}`);
  return {
    async release() {
      child.stdin.end();
      await closed;
    },
  };
}

/** Does something while it holds the lock alone. */
export async function withFileLock<T>(path: string, action: () => Promise<T>): Promise<T> {
  const lock = await lockFile(path, "exclusive");
  try {
    return await action();
  } finally {
    await lock.release();
  }
}
