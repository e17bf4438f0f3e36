/**
 * The import table: which package may import which, and which folder of the engine may import which.
 *
 * `checkImport` judges one import and explains a refusal; it reads no file. The check that walks the tree is
 * `check-layers.ts`. Whether a package from npm is declared at all is knip's business, not this table's.
 */
import { isBuiltin } from "node:module";
import { posix } from "node:path";

/** Where a package lives and what it may import of ours; `any` is for the places where everything meets. */
export interface PackageRule {
  readonly folder: string;
  readonly name: string;
  /** Names of our packages; a name with a door (`@memflow/engine/testing`) allows that door alone. */
  readonly mayImport: readonly string[] | "any";
  /** What its tests may import besides. */
  readonly testsMayImport?: readonly string[];
  /** What a folder below may import besides, by its path inside the package. */
  readonly folderMayImport?: Readonly<Record<string, readonly string[]>>;
}

/** One import as written: the file by its path from the root of the workspace, with forward slashes. */
export interface ImportSite {
  readonly file: string;
  readonly specifier: string;
}

export const PACKAGE_RULES: readonly PackageRule[] = [
  { folder: "migrations", name: "@memflow/migrations", mayImport: [] },
  { folder: "engine", name: "@memflow/engine", mayImport: ["@memflow/migrations"] },
  { folder: "sdk", name: "@memflow/sdk", mayImport: ["@memflow/engine"] },
  {
    folder: "worker-runtime",
    name: "@memflow/worker-runtime",
    mayImport: ["@memflow/engine", "@memflow/sdk"],
  },
  { folder: "crds", name: "@memflow/crds", mayImport: [] },
  {
    folder: "operator",
    name: "@memflow/operator",
    mayImport: ["@memflow/crds", "@memflow/engine/provision"],
    testsMayImport: ["@memflow/engine", "@memflow/engine/testing/scratch-store"],
    folderMayImport: { "src/queues/testing": ["@memflow/engine/testing/scratch-store"] },
  },
  {
    folder: "gateway",
    name: "@memflow/gateway",
    mayImport: [
      "@memflow/crds",
      "@memflow/engine",
      "@memflow/engine/provision",
      "@memflow/sdk",
      "@memflow/operator/api",
      "@memflow/operator/kube",
    ],
    testsMayImport: [
      "@memflow/engine/testing",
      "@memflow/engine/testing/scratch-store",
      "@memflow/operator/testing",
    ],
  },
  {
    folder: "kubectl-memflow",
    name: "@memflow/cli",
    mayImport: ["@memflow/crds", "@memflow/sdk", "@memflow/gateway/client"],
    testsMayImport: [
      "@memflow/engine",
      "@memflow/gateway/testing",
      "@memflow/operator/kube",
      "@memflow/operator/testing",
    ],
    folderMayImport: {
      "src/connect": ["@memflow/operator/kube"],
      "src/dev": [
        "@memflow/engine",
        "@memflow/worker-runtime",
        "@memflow/operator/observe",
        "@memflow/operator/plan",
        "@memflow/gateway",
      ],
    },
  },
  { folder: "examples/research-agent", name: "@memflow/example-research-agent", mayImport: ["@memflow/sdk"] },
  { folder: "e2e", name: "@memflow/e2e", mayImport: "any" },
  { folder: "bench", name: "memflow-bench", mayImport: "any" },
];

/**
 * The folders of `engine/src`, each with the folders, or files beside them, that it may import besides itself. Imports
 * point one way: core <- store <- schedules <- client, worker and core <- guards <- replay <- worker. Other files beside the
 * folders are the engine's doors: they may import all of them, and no folder imports a door. `testing` may import all.
 */
const ENGINE_FOLDERS: Readonly<Record<string, readonly string[] | "any">> = {
  core: [],
  store: ["core"],
  guards: ["core"],
  replay: ["core", "guards"],
  client: ["core", "store", "schedules", "crash-points.ts"],
  schedules: ["core", "store"],
  worker: ["core", "guards", "replay", "store", "schedules", "crash-points.ts"],
  testing: "any",
};

/** What the tests of any folder may use besides: helpers of tests, and those that ask from outside. */
const TESTS_MAY_IMPORT: readonly string[] = ["testing", "client", "schedules"];

/** Folders of these names, in any package, hold decisions only: no I/O, no clock, no randomness. */
const PURE_FOLDERS: readonly string[] = ["core", "plan"];

