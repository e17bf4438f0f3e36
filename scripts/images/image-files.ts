/**
 * Which files go into an image: of ours the built JavaScript, of others what runs.
 *
 * Pure: judges paths, reads nothing. Left out are tests and their helpers, types, source maps and pages; licences stay.
 */

/** An image: the workspace that it starts, and what else it holds. */
export type ImageContents =
  | { readonly kind: "product"; readonly name: string; readonly workspace: string }
  /** Code as users have it, on top of the worker image, which brings our packages. */
  | {
      readonly kind: "example";
      readonly name: string;
      readonly workspace: string;
      readonly extras: readonly string[];
    };

export const IMAGES: readonly ImageContents[] = [
  { kind: "product", name: "operator", workspace: "operator" },
  { kind: "product", name: "worker", workspace: "worker-runtime" },
  { kind: "product", name: "gateway", workspace: "gateway" },
  {
    kind: "example",
    name: "research-agent",
    workspace: "examples/research-agent",
    extras: ["README.md", "CONTRIBUTING.md", "docs"],
  },
];

const TYPES_OR_MAP = /\.d\.[mc]?ts$|\.map$|\.tsbuildinfo$/u;
const PAGE = /\.(?:md|markdown)$/iu;
const LICENCE = /^(?:licen[cs]e|copying|notice)/iu;
const UNUSED_FOLDERS: ReadonlySet<string> = new Set(["@types", "node_modules", ".github", "docs", "man"]);

/**
 * Says whether a file of a package from npm goes into an image.
 *
 * @param path - Path inside the package, with forward slashes.
 */
export function isNeededOfOthers(path: string): boolean {
  const parts = path.split("/");
  const name = parts.at(-1) ?? "";
  // A package that is installed inside another is copied under its own path.
  if (parts.slice(0, -1).some((part) => UNUSED_FOLDERS.has(part))) return false;
  if (LICENCE.test(name)) return true;
  return !TYPES_OR_MAP.test(name) && !PAGE.test(name);
}

/**
 * Finds the built file of one of our sources.
 *
 * @param source - Path inside the package's `src`, with forward slashes.
 * @returns Its path inside `dist`; `undefined` for tests, their helpers and what is not compiled.
 */
export function builtFileOf(source: string): string | undefined {
  if (!source.endsWith(".ts") || /\.(?:test|d)\.ts$/u.test(source)) return undefined;
  if (source.split("/").includes("testing")) return undefined;
  return source.replace(/\.ts$/u, ".js");
}

/** Says whether a file of an example goes into its image. */
export function isNeededOfExample(path: string): boolean {
  if (path === "package.json") return true;
  const isHidden = path.split("/").some((part) => ["node_modules", "dist", "testing"].includes(part));
  return !isHidden && path.endsWith(".ts") && !/\.(?:test|d)\.ts$/u.test(path);
}

/** Says whether a package never runs on Node: it is types alone, or is for the runtime Bare. */
export function neverRuns(packagePath: string): boolean {
  return /node_modules\/(?:@types\/|bare-)/u.test(packagePath);
}
