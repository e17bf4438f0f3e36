/**
 * Finds the manifests that `-f` names: one file, or every .yaml, .yml and .json file of a folder (not of its
 * subfolders, as kubectl does).
 */
import { readFile, readdir, stat } from "node:fs/promises";
import path from "node:path";
import { ManifestError, parseManifests } from "@memflow/crds";
import type { ManifestFile, Manifests } from "@memflow/crds";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";

const ENDINGS = [".yaml", ".yml", ".json"];
/** Files that are no manifests though they end like one. */
const OTHER_FILES = ["package.json", "package-lock.json", "tsconfig.json"];
const FILE_MAX = 1_000;

/**
 * Reads the manifests.
 *
 * @throws {CommandError} With exit code 2: the path, or every fault as `file:line: path: reason`.
 */
export async function readManifests(location: string): Promise<Manifests> {
  const files = await listFiles(location);
  if (files.length === 0) {
    throw new CommandError(EXIT_CODES.usage, `no manifest (${ENDINGS.join(", ")}) in folder "${location}"`);
  }
  const texts: ManifestFile[] = [];
  for (const file of files) texts.push({ path: file, text: await readFile(file, "utf8") });
  try {
    return parseManifests(texts);
  } catch (error) {
    if (error instanceof ManifestError) throw new CommandError(EXIT_CODES.usage, error.message, error);
    throw error;
  }
}

async function listFiles(location: string): Promise<readonly string[]> {
  try {
    if (!(await stat(location)).isDirectory()) return [location];
  } catch (cause) {
    throw new CommandError(
      EXIT_CODES.usage,
      `"${location}" can't be read: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}; name a file or folder of manifests with -f`,
      cause,
    );
  }
  const names = (await readdir(location)).filter(
    (name) => ENDINGS.some((ending) => name.endsWith(ending)) && !OTHER_FILES.includes(name),
  );
  if (names.length > FILE_MAX) {
    throw new CommandError(
      EXIT_CODES.usage,
      `folder "${location}" has ${names.length} manifests, must have <= ${FILE_MAX}`,
    );
  }
  return names.toSorted().map((name) => path.join(location, name));
}
