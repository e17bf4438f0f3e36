/**
 * The folder that holds an embedded Postgres: its cluster, its password and its log.
 *
 *   <data folder>/pgdata        the cluster, or a link to it where the user that runs Postgres can't enter this folder
 *   <data folder>/password      of the database user `memflow`, readable by the owner alone
 *   <data folder>/port          that the last start took, wanted again by the next
 *   <data folder>/postgres.log  what the server says; the one before in postgres.log.1
 *
 * Promises that two starts at once agree on one password. `initialise-cluster.ts` makes the cluster.
 */
import { randomBytes, randomUUID } from "node:crypto";
import {
  chmod,
  link,
  mkdir,
  readFile,
  readdir,
  realpath,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import path from "node:path";

import { EmbeddedPostgresError } from "./embedded-postgres-error.ts";
import type { SystemUser } from "./run-as-user.ts";

/** The database user; a superuser of this one cluster. */
export const DATABASE_USER = "memflow";

const LOG_BYTES_MAX = 10 * 1024 * 1024;
const ABANDONED_STAGE_MS = 10 * 60_000;

/** Where things are inside a data folder. */
export interface DataFolder {
  readonly dataDir: string;
  /** May be a link; see {@link resolveCluster}. */
  readonly clusterLink: string;
  readonly passwordFile: string;
  readonly portFile: string;
  readonly logFile: string;
}

export function dataFolderAt(dataDir: string): DataFolder {
  const root = path.resolve(dataDir);
  return {
    dataDir: root,
    clusterLink: path.join(root, "pgdata"),
    passwordFile: path.join(root, "password"),
    portFile: path.join(root, "port"),
    logFile: path.join(root, "postgres.log"),
  };
}

/** The cluster's real folder, or undefined while there is none. */
export async function resolveCluster(folder: DataFolder): Promise<string | undefined> {
  try {
    await stat(path.join(folder.clusterLink, "PG_VERSION"));
    return await realpath(folder.clusterLink);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Makes the folder itself; a lent user may pass through it but not look into it. */
export async function makeDataFolder(folder: DataFolder, runAs: SystemUser | undefined): Promise<void> {
  await mkdir(folder.dataDir, { recursive: true });
  await chmod(folder.dataDir, runAs === undefined ? 0o700 : 0o711);
  const now = Date.now();
  for (const name of await readdir(folder.dataDir)) {
    if (!name.startsWith("pgdata.new-")) continue;
    const stage = path.join(folder.dataDir, name);
    const { mtimeMs } = await stat(stage);
    if (now - mtimeMs > ABANDONED_STAGE_MS) await rm(stage, { recursive: true, force: true });
  }
}

/** The password of {@link DATABASE_USER}; made at random by whoever comes first. */
export async function ensurePassword(folder: DataFolder): Promise<string> {
  const stage = `${folder.passwordFile}.new-${randomUUID()}`;
  try {
    return (await readFile(folder.passwordFile, "utf8")).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  if ((await resolveCluster(folder)) !== undefined) {
    throw new EmbeddedPostgresError("EMBEDDED_POSTGRES_FOREIGN_DATA", {
      message:
        `the database in "${folder.clusterLink}" has lost its password file "${folder.passwordFile}": ` +
        `put it back, or choose another data folder`,
    });
  }
  await writeFile(stage, `${randomBytes(24).toString("base64url")}\n`, { mode: 0o600 });
  try {
    await link(stage, folder.passwordFile);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await rm(stage);
  }
  return (await readFile(folder.passwordFile, "utf8")).trim();
}

/** Keeps the log from growing for ever: a large one becomes `postgres.log.1`. */
export async function rotateLog(folder: DataFolder): Promise<void> {
  try {
    const { size } = await stat(folder.logFile);
    if (size > LOG_BYTES_MAX) await rename(folder.logFile, `${folder.logFile}.1`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}
