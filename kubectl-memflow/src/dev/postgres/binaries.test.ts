/** The installed programs are used in place where they can be, else copied whole. */
import { chmod, cp, lstat, mkdtemp, readdir, rm } from "node:fs/promises";
import { execFileSync } from "node:child_process";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { locateBinaries, prepareBinaries } from "./binaries.ts";
import type { InstalledBinaries } from "./binaries.ts";

let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "memflow-binaries-"));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** The package as npm unpacks it without running its install script: no link among the libraries. */
async function unpack(): Promise<InstalledBinaries> {
  const installed = await locateBinaries();
  const packageDir = path.join(folder, "package");
  await cp(path.join(installed.packageDir, "native"), path.join(packageDir, "native"), {
    recursive: true,
    verbatimSymlinks: true,
  });
  const libraries = path.join(packageDir, "native", "lib");
  for (const name of await readdir(libraries)) {
    const file = path.join(libraries, name);
    if ((await lstat(file)).isSymbolicLink()) await rm(file);
  }
  return { packageDir, version: `test-${path.basename(folder)}` };
}

test("library links that no install script made are made in place", async () => {
  const installed = await unpack();
  const binaries = await prepareBinaries(installed, undefined);
  expect(binaries.postgres.startsWith(installed.packageDir)).toBe(true);
  expect(execFileSync(binaries.postgres, ["--version"], { encoding: "utf8" })).toContain("PostgreSQL");
  expect(execFileSync(binaries.initdb, ["--version"], { encoding: "utf8" })).toContain("PostgreSQL");
});

test.runIf(process.geteuid?.() === 0)(
  "programs that a lent user can't read are copied to where it can (needs root)",
  async () => {
    const installed = await unpack();
    await chmod(folder, 0o700);
    const nobody = { name: "nobody", uid: 65_534, gid: 65_534 };
    const [binaries, again] = await Promise.all([
      prepareBinaries(installed, nobody),
      prepareBinaries(installed, nobody),
    ]);
    try {
      expect(again).toEqual(binaries);
      expect(binaries.postgres.startsWith(installed.packageDir)).toBe(false);
      const said = execFileSync(binaries.postgres, ["--version"], {
        encoding: "utf8",
        uid: nobody.uid,
        gid: nobody.gid,
        cwd: "/",
      });
      expect(said).toContain("PostgreSQL");
    } finally {
      await rm(path.resolve(binaries.postgres, "../../.."), { recursive: true, force: true });
    }
  },
);
