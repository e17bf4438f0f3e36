/**
 * Makes a new Postgres cluster with initdb.
 *
 * Promises that the cluster appears in its place whole or not at all, also when initdb is killed or two starts meet:
 * initdb works in a folder of its own and a rename puts the result into place; who comes second takes the first one's.
 * Where the user that runs Postgres can't enter the data folder, the cluster lies outside and a link points to it.
 */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmod, chown, mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";

import { DATABASE_USER, resolveCluster } from "./data-folder.ts";
import type { DataFolder } from "./data-folder.ts";
import { EmbeddedPostgresError } from "./embedded-postgres-error.ts";
import { postgresEnvironment } from "./postgres-environment.ts";
import { privateBaseDir } from "./private-base-dir.ts";
import { canEnter } from "./run-as-user.ts";
import type { SystemUser } from "./run-as-user.ts";

/** What initdb needs to know. */
export interface InitialiseTask {
  readonly initdb: string;
  readonly password: string;
  /** The user that root lends, or undefined for the current user. */
  readonly runAs: SystemUser | undefined;
}

const runFile = promisify(execFile);

/**
 * Makes the cluster of a data folder.
 *
 * @returns The cluster's real folder; another process's cluster when that one came first.
 * @throws {EmbeddedPostgresError} EMBEDDED_POSTGRES_FAILED with what initdb said.
 */
export async function initialiseCluster(folder: DataFolder, task: InitialiseTask): Promise<string> {
  const home = await clusterHome(folder, task.runAs);
  const stage = path.join(home, `pgdata.new-${randomUUID()}`);
  await mkdir(stage, { mode: 0o700 });
  try {
    const passwordFile = path.join(stage, "password");
    await writeFile(passwordFile, task.password, { mode: 0o600 });
    if (task.runAs !== undefined) {
      await chown(passwordFile, task.runAs.uid, task.runAs.gid);
      await chown(stage, task.runAs.uid, task.runAs.gid);
    }
    const fresh = path.join(stage, "pgdata");
    await runInitdb(fresh, passwordFile, task);
    await placeCluster(folder, fresh, home);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
  const cluster = await resolveCluster(folder);
  if (cluster === undefined) {
    throw new EmbeddedPostgresError("EMBEDDED_POSTGRES_FAILED", {
      message: `the database in "${folder.clusterLink}" was removed while it was made: start again`,
    });
  }
  return cluster;
}

/** The data folder, unless the lent user can't enter it. */
async function clusterHome(folder: DataFolder, runAs: SystemUser | undefined): Promise<string> {
  if (runAs === undefined || (await canEnter(folder.dataDir, runAs))) return folder.dataDir;
  const home = path.join(await privateBaseDir(runAs), "clusters");
  await mkdir(home, { recursive: true });
  await chmod(home, 0o711);
  return home;
}

async function runInitdb(cluster: string, passwordFile: string, task: InitialiseTask): Promise<void> {
  const { runAs } = task;
  try {
    await runFile(task.initdb, initdbArguments(cluster, passwordFile), {
      cwd: "/",
      env: postgresEnvironment(),
      ...(runAs === undefined ? {} : { uid: runAs.uid, gid: runAs.gid }),
    });
  } catch (cause) {
    const said = ((cause as { stderr?: string }).stderr ?? "").trim();
    throw new EmbeddedPostgresError("EMBEDDED_POSTGRES_FAILED", {
      message:
        `initdb could not make a database in "${cluster}": ${said === "" ? String(cause) : said}; ` +
        `remove the reason, or set DATABASE_URL to a Postgres of yours`,
      cause,
    });
  }
}

function initdbArguments(cluster: string, passwordFile: string): string[] {
  const options = {
    pgdata: cluster,
    username: DATABASE_USER,
    pwfile: passwordFile,
    auth: "scram-sha-256",
    encoding: "UTF8",
    locale: "C",
    // The built-in provider sorts and folds the same on every machine, whatever locales it has.
    "locale-provider": "builtin",
    "builtin-locale": "C.UTF-8",
  };
  return ["--no-instructions", ...Object.entries(options).map(([name, value]) => `--${name}=${value}`)];
}

/** Puts the finished cluster where it belongs; leaves it for removal when another one stands there already. */
async function placeCluster(folder: DataFolder, fresh: string, home: string): Promise<void> {
  if (home === folder.dataDir) {
    await unlessTaken(rename(fresh, folder.clusterLink));
    return;
  }
  const outside = path.join(home, `pgdata-${randomUUID()}`);
  await rename(fresh, outside);
  const placed = await unlessTaken(symlink(outside, folder.clusterLink));
  if (!placed) await rm(outside, { recursive: true, force: true });
}

async function unlessTaken(placing: Promise<void>): Promise<boolean> {
  try {
    await placing;
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" || code === "ENOTEMPTY") return false;
    throw error;
  }
}
