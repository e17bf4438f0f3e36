/** The committed definitions, chart and page are those of the source, and a difference is found. */
import { execFile } from "node:child_process";
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parse } from "yaml";
import { KINDS } from "../kinds.ts";
import { listRules } from "../schema-tree.ts";
import { SCHEMA_HASH_ANNOTATION } from "./custom-resource-definition.ts";
import type { CustomResourceDefinition } from "./custom-resource-definition.ts";
import { generatedFiles } from "./generated-files.ts";
import type { StructuralSchema } from "./structural-schema.ts";

const WORKSPACE = join(import.meta.dirname, "../../..");
const MAIN = join(import.meta.dirname, "main.ts");
const run = promisify(execFile);
let root = "";

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "memflow-generated-"));
  for (const { path } of generatedFiles(KINDS)) cpSync(join(WORKSPACE, path), join(root, path));
});

afterEach(() => {
  rmSync(root, { recursive: true });
});

/** What the check prints and how it ends. */
async function check(): Promise<{ readonly code: number; readonly text: string }> {
  try {
    const { stdout, stderr } = await run(process.execPath, [MAIN, "--check", root]);
    return { code: 0, text: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, text: stdout + stderr };
  }
}

function definitions(folder: string): CustomResourceDefinition[] {
  return generatedFiles(KINDS)
    .filter(({ path }) => path.startsWith(folder))
    .map(({ text }) => parse(text, { version: "1.1" }) as CustomResourceDefinition);
}

test("the committed files are those of the source", async () => {
  expect(await check()).toMatchObject({ code: 0 });
});

test("a file that was edited, one that is missing and one that is left over are named", async () => {
  appendFileSync(join(root, "crds/manifests/store.yaml"), "# edited\n");
  rmSync(join(root, "docs/kubernetes-api.md"));
  writeFileSync(join(root, "charts/memflow-crds/templates/old.yaml"), "");
  const { code, text } = await check();
  expect(code).toBe(1);
  expect(text.split("\n").map((line) => line.split(":")[0])).toEqual(
    expect.arrayContaining([
      "crds/manifests/store.yaml",
      "docs/kubernetes-api.md",
      "charts/memflow-crds/templates/old.yaml",
    ]),
  );
});

test("writing repairs what the check names", async () => {
  appendFileSync(join(root, "crds/manifests/store.yaml"), "# edited\n");
  await run(process.execPath, [MAIN, root]);
  expect(await check()).toMatchObject({ code: 0 });
});

test("the chart's definitions stay when it is uninstalled, and are otherwise the same", () => {
  const [plain, kept] = [definitions("crds/manifests"), definitions("charts/memflow-crds")];
  expect(kept).toHaveLength(KINDS.length);
  for (const [index, definition] of kept.entries()) {
    expect(definition.metadata.annotations["helm.sh/resource-policy"]).toBe("keep");
    expect(definition.spec).toEqual(plain[index]?.spec);
  }
});

test("every kind has short names, a category, a status, and the columns that tell how it is", () => {
  for (const { spec } of definitions("crds/manifests")) {
    const [version] = spec.versions;
    expect(spec.names.shortNames.length).toBeGreaterThan(0);
    expect(spec.names.categories).toEqual(["memflow"]);
    expect(version.subresources).toHaveProperty("status");
    const names = version.additionalPrinterColumns.map(
      (column) => (column as { readonly name: string }).name,
    );
    expect(names.at(0)).toBe("Ready");
    expect(names.at(-1)).toBe("Age");
  }
});

test("kubectl get taskqueue shows build, ready and desired, backlog, oldest, in flight and what limits", () => {
  const columns = KINDS.find(({ kind }) => kind === "TaskQueue")?.printerColumns ?? [];
  const shown = columns.filter(({ isWide }) => isWide !== true).map(({ name }) => name);
  expect(shown).toEqual([
    "Ready",
    "Build",
    "Workers",
    "Desired",
    "Backlog",
    "Oldest",
    "InFlight",
    "Limited",
    "Age",
  ]);
});

test("each column and each path of a scale subresource leads to a field of the schema", () => {
  for (const { spec } of definitions("crds/manifests")) {
    const [version] = spec.versions;
    const { scale } = version.subresources as { readonly scale?: Readonly<Record<string, string>> };
    const columns = version.additionalPrinterColumns.map(
      (one) => (one as { readonly jsonPath: string }).jsonPath,
    );
    const paths = [...columns, ...Object.values(scale ?? {})].filter((path) => !path.startsWith(".metadata"));
    for (const path of paths)
      expect([path, fieldAt(version.schema.openAPIV3Schema, path)]).not.toContain(undefined);
  }
});

/** The field at a JSON path of ours: names, a filter, or a position. */
function fieldAt(schema: StructuralSchema, path: string): StructuralSchema | undefined {
  const steps = path
    .replaceAll(/\[[^\]]*\]/gu, ".[]")
    .split(".")
    .slice(1);
  return steps.reduce<StructuralSchema | undefined>(
    (field, step) => (step === "[]" ? field?.items : field?.properties?.[step]),
    schema,
  );
}

test("a changed schema changes its hash, and no two kinds share one", () => {
  const hashes = definitions("crds/manifests").map(
    ({ metadata }) => metadata.annotations[SCHEMA_HASH_ANNOTATION],
  );
  expect(new Set(hashes).size).toBe(KINDS.length);
  const [store, ...others] = KINDS;
  if (store === undefined) throw new Error("there is no kind");
  const [changed] = generatedFiles([{ ...store, plural: "shops" }, ...others]);
  expect(changed?.text).not.toContain(hashes[0]);
});

test("a text that Helm would read as its own is refused", () => {
  const [store] = KINDS;
  if (store === undefined) throw new Error("there is no kind");
  expect(() => generatedFiles([{ ...store, description: "A {{ text }}." }])).toThrow("stores.memflow.io");
});

test("the page names every field, rule, condition, reason, Event and annotation", () => {
  const page = readFileSync(join(WORKSPACE, "docs/kubernetes-api.md"), "utf8");
  for (const kind of KINDS) {
    const words = [
      ...Object.entries(kind.conditions).flatMap(([type, { reasons }]) => [type, ...Object.keys(reasons)]),
      ...Object.keys(kind.events),
      ...Object.keys(kind.annotations),
      ...listRules(kind.schema)
        .filter(({ path }) => path.startsWith("spec"))
        .map(({ rule }) => rule.message.replaceAll("|", String.raw`\|`)),
    ];
    expect(words.filter((word) => !page.includes(word))).toEqual([]);
  }
});
