import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { onTestFinished, expect, test } from "vitest";
import { checkCommands } from "./docs/commands.ts";
import { checkExamples, givenBySdk, listDocstringExamples } from "./docs/examples.ts";
import { anchorOf, readMarkdown } from "./docs/markdown.ts";

const CHECK = join(import.meta.dirname, "check-docs.ts");
const WORKSPACE = resolve(import.meta.dirname, "..");
const SCRIPTS = new Map([
  ["", new Set(["start", "test", "lint"])],
  ["bench", new Set(["table"])],
]);

/** What the check says of a folder with these files. */
function checkTree(files: Readonly<Record<string, string>>): { status: number | null; output: string } {
  const root = mkdtempSync(join(tmpdir(), "memflow-docs-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  const { status, stdout, stderr } = spawnSync(process.execPath, [CHECK, root], { encoding: "utf8" });
  return { status, output: stdout + stderr };
}

test("links to files, folders and headings that are there pass", () => {
  const { status, output } = checkTree({
    "README.md":
      "# One\n\n[a](docs/a.md#two-words) [b](docs/) ![c](docs/c.png) [d](#one) [e](https://example.org/x)\n",
    "docs/a.md": "## Two words\n\n[up](../README.md), `[not a](link.md)`\n\n```\n[nor](this.md)\n```\n",
    "docs/c.png": "",
    "engine/src/b.ts": "/** @see docs/a.md#two-words */\nexport const path = 'docs/none.md';\n",
    "package.json": "{}",
  });
  expect(output).toBe("docs: 2 files and 0 examples checked, 0 faults\n");
  expect(status).toBe(0);
});

test("a link to nowhere fails with its place, in a doc and in a comment", () => {
  const { status, output } = checkTree({
    "README.md": "# One\n\n[a](docs/none.md)\n[b](#two)\n[c](../outside.md)\n\n[d]: docs/a.md#gone\n",
    "docs/a.md": "# A\n",
    "engine/src/b.ts": "//\n// See docs/a.md#gone.\n",
    "migrations/sql/c.sql": "-- docs/gone.md\n",
  });
  expect(output).toContain("README.md:3: docs/none.md does not exist");
  expect(output).toContain("README.md:4: README.md has no heading for #two");
  expect(output).toContain("README.md:5: ../outside.md is outside the workspace");
  expect(output).toContain("README.md:7: docs/a.md has no heading for #gone");
  expect(output).toContain("engine/src/b.ts:2: docs/a.md has no heading for #gone");
  expect(output).toContain("migrations/sql/c.sql:1: docs/gone.md does not exist");
  expect(output).toContain("6 faults");
  expect(status).toBe(1);
});

test("a folder without Markdown does not pass", () => {
  expect(checkTree({ "package.json": "{}" }).status).not.toBe(0);
});

test.each([
  ["Where a signal goes", "where-a-signal-goes"],
  ["`flush_runs` and [others](x.md)", "flush_runs-and-others"],
  ["I/O, and more!", "io-and-more"],
  ["A  double space", "a--double-space"],
])("the heading %j has the anchor %s", (title, anchor) => {
  expect(anchorOf(title)).toBe(anchor);
});

test("equal headings are numbered", () => {
  expect([...readMarkdown("# A\n## A\n### A").anchors]).toEqual(["a", "a-1", "a-2"]);
});

test("npm commands of scripts that exist pass", () => {
  const markdown = readMarkdown(
    [
      "`npm start`",
      "```sh",
      "npm ci && npm test -- engine",
      "npm run lint",
      "npm --prefix bench run table",
      "```",
    ].join("\n"),
  );
  expect(checkCommands("a.md", markdown, SCRIPTS)).toEqual([]);
});

test("an npm command of a script that does not exist fails with its place, in a block and inline", () => {
  const markdown = readMarkdown(
    [
      "Say `npm run none`.",
      "```sh",
      "npm run lint && npm run gone",
      "npm --prefix bench run lint",
      "npm frobnicate",
      "```",
    ].join("\n"),
  );
  expect(checkCommands("a.md", markdown, SCRIPTS)).toEqual([
    'a.md:3: "npm run gone" names the script "gone", which package.json does not have',
    'a.md:4: "npm --prefix bench run lint" names the script "lint", which bench/package.json does not have',
    expect.stringContaining('a.md:5: "npm frobnicate" is no command'),
    'a.md:1: "npm run none" names the script "none", which package.json does not have',
  ]);
});

test("a block of TypeScript in a doc, and no other, is an example", () => {
  const { status, output } = checkTree({
    "docs/a.md": "```txt\nnot code\n```\n",
    "CONTRIBUTING.md": "```ts\na sketch\n```\n",
  });
  expect(output).toContain("2 files and 0 examples checked");
  expect(status).toBe(0);
});

test("the examples of a docstring are found with their lines, up to the next tag", () => {
  const text =
    "const a = 1;\n/**\n * Does.\n *\n * @example\n * use(1);\n *   use(2);\n *\n * @see docs\n */\nexport function use() {}\n";
  expect(listDocstringExamples("a.ts", text, {})).toEqual([
    { file: "a.ts", line: 6, code: "use(1);\n  use(2);", given: {} },
  ]);
});

test("examples that misuse the API or lack an import fail with their place, others pass", async () => {
  const given = givenBySdk(
    'export { Client, MemFlow } from "./a.ts";\nexport type { Json } from "./b.ts";\n',
  );
  const faults = await checkExamples(WORKSPACE, [
    {
      file: "good.md",
      line: 1,
      code: "const status: number = await handle.status();\nlet json: Json = status;",
      given,
    },
    {
      file: "own.md",
      line: 1,
      code: "const client = new Client({ connection: connectionString });\nawait client.workflow.list();",
      given,
    },
    {
      file: "type.md",
      line: 10,
      code: "await handle.status();\nconst status: string = await handle.status();",
      given,
    },
    { file: "name.md", line: 20, code: "await MemFlow.workflow.doze(1);", given },
    { file: "unknown.md", line: 30, code: "await nobodyKnows();", given },
    { file: "import.md", line: 40, code: "await MemFlow.shutdown();", given: {} },
  ]);
  expect(faults).toEqual([
    expect.stringMatching(/^type\.md:11: TS2322/u),
    expect.stringMatching(/^name\.md:20: TS2339/u),
    expect.stringMatching(/^unknown\.md:30: TS2304/u),
    expect.stringMatching(/^import\.md:40: TS2304/u),
  ]);
});
