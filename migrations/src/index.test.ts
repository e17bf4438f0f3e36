/** The numbered files: their order, and what is refused. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, expect, test } from "vitest";
import { latestVersion, listMigrations, MIGRATIONS_URL } from "./index.ts";

const folders: string[] = [];

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
});

async function folderWith(...names: readonly string[]): Promise<URL> {
  const folder = await mkdtemp(join(tmpdir(), "memflow-migrations-"));
  folders.push(folder);
  for (const name of names) await writeFile(join(folder, name), "select 1");
  return pathToFileURL(`${folder}/`);
}

test("the files of this package are numbered from 1 without a gap", () => {
  const migrations = listMigrations();
  expect(migrations.map(({ version }) => version)).toEqual(migrations.map((_migration, index) => index + 1));
  expect(latestVersion()).toBe(migrations.length);
  expect(migrations[0]?.file.href.startsWith(MIGRATIONS_URL.href)).toBe(true);
});

test("files are listed by their number, with their name and place", async () => {
  const folder = await folderWith("0002_second.sql", "0001_first-step.sql", ".hidden");
  expect(listMigrations(folder)).toEqual([
    { version: 1, name: "0001_first-step", file: new URL("0001_first-step.sql", folder) },
    { version: 2, name: "0002_second", file: new URL("0002_second.sql", folder) },
  ]);
});

test.each([
  [["0002_second.sql"], "must have the number 1"],
  [["0001_a.sql", "0003_c.sql"], "must have the number 2"],
  [["0001_a.sql", "0001_b.sql"], "must have the number 2"],
  [["1_a.sql"], "must be called like"],
  [["0001_a.sql", "notes.txt"], "must be called like"],
  [["0001_Upper.sql"], "must be called like"],
])("%j is refused: %s", async (names, reason) => {
  const folder = await folderWith(...names);
  expect(() => listMigrations(folder)).toThrow(reason);
});

test("a folder without files is version 0", async () => {
  expect(latestVersion(await folderWith())).toBe(0);
});