/** What pure code may import from outside: nothing here opens, waits, or draws a random number by being called. */
const PURE_BUILTINS: readonly string[] = ["node:assert", "node:buffer", "node:util"];
const PURE_PACKAGES: readonly string[] = ["@memflow/crds", "croner", "ms", "zod"];

/**
 * Judges one import of one file.
 *
 * @param site - The importing file and the specifier as written.
 * @param rules - The packages of the workspace (default: MemFlow's own).
 * @returns Why the import is refused and what to do instead; `undefined` when it stands.
 */
export function checkImport(
  site: ImportSite,
  rules: readonly PackageRule[] = PACKAGE_RULES,
): string | undefined {
  const importer = rules.find((rule) => isInside(site.file, rule.folder));
  if (!importer) return undefined;
  const target = site.specifier.startsWith(".")
    ? posix.join(posix.dirname(site.file), site.specifier)
    : undefined;
  return target === undefined
    ? (checkPackageImport(importer, site, rules) ?? checkPureImport(importer, site))
    : checkRelativeImport(importer, site.file, target);
}

function checkPackageImport(
  importer: PackageRule,
  site: ImportSite,
  rules: readonly PackageRule[],
): string | undefined {
  const imported = rules.find(
    (rule) => site.specifier === rule.name || site.specifier.startsWith(`${rule.name}/`),
  );
  if (!imported || imported === importer || importer.mayImport === "any") return undefined;
  const allowed = [...importer.mayImport, ...(isTest(site.file) ? (importer.testsMayImport ?? []) : [])];
  for (const [folder, names] of Object.entries(importer.folderMayImport ?? {})) {
    if (isInside(site.file, `${importer.folder}/${folder}`)) allowed.push(...names);
  }
  if (allowed.includes(imported.name) || allowed.includes(site.specifier)) return undefined;
  return `${importer.name} may not import ${site.specifier}; here it may import ${listNames(allowed)}`;
}

function checkPureImport(importer: PackageRule, site: ImportSite): string | undefined {
  const folder = pureFolderOf(importer, site.file);
  if (folder === undefined || isTest(site.file)) return undefined;
  const allowed = isBuiltin(site.specifier) ? PURE_BUILTINS : PURE_PACKAGES;
  if (allowed.includes(site.specifier)) return undefined;
  return `${folder}/ is pure and may not import ${site.specifier}; do that at the edge and pass the value in (allowed: ${listNames([...PURE_BUILTINS, ...PURE_PACKAGES])})`;
}

function checkRelativeImport(importer: PackageRule, file: string, target: string): string | undefined {
  if (!isInside(target, importer.folder)) {
    return `${target} is outside ${importer.folder}/; import another package by its name`;
  }
  return importer.folder === "engine" ? checkEngineImport(file, target) : undefined;
}

function checkEngineImport(file: string, target: string): string | undefined {
  const from = enginePartOf(file);
  const to = enginePartOf(target);
  if (from === to || from.endsWith(".ts")) return undefined;
  const allowed = ENGINE_FOLDERS[from];
  if (allowed === undefined) {
    return `engine/src/${from}/ has no row in the import table; add it to ENGINE_FOLDERS in scripts/layers.ts`;
  }
  if (allowed === "any" || allowed.includes(to) || (isTest(file) && TESTS_MAY_IMPORT.includes(to)))
    return undefined;
  return `engine/src/${from}/ may not import engine/src/${to}; besides itself it may import ${listNames(allowed)}`;
}

/** The folder of `engine/src` that holds the file, or the name of a file beside those folders. */
function enginePartOf(file: string): string {
  return posix.relative("engine/src", file).split("/")[0] ?? file;
}

function pureFolderOf(importer: PackageRule, file: string): string | undefined {
  const source = `${importer.folder}/src`;
  if (!isInside(file, source)) return undefined;
  const folders = posix.relative(source, posix.dirname(file)).split("/");
  const depth = folders.findIndex((folder) => PURE_FOLDERS.includes(folder));
  return depth === -1 ? undefined : posix.join(source, ...folders.slice(0, depth + 1));
}

function isInside(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`);
}

function isTest(file: string): boolean {
  return file.endsWith(".test.ts");
}

function listNames(names: readonly string[]): string {
  return names.length === 0 ? "nothing of ours" : names.join(", ");
}
