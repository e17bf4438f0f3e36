/**
 * Finds the packages that a workspace needs to run, as they are installed.
 *
 * Follows `dependencies` and what is installed of `optionalDependencies`, each from the package that asks, as Node does. No
 * network, no npm: what `npm ci` put there at the lockfile's versions is what is found.
 */
import { existsSync, readFileSync, realpathSync } from "node:fs";
import path from "node:path";

/** A package as it is installed. */
export interface InstalledPackage {
  readonly name: string;
  /** Its folder from the workspace's root; a path below `node_modules` for a package from npm, else a folder of ours. */
  readonly folder: string;
  readonly isOurs: boolean;
}

interface PackageManifest {
  readonly name: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** What keeps the search from packages: those for which this is true are neither taken nor looked into. */
export type LeaveOut = (found: InstalledPackage) => boolean;

/**
 * Finds the packages.
 *
 * @param root - The workspace's root.
 * @param workspace - Folder of the package that is run, from the root.
 * @returns The package itself and all that it needs, each once, ordered by folder.
 * @throws {Error} Naming the package that is not installed.
 */
export function findRuntimePackages(
  root: string,
  workspace: string,
  leaveOut: LeaveOut,
): readonly InstalledPackage[] {
  const found = new Map<string, InstalledPackage>();
  const visit = (folder: string): void => {
    const manifest = readManifest(path.join(root, folder));
    const installed = {
      name: manifest.name,
      folder,
      isOurs: !folder.split(path.sep).includes("node_modules"),
    };
    if (found.has(folder) || leaveOut(installed)) return;
    found.set(folder, installed);
    for (const name of Object.keys(manifest.dependencies ?? {})) {
      const isOptional = Object.hasOwn(manifest.optionalDependencies ?? {}, name);
      const target = resolveFrom(root, folder, name);
      if (target !== undefined) visit(target);
      else if (!isOptional)
        throw new Error(`"${name}", which "${folder}" needs, is not installed: run npm ci`);
    }
    for (const name of Object.keys(manifest.optionalDependencies ?? {})) {
      const target = resolveFrom(root, folder, name);
      if (target !== undefined) visit(target);
    }
  };
  visit(workspace);
  return [...found.values()].toSorted((a, b) => (a.folder < b.folder ? -1 : 1));
}

/** Looks in the `node_modules` of the folder and of those above it; a link to a folder of ours is followed. */
function resolveFrom(root: string, folder: string, name: string): string | undefined {
  for (let place = folder; ; place = path.dirname(place)) {
    const candidate = path.join(root, place, "node_modules", name);
    if (existsSync(path.join(candidate, "package.json"))) {
      return path.relative(realpathSync(root), realpathSync(candidate));
    }
    if (place === ".") return undefined;
  }
}

function readManifest(folder: string): PackageManifest {
  return JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8")) as PackageManifest;
}
