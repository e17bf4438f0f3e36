/**
 * Which system user runs the embedded Postgres.
 *
 * Postgres refuses to run as root, so root lends it another user that exists already; a plain user runs it as itself.
 * Promises to add no user and to change no right of a folder above the data folder: where the lent user can't reach a
 * path, `canEnter` and `canRead` say so and the caller takes another place.
 */
import { readFile, realpath, stat } from "node:fs/promises";
import path from "node:path";

import { EmbeddedPostgresError } from "./embedded-postgres-error.ts";

/** A user that is in the system's list; initdb refuses ids without a name. */
export interface SystemUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Users that most systems have and that own nothing of value, best first. */
const LENT_USERS = ["postgres", "_postgres", "nobody", "daemon"] as const;

const USER_ID_MAX = 2 ** 31 - 1;

/**
 * Chooses the user that runs Postgres.
 *
 * @param clusterDir - The cluster's folder; when it exists its owner runs it again.
 * @returns The user that root lends, or undefined when the current user can run Postgres itself.
 * @throws {EmbeddedPostgresError} EMBEDDED_POSTGRES_NO_USER when root finds no user to lend;
 *   EMBEDDED_POSTGRES_FOREIGN_DATA when the cluster belongs to another plain user.
 */
export async function chooseRunAsUser(clusterDir: string): Promise<SystemUser | undefined> {
  const ownUid = process.geteuid?.() ?? 0;
  const ownerUid = await ownerOf(clusterDir);
  if (ownUid !== 0) {
    if (ownerUid !== undefined && ownerUid !== ownUid) {
      throw new EmbeddedPostgresError("EMBEDDED_POSTGRES_FOREIGN_DATA", {
        message:
          `the database in "${clusterDir}" belongs to user ${ownerUid}, this process runs as user ${ownUid}: ` +
          `run as that user (or root), or choose another data folder`,
      });
    }
    return undefined;
  }
  const users = parseUsers(await readFile("/etc/passwd", "utf8"));
  const lent = pickUser(users, { ownerUid, sudoUid: Number(process.env["SUDO_UID"] ?? Number.NaN) });
  if (lent === undefined) {
    throw new EmbeddedPostgresError("EMBEDDED_POSTGRES_NO_USER", {
      message:
        `Postgres refuses to run as root and none of the users ${LENT_USERS.join(", ")} exists here: ` +
        `run as a plain user, or set DATABASE_URL to a Postgres of yours`,
    });
  }
  return lent;
}

/** Reads the lines of /etc/passwd; ids that a process can't be started with are left out. */
export function parseUsers(passwd: string): SystemUser[] {
  const users: SystemUser[] = [];
  for (const line of passwd.split("\n")) {
    const [name, , uidText, gidText] = line.split(":");
    const uid = Number(uidText);
    const gid = Number(gidText);
    if (name === undefined || name === "" || name.startsWith("#")) continue;
    if (!isUsableId(uid) || !isUsableId(gid)) continue;
    users.push({ name, uid, gid });
  }
  return users;
}

/** The cluster's owner first, then who called sudo, then the first known service user. */
export function pickUser(
  users: readonly SystemUser[],
  wish: { readonly ownerUid: number | undefined; readonly sudoUid: number },
): SystemUser | undefined {
  const byUid = (uid: number | undefined): SystemUser | undefined => users.find((user) => user.uid === uid);
  const owner = byUid(wish.ownerUid) ?? byUid(wish.sudoUid);
  if (owner !== undefined) return owner;
  for (const name of LENT_USERS) {
    const user = users.find((candidate) => candidate.name === name);
    if (user !== undefined) return user;
  }
  return undefined;
}

/**
 * Whether `user` may read `target`: enter every folder above it, read it and, if it is a folder, enter it.
 * Looks at the permission bits only: an access list that grants more is not seen, which costs a copy and no more.
 */
export async function canRead(target: string, user: SystemUser): Promise<boolean> {
  const own = await stat(target);
  return permits(own, user, own.isDirectory() ? 0o5 : 0o4) && (await canEnter(path.dirname(target), user));
}

/** Whether `user` may enter `folder` and every folder above it. */
export async function canEnter(folder: string, user: SystemUser): Promise<boolean> {
  const resolved = await realpath(folder);
  for (const entered of [...ancestorsOf(resolved), resolved]) {
    if (!permits(await stat(entered), user, 0o1)) return false;
  }
  return true;
}

/** The folders from the root down to the one that holds `target`. */
function ancestorsOf(target: string): string[] {
  const parent = path.dirname(target);
  return parent === target ? [] : [...ancestorsOf(parent), parent];
}

function permits(
  entry: { readonly mode: number; readonly uid: number; readonly gid: number },
  user: SystemUser,
  wanted: number,
): boolean {
  const shift = entry.uid === user.uid ? 6 : entry.gid === user.gid ? 3 : 0;
  return ((entry.mode >> shift) & wanted) === wanted;
}

async function ownerOf(folder: string): Promise<number | undefined> {
  try {
    return (await stat(folder)).uid;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function isUsableId(id: number): boolean {
  return Number.isInteger(id) && id > 0 && id <= USER_ID_MAX;
}
