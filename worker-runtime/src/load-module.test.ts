/** The user's code is found by its files' names and its exports' kinds. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, expect, test } from "vitest";
import { ModuleError, loadUserCode } from "./load-module.ts";

const folders: string[] = [];

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "memflow-module-"));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), text);
  }
  return folder;
}

async function refusal(location: string): Promise<ModuleError> {
  const outcome: unknown = await loadUserCode(location).catch((error: unknown) => error);
  if (outcome instanceof ModuleError) return outcome;
  throw new Error("the code was accepted", { cause: outcome });
}

test("a folder's workflows are the async functions that workflows.ts exports", async () => {
  const folder = await folderWith({
    "workflows.ts": `
      export async function first(input: string): Promise<string> { return input; }
      export const second = async (): Promise<number> => 2;
      export function helper(): number { return 3; }
      export const limit: number = 4;`,
    "activities.ts": "export function add(a: number, b: number): number { return a + b; }",
  });
  const code = await loadUserCode(folder);
  expect(Object.keys(code.workflows)).toEqual(["first", "second"]);
  expect(Object.keys(code.activities)).toEqual(["add"]);
});

test("a folder workflows/ brings the exports of all its sources and of no test", async () => {
  const folder = await folderWith({
    "workflows/a.ts": "export async function one(): Promise<void> {}",
    "workflows/b.mjs": "export async function two() {}",
    "workflows/a.test.ts": "throw new Error('a test was imported');",
    "workflows/c.d.ts": "export {};",
  });
  expect(Object.keys((await loadUserCode(folder)).workflows)).toEqual(["one", "two"]);
});

test("a single module is enough, and its default export goes by the function's own name", async () => {
  const folder = await folderWith({ "flow.mjs": "export default async function hello() {}" });
  const code = await loadUserCode(path.join(folder, "flow.mjs"));
  expect(Object.keys(code.workflows)).toEqual(["hello"]);
});

test("a single module has the activities of the file beside it, and no other file is looked at", async () => {
  const folder = await folderWith({
    "index.mjs": "export async function order() {}",
    "activities.mjs": "export async function charge() {}\nexport function add() {}",
    "workflows.mjs": "throw new Error('not asked for');",
  });
  const code = await loadUserCode(path.join(folder, "index.mjs"));
  expect(Object.keys(code.workflows)).toEqual(["order"]);
  expect(Object.keys(code.activities)).toEqual(["charge", "add"]);
});

test("one name for two workflows is refused with both files", async () => {
  const folder = await folderWith({
    "workflows/a.mjs": "export async function same() {}",
    "workflows/b.mjs": "export async function same() {}",
  });
  const error = await refusal(folder);
  expect(error.file).toBe(path.join(folder, "workflows/b.mjs"));
  expect(error.message).toContain(path.join(folder, "workflows/a.mjs"));
});

test("a workflow that a second file only passes on is no clash", async () => {
  const folder = await folderWith({
    "workflows/a.mjs": "export async function same() {}",
    "workflows/index.mjs": "export * from './a.mjs';",
  });
  expect(Object.keys((await loadUserCode(folder)).workflows)).toEqual(["same"]);
});

test("what is missing or broken is named with its file", async () => {
  const empty = await folderWith({ "README.md": "" });
  expect((await refusal(empty)).file).toBe(empty);
  const none = await folderWith({ "workflows.mjs": "export const x = 1;" });
  expect((await refusal(none)).message).toContain("exports no workflow");
  const broken = await folderWith({ "workflows.mjs": "import 'no-such-package-of-ours';" });
  const error = await refusal(broken);
  expect(error).toMatchObject({ code: "BAD_MODULE", file: path.join(broken, "workflows.mjs") });
  expect(error.message).toContain("no-such-package-of-ours");
  expect((await refusal(path.join(empty, "nowhere"))).message).toContain("does not exist");
});
