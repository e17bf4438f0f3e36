/**
 * Lays out the files of one image in a folder, from what is installed and built here: no network, no registry.
 *
 * node scripts/stage-image.ts IMAGE FOLDER
 *
 * For an image of the product FOLDER/dependencies gets the packages from npm that it runs, FOLDER/ours our own as built by
 * `npm run build`: two folders, so that a change of ours leaves the larger layer as it is. For an example FOLDER gets what a
 * user's project has. Promises that FOLDER holds nothing else afterwards.
 */
import { cpSync, existsSync, globSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { IMAGES, builtFileOf, isNeededOfExample, isNeededOfOthers, neverRuns } from "./images/image-files.ts";
import { findRuntimePackages } from "./images/runtime-packages.ts";
import type { InstalledPackage } from "./images/runtime-packages.ts";

const ROOT = path.resolve(import.meta.dirname, "..");

const [imageName, folder] = process.argv.slice(2);
const image = IMAGES.find(({ name }) => name === imageName);
if (image === undefined || folder === undefined) {
  const names = IMAGES.map(({ name }) => name).join("|");
  process.stderr.write(`usage: node scripts/stage-image.ts ${names} FOLDER\n`);
  process.exit(2);
}
rmSync(folder, { recursive: true, force: true });
if (image.kind === "product") stageProduct(image.workspace, folder);
else stageExample(image.workspace, image.extras, folder);

function stageProduct(workspace: string, target: string): void {
  for (const installed of findRuntimePackages(ROOT, workspace, ({ folder: found }) => neverRuns(found))) {
    if (installed.isOurs) stageOurs(installed, path.join(target, "ours"));
    else stageOther(installed, path.join(target, "dependencies"));
  }
  // A module without a package.json of its own, mounted at any path, is an ES module.
  mkdirSync(path.join(target, "rootfs"), { recursive: true });
  writeFileSync(path.join(target, "rootfs", "package.json"), '{ "type": "module" }\n');
}

/** The worker image brings our packages, so they, and what only they need, stay out. */
function stageExample(workspace: string, extras: readonly string[], target: string): void {
  const source = path.join(ROOT, workspace);
  for (const file of filesBelow(source).filter(isNeededOfExample)) {
    cpSync(path.join(source, file), path.join(target, file));
  }
  const leaveOut = ({ name, folder: found }: InstalledPackage): boolean =>
    neverRuns(found) || (name.startsWith("@memflow/") && found !== workspace);
  for (const installed of findRuntimePackages(ROOT, workspace, leaveOut)) {
    if (!installed.isOurs) stageOther(installed, target);
  }
  for (const extra of extras) {
    cpSync(path.join(ROOT, extra), path.join(target, "corpus", extra), { recursive: true });
  }
}

/** A package from npm, at the path where npm put it: resolution in the image is as it is here. */
function stageOther({ folder: found }: InstalledPackage, target: string): void {
  const source = path.join(ROOT, found);
  for (const file of filesBelow(source).filter(isNeededOfOthers)) {
    cpSync(path.join(source, file), path.join(target, found, file), { preserveTimestamps: true });
  }
}

function stageOurs({ name, folder: found }: InstalledPackage, target: string): void {
  const source = path.join(ROOT, found);
  cpSync(path.join(source, "package.json"), path.join(target, found, "package.json"));
  for (const file of filesBelow(path.join(source, "src"))) {
    const built = builtFileOf(file);
    if (built === undefined) continue;
    const from = path.join(source, "dist", built);
    if (!existsSync(from)) throw new Error(`"${found}/src/${file}" is not built: run "npm run build" first`);
    cpSync(from, path.join(target, found, "dist", built));
  }
  for (const file of filesBelow(path.join(source, "sql"))) {
    cpSync(path.join(source, "sql", file), path.join(target, found, "sql", file));
  }
  const link = path.join(target, "node_modules", name);
  mkdirSync(path.dirname(link), { recursive: true });
  symlinkSync(path.relative(path.dirname(link), path.join(target, found)), link);
}

/** Paths of the files below a folder, with forward slashes, in order; none when the folder is not there. */
function filesBelow(source: string): readonly string[] {
  return globSync("**/*", { cwd: source, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(source, path.join(entry.parentPath, entry.name)))
    .map((file) => file.split(path.sep).join("/"))
    .toSorted();
}
