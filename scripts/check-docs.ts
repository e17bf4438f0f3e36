/**
 * Fails when the docs say what is not so: a link that leads nowhere, an example that does not compile, a script that
 * does not exist.
 *
 * `node scripts/check-docs.ts [ROOT]` reads the Markdown of the workspace (default: this one), the mentions of docs in
 * comments of its sources, and the examples in the docstrings of the SDK. It changes nothing. Whether a sentence is true
 * is for its readers to judge.
 */
import { globSync, readFileSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import { checkCommands } from "./docs/commands.ts";
import type { ScriptsByFolder } from "./docs/commands.ts";
import { checkExamples, givenBySdk, listDocstringExamples } from "./docs/examples.ts";
import type { Example } from "./docs/examples.ts";
import { LinkChecker } from "./docs/links.ts";

const SKIPPED_FOLDERS: readonly string[] = ["node_modules", "dist", "coverage", ".memflow", ".git"];
/** Their blocks of this language are complete modules; elsewhere they may be sketches. */
const WITH_EXAMPLES = /^(?:README\.md|docs\/.*)$/u;
const WITH_DOCSTRINGS = /^sdk\/src\/.*(?<!\.test)\.ts$/u;
const SDK_DOOR = "sdk/src/index.ts";

const root = resolve(process.argv[2] ?? join(import.meta.dirname, ".."));
const docs = list("**/*.md");
if (docs.length === 0) throw new Error(`no Markdown file below "${root}": nothing was checked`);
const sources = list("**/*.{ts,sql}");
const links = new LinkChecker(root);
const scripts = readScripts();
const examples = [...docs.flatMap(listBlocks), ...listDocstrings()];
const faults = [
  ...docs.flatMap((file) => links.checkMarkdown(file)),
  ...sources.flatMap((file) => links.checkSource(file)),
  ...docs.flatMap((file) => checkCommands(file, links.markdown(file), scripts)),
  ...(await checkExamples(root, examples)),
];
for (const fault of faults) console.error(fault);
console.log(`docs: ${docs.length} files and ${examples.length} examples checked, ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;

/** Paths from the root, with forward slashes. */
function list(pattern: string): string[] {
  return globSync(pattern, {
    cwd: root,
    exclude: (path) => SKIPPED_FOLDERS.includes(path.split(sep).at(-1) ?? ""),
  })
    .map((file) => file.split(sep).join("/"))
    .filter((file) => !file.split("/").some((part) => part.startsWith(".")))
    .toSorted();
}

function listBlocks(file: string): Example[] {
  if (!WITH_EXAMPLES.test(file)) return [];
  const blocks = links.markdown(file).blocks.filter(({ language }) => language === "ts");
  return blocks.map(({ code, line }) => ({ file, line, code, given: {} }));
}

function listDocstrings(): Example[] {
  if (!sources.includes(SDK_DOOR)) return [];
  const given = givenBySdk(readFileSync(join(root, SDK_DOOR), "utf8"));
  const files = sources.filter((file) => WITH_DOCSTRINGS.test(file));
  return files.flatMap((file) => listDocstringExamples(file, readFileSync(join(root, file), "utf8"), given));
}

function readScripts(): ScriptsByFolder {
  return new Map(
    list("**/package.json").map((file) => {
      const { scripts: named = {} } = JSON.parse(readFileSync(join(root, file), "utf8")) as {
        scripts?: object;
      };
      return [file === "package.json" ? "" : dirname(file), new Set(Object.keys(named))];
    }),
  );
}
