/**
 * The place outside the checkout where MemFlow may keep what its Postgres must be able to read.
 *
 * Used only when the data folder or the installed programs lie where the user that runs Postgres can't enter. Promises
 * that the folder belongs to the current user, that nobody else may write to it, and that the lent user can enter it.
 */
import { chmod, lstat, mkdir } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import path from "node:path";

import { EmbeddedPostgresError } from "./embedded-postgres-error.ts";
import { canEnter } from "./run-as-user.ts";
import type { SystemUser } from "./run-as-user.ts";

/**
 * Finds or makes the folder.
 *
 * @param runAs - The user that root lends, or undefined for the current user.
 * @throws {EmbeddedPostgresError} EMBEDDED_POSTGRES_FAILED when no candidate can be written; the causes are attached.
 */
export async function privateBaseDir(runAs: SystemUser | undefined): Promise<string> {
  const failures: unknown[] = [];
  for (const candidate of candidates(runAs)) {
    try {
      await mkdir(candidate, { recursive: true });
      const entry = await lstat(candidate);
      if (!entry.isDirectory() || entry.uid !== process.geteuid?.()) {
        throw new Error(`"${candidate}" is not a folder of this user`);
      }
      await chmod(candidate, 0o755);
      if (runAs === undefined || (await canEnter(candidate, runAs))) return candidate;
      throw new Error(`user "${runAs.name}" can't enter "${candidate}"`);
    } catch (error) {
      failures.push(error);
    }
  }
  throw new EmbeddedPostgresError("EMBEDDED_POSTGRES_FAILED", {
    message:
      `no folder found that the embedded Postgres can use (tried ${candidates(runAs).join(", ")}): ` +
      `make one of them writable, or set DATABASE_URL to a Postgres of yours`,
    cause: new AggregateError(failures),
  });
}

function candidates(runAs: SystemUser | undefined): string[] {
  if (runAs !== undefined)
    return ["/var/lib/memflow", "/var/tmp/memflow-root", path.join(tmpdir(), "memflow-root")];
  const cache = process.env["XDG_CACHE_HOME"] ?? path.join(homedir(), ".cache");
  return [path.join(cache, "memflow"), path.join(tmpdir(), `memflow-${process.geteuid?.() ?? 0}`)];
}
