/**
 * Writes the files that come from the source of the kinds, or checks that they are as they have to be.
 *
 * `node crds/src/generate/main.ts [--check] [ROOT]`: with `--check` nothing is written, each file that differs is named, and
 * the exit code is 1 when one does.
 */
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import { KINDS } from "../kinds.ts";
import { GENERATED_FOLDERS, generatedFiles } from "./generated-files.ts";
import type { GeneratedFile } from "./generated-files.ts";

const args = process.argv.slice(2);
const isCheck = args.includes("--check");
const root = resolve(args.find((arg) => arg !== "--check") ?? join(import.meta.dirname, "../../.."));
const files = generatedFiles(KINDS);
if (isCheck) check();
else for (const file of files) write(file);

function check(): void {
  const faults = [
    ...files
      .filter(({ path, text }) => read(path) !== text)
      .map(({ path }) => `${path}: differs from crds/src; run npm run generate and commit what it writes`),
    ...findLeftovers().map((path) => `${path}: no kind is written there; delete it`),
  ];
  for (const fault of faults) console.error(fault);
  console.log(`generated: ${files.length} files checked, ${faults.length} faults`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}

function findLeftovers(): string[] {
  const expected = new Set(files.map(({ path }) => path));
  return GENERATED_FOLDERS.flatMap((folder) => globSync(`${folder}/*.yaml`, { cwd: root }))
    .map((path) => path.split(sep).join("/"))
    .filter((path) => !expected.has(path));
}

function write({ path, text }: GeneratedFile): void {
  const target = join(root, path);
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, text);
  console.log(path);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(join(root, path), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
