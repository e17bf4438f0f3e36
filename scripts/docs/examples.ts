/**
 * Type-checks the examples that readers copy: code blocks of docs, and the `@example`s of docstrings.
 *
 * Each example becomes a module of its own. Blocks of docs import and declare all that they use, as a reader would have
 * to. Docstrings may take some names as given (the SDK's exports, a connection string): these are declared in front of the
 * examples that use them. One compiler run checks them all against the sources. Nothing is executed.
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { parseSync } from "oxc-parser";

/** A piece of code at its place. */
export interface Example {
  readonly file: string;
  /** The line of its first line of code. */
  readonly line: number;
  readonly code: string;
  /** What the code may use without declaring it: declarations by name; none for code that is to be copied whole. */
  readonly given: Readonly<Record<string, string>>;
}

/** What the docstrings of the SDK take as given, besides its exports. */
const SDK_GIVEN: Readonly<Record<string, string>> = {
  Postgres: 'import { Client as Postgres } from "pg";',
  client: 'declare const client: import("@memflow/sdk").Client;',
  handle: 'declare const handle: import("@memflow/sdk").WorkflowHandle;',
  connection: 'declare const connection: import("@memflow/sdk").ConnectionConfig;',
  connectionString: "declare const connectionString: string;",
  workflows: "declare const workflows: { example(...args: never[]): Promise<unknown> };",
};

const OPTIONS = {
  extends: "../../../tsconfig.base.json",
  compilerOptions: {
    composite: false,
    declaration: false,
    declarationMap: false,
    incremental: false,
    isolatedDeclarations: false,
    noEmit: true,
    noUnusedLocals: false,
    noUnusedParameters: false,
    verbatimModuleSyntax: false,
    rootDir: "../../..",
  },
  include: ["*.ts"],
  exclude: [],
};

const DIAGNOSTIC = /^(?<file>[^(\n]+)\((?<line>\d+),\d+\): error (?<message>.*)$/gmu;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

/**
 * What the examples of the SDK's docstrings may use without declaring it.
 *
 * @param indexText - The text of the SDK's door: all that it exports is given.
 */
export function givenBySdk(indexText: string): Readonly<Record<string, string>> {
  const { module } = parseSync("index.ts", indexText);
  const names = module.staticExports.flatMap(({ entries }) =>
    entries.map(({ exportName }) => exportName.name ?? ""),
  );
  const imports = names.map((name): [string, string] => [name, `import { ${name} } from "@memflow/sdk";`]);
  return { ...Object.fromEntries(imports), ...SDK_GIVEN };
}

/** The examples in the docstrings of a source. */
export function listDocstringExamples(file: string, text: string, given: Example["given"]): Example[] {
  const { comments } = parseSync(file, text);
  return comments.flatMap(({ type, value, start }) => {
    if (type !== "Block" || !value.startsWith("*")) return [];
    const firstLine = text.slice(0, start).split("\n").length;
    return listTagged(value).map(({ code, offset }) => ({ file, line: firstLine + offset, code, given }));
  });
}

/**
 * Compiles the examples.
 *
 * @param root - The workspace: its packages are what the examples import.
 * @returns A fault for each error, at its place in the doc.
 * @throws {Error} When the compiler did not do its work.
 */
export async function checkExamples(root: string, examples: readonly Example[]): Promise<string[]> {
  if (examples.length === 0) return [];
  const cache = join(root, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  // Inside the workspace, so that packages are found; two levels down, as OPTIONS says.
  const folder = mkdtempSync(join(cache, "memflow-docs-"));
  try {
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(OPTIONS));
    for (const [index, example] of examples.entries()) {
      writeFileSync(join(folder, nameOf(index)), `${headOf(example)}\n${example.code}\nexport {};\n`);
    }
    return readFaults(await compile(root, folder), examples);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface Tagged {
  readonly code: string;
  /** Lines from the start of the comment. */
  readonly offset: number;
}

function listTagged(comment: string): Tagged[] {
  const lines = comment.split("\n").map((line) => line.replace(/^\s*\* ?/u, ""));
  const found: Tagged[] = [];
  for (const [index, line] of lines.entries()) {
    if (!/^@example\s*$/u.test(line)) continue;
    const rest = lines.slice(index + 1);
    const end = rest.findIndex((other) => /^@\w/u.test(other));
    found.push({
      code: rest
        .slice(0, end === -1 ? undefined : end)
        .join("\n")
        .trimEnd(),
      offset: index + 1,
    });
  }
  return found;
}

function nameOf(index: number): string {
  return `example-${index}.ts`;
}

/** What the example takes as given, on one line: so its own lines keep their distance. */
function headOf({ code, given }: Example): string {
  return Object.entries(given)
    .filter(([name]) => uses(code, name) && !declares(code, name))
    .map(([, declaration]) => declaration)
    .join(" ");
}

function uses(code: string, name: string): boolean {
  return new RegExp(String.raw`(?<![\w$.])${name}(?![\w$])`, "u").test(code);
}

/** By a declaration, an import, or a pattern; a member of an object is none. */
function declares(code: string, name: string): boolean {
  const imported = new RegExp(String.raw`^import[^;]*\b${name}\b[^;]*from`, "mu");
  const declared = new RegExp(String.raw`\b(?:const|let|var|function|class)\s+(?:\{[^}]*)?\b${name}\b`, "u");
  return imported.test(code) || declared.test(code);
}

function compile(root: string, folder: string): Promise<string> {
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  const args = [compiler, "-p", folder, "--pretty", "false"];
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      args,
      { cwd: folder, maxBuffer: OUTPUT_BYTES_MAX },
      (error, stdout, stderr) => {
        if (error === null || stdout.includes(": error ")) resolve(stdout);
        else reject(new Error(`the compiler failed: ${stderr === "" ? stdout : stderr}`, { cause: error }));
      },
    );
  });
}

/** Errors in the sources themselves are not repeated here: the type check of the workspace finds them. */
function readFaults(output: string, examples: readonly Example[]): string[] {
  const faults: string[] = [];
  for (const { groups } of output.matchAll(DIAGNOSTIC)) {
    const { file = "", line = "", message = "" } = groups ?? {};
    if (file === "tsconfig.json") throw new Error(`the compiler refuses its options: ${message}`);
    const example = examples.find((_example, index) => relative(".", file) === nameOf(index));
    if (example === undefined) continue;
    // The line in front is the head's.
    faults.push(`${example.file}:${example.line + Number(line) - 2}: ${message}`);
  }
  return faults;
}
