/**
 * Fails when an import breaks the import table of `layers.ts`, naming each file, line and remedy.
 *
 * `node scripts/check-layers.ts [ROOT]` reads every TypeScript file of the workspace's packages (default: this
 * workspace) with a real parser: imports, re-exports and dynamic imports of a literal. A package of the workspace that
 * the table does not know is an error too, so the table cannot fall behind. It changes nothing.
 */
import { globSync, readFileSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import { parseSync } from "oxc-parser";
import { checkImport, PACKAGE_RULES } from "./layers.ts";

const SKIPPED_FOLDERS: readonly string[] = ["node_modules", "dist", "coverage", ".memflow"];

const root = resolve(process.argv[2] ?? join(import.meta.dirname, ".."));
const files = listSources(root);
if (files.length === 0) throw new Error(`no TypeScript file below "${root}": nothing was checked`);
const faults = [...findUnknownPackages(root), ...files.flatMap((file) => findFaults(root, file))];
for (const fault of faults) console.error(fault);
console.log(`layers: ${files.length} files checked, ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;

/** Paths from the root, with forward slashes, of every source below a package of the table. */
function listSources(root: string): string[] {
  return PACKAGE_RULES.flatMap((rule) =>
    globSync(`${rule.folder}/**/*.ts`, {
      cwd: root,
      exclude: (path) => SKIPPED_FOLDERS.includes(path.split(sep).at(-1) ?? ""),
    }),
  ).map((file) => file.split(sep).join("/"));
}

function findUnknownPackages(root: string): string[] {
  const workspace = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly workspaces: readonly string[];
  };
  const folders = workspace.workspaces.flatMap((pattern) =>
    globSync(`${pattern}/package.json`, { cwd: root }).map((file) => dirname(file).split(sep).join("/")),
  );
  return folders
    .filter((folder) => !PACKAGE_RULES.some((rule) => rule.folder === folder))
    .map(
      (folder) => `${folder}/package.json: this package has no row in the table; add it to scripts/layers.ts`,
    );
}

function findFaults(root: string, file: string): string[] {
  const text = readFileSync(join(root, file), "utf8");
  const parsed = parseSync(file, text);
  if (parsed.errors.length > 0) return parsed.errors.map((error) => `${file}: ${error.message}`);
  return listImports(parsed.module, text).flatMap(({ specifier, offset }) => {
    const refusal = checkImport({ file, specifier });
    return refusal === undefined ? [] : [`${file}:${lineAt(text, offset)}: ${refusal}`];
  });
}

type ParsedModule = ReturnType<typeof parseSync>["module"];

function listImports(module: ParsedModule, text: string): { specifier: string; offset: number }[] {
  const requests = [
    ...module.staticImports.map((entry) => entry.moduleRequest),
    ...module.staticExports.flatMap((entry) => entry.entries.flatMap((name) => name.moduleRequest ?? [])),
  ].map((request) => ({ specifier: request.value, offset: request.start }));
  const dynamic = module.dynamicImports.flatMap(({ moduleRequest }) => {
    const literal = /^(["'`])([^"'`$]+)\1$/.exec(text.slice(moduleRequest.start, moduleRequest.end));
    return literal?.[2] === undefined ? [] : [{ specifier: literal[2], offset: moduleRequest.start }];
  });
  return [...requests, ...dynamic];
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
