/** Which user runs Postgres, and where that user may go. */
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { canEnter, canRead, parseUsers, pickUser } from "./run-as-user.ts";

const PASSWD = [
  "root:x:0:0:root:/root:/bin/bash",
  "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin",
  "# a comment",
  "ada:x:1000:1000:Ada:/home/ada:/bin/bash",
  "nobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false",
  "postgres:x:101:104:PostgreSQL:/var/lib/postgresql:/bin/bash",
  "",
].join("\n");

const STRANGER = { name: "stranger", uid: 54_321, gid: 54_321 };

let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "memflow-user-"));
  await chmod(folder, 0o755);
});

afterEach(() => rm(folder, { recursive: true, force: true }));

test("root and users with ids that no process can have are never lent", () => {
  expect(parseUsers(PASSWD).map((user) => user.name)).toEqual(["daemon", "ada", "postgres"]);
});

test("the cluster's owner comes first, then who called sudo, then the best known service user", () => {
  const users = parseUsers(PASSWD);
  expect(pickUser(users, { ownerUid: 1, sudoUid: 1000 })?.name).toBe("daemon");
  expect(pickUser(users, { ownerUid: undefined, sudoUid: 1000 })?.name).toBe("ada");
  expect(pickUser(users, { ownerUid: 0, sudoUid: Number.NaN })?.name).toBe("postgres");
  expect(pickUser([], { ownerUid: undefined, sudoUid: Number.NaN })).toBeUndefined();
});

test("a stranger may enter open folders, and no folder below a closed one", async () => {
  const closed = path.join(folder, "closed");
  const inner = path.join(closed, "inner");
  await mkdir(inner, { recursive: true });
  await chmod(inner, 0o755);
  await chmod(closed, 0o755);
  expect(await canEnter(inner, STRANGER)).toBe(true);
  await chmod(closed, 0o700);
  expect(await canEnter(inner, STRANGER)).toBe(false);
});

test("a file is readable by its bits and by the folders above it", async () => {
  const file = path.join(folder, "file");
  await writeFile(file, "text");
  await chmod(file, 0o644);
  expect(await canRead(file, STRANGER)).toBe(true);
  await chmod(file, 0o600);
  expect(await canRead(file, STRANGER)).toBe(false);
  const { uid, gid } = await stat(file);
  expect(await canRead(file, { name: "owner", uid, gid })).toBe(true);
});
