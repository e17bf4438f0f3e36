/** The values of the chart: each described, listed in its README, and checked by its schema. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { readTable, readValueRows } from "./values-table.ts";

const CHART = fileURLToPath(new URL("../../charts/memflow/", import.meta.url));

interface ValueSchema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, ValueSchema>>;
  readonly additionalProperties?: unknown;
}

function read(name: string): string {
  return readFileSync(`${CHART}${name}`, "utf8");
}

/** Paths of the schemas of a schema's properties; `within` chooses those that are looked into. */
function properties(
  schema: ValueSchema,
  parents: readonly string[] = [],
): readonly (readonly [string, ValueSchema])[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const path = [...parents, name];
    return [[path.join("."), property] as const, ...properties(property, path)];
  });
}

test("the README lists every value with its default and meaning, and no other", () => {
  expect(readTable(read("README.md"))).toEqual(readValueRows(read("values.yaml")));
});

test("a value without a comment is an error that names it", () => {
  expect(() => readValueRows("a:\n  # Has one.\n  b: 1\n  c: 2\n")).toThrow(/"a\.c" has no comment/u);
});

test("a comment about the file is no comment of its first value", () => {
  expect(readValueRows("# The file.\n\n# The value.\na: 1\n")).toEqual([
    { path: "a", fallback: "1", comment: "The value." },
  ]);
});

test("the schema describes every value, and refuses names that it does not know at every level", () => {
  const schema = JSON.parse(read("values.schema.json")) as ValueSchema;
  const described = new Map(properties(schema));
  const paths = readValueRows(read("values.yaml")).map(({ path }) => path);
  expect(paths.filter((path) => !described.get(path)?.description)).toEqual([]);

  const open = [["", schema] as const, ...described]
    .filter(([, property]) => property.properties !== undefined && property.additionalProperties !== false)
    .map(([path]) => path);
  expect(open).toEqual([]);
});

test("the schema knows no value that the chart does not have", () => {
  const schema = JSON.parse(read("values.schema.json")) as ValueSchema;
  const paths = new Set(readValueRows(read("values.yaml")).map(({ path }) => path));
  const leaves = properties(schema).filter(
    ([path, property]) => property.properties === undefined && !/(?:^|\.)resources\./u.test(path),
  );
  // Helm hands every chart the values of its parent's `global`.
  expect(leaves.map(([path]) => path).filter((path) => !paths.has(path))).toEqual(["global"]);
});

test("both charts, and the images that they name, have one version", () => {
  const versions = ["../memflow-crds/Chart.yaml", "Chart.yaml"].map((name) => {
    const { version, appVersion } = parse(read(name)) as {
      readonly version: string;
      readonly appVersion: string;
    };
    return [version, appVersion];
  });
  expect(new Set(versions.flat()).size).toBe(1);
});
