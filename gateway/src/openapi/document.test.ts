/** The document and what is made from it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { OPERATIONS } from "../api/index.ts";
import type { Operation } from "../api/index.ts";
import { openApiDocument, problemsOf } from "./document.ts";
import { generatedFiles } from "./generated-files.ts";

const ROOT = join(import.meta.dirname, "../..");

test.each(generatedFiles())("$path is what the table of operations makes it", ({ path, text }) => {
  expect(readFileSync(join(ROOT, path), "utf8")).toBe(text);
});

test("every operation is in the document once, with the right that it needs", () => {
  const nodes = Object.values(openApiDocument().paths).flatMap((methods) => Object.values(methods));
  expect(nodes.map(({ operationId }) => operationId).toSorted()).toEqual(Object.keys(OPERATIONS).toSorted());
  for (const node of nodes) {
    const operation: Operation = OPERATIONS[node.operationId as keyof typeof OPERATIONS];
    expect(node["x-memflow-access"]).toEqual(operation.access);
  }
});

test("every reference of the document leads to a schema of it", () => {
  const document = openApiDocument();
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/gu)];
  expect(references.length).toBeGreaterThan(20);
  for (const [, name = ""] of references) expect(document.components.schemas).toHaveProperty(name);
});

test("each parameter of a path is described", () => {
  for (const operation of Object.values<Operation>(OPERATIONS)) {
    const named = [...operation.path.matchAll(/\{(\w+)\}/gu)].map(([, name]) => name);
    expect(Object.keys(operation.params.shape)).toEqual(named);
  }
});

test("whoever is refused a right is told so in the document", () => {
  for (const operation of Object.values<Operation>(OPERATIONS))
    expect(problemsOf(operation)).toContain("Forbidden");
});
