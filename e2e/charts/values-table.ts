/**
 * Reads a chart's values.yaml as a table: each value with its default and the comment above it.
 *
 * A value is a leaf: a text, number, list, or a map without keys; `resources` is one value too, nobody sets half of it.
 * Promises an error that names the value without a comment.
 */
import { isMap, isScalar, parseDocument } from "yaml";
import type { YAMLMap } from "yaml";

/** One value. */
export interface ValueRow {
  /** As `--set` takes it. */
  readonly path: string;
  /** As JSON. */
  readonly fallback: string;
  readonly comment: string;
}

/** @throws {Error} Naming a value that has no comment. */
export function readValueRows(text: string): readonly ValueRow[] {
  const { contents } = parseDocument(text);
  if (!isMap(contents)) throw new TypeError("values.yaml is no map");
  return rowsOf(contents, []);
}

function rowsOf(map: YAMLMap, parents: readonly string[]): readonly ValueRow[] {
  return map.items.flatMap(({ key, value }, index) => {
    if (!isScalar(key)) throw new TypeError(`a key below "${parents.join(".")}" is no text`);
    const path = [...parents, String(key.value)];
    if (isMap(value) && value.items.length > 0 && path.at(-1) !== "resources") return rowsOf(value, path);
    // The parser gives what stands above a map's first key to the map.
    const above = key.commentBefore ?? (index === 0 ? map.commentBefore : undefined);
    // A paragraph of its own, further up, is about the file.
    const comment = above?.split(/\n\s*\n/u).at(-1);
    if (!comment) throw new Error(`value "${path.join(".")}" has no comment above it`);
    const fallback = isScalar(value) || isMap(value) ? value : (value as { toJSON(): unknown } | null);
    return [
      {
        path: path.join("."),
        fallback: JSON.stringify(fallback?.toJSON() ?? null),
        comment: comment
          .split("\n")
          .map((line) => line.trim())
          .join(" "),
      },
    ];
  });
}

/** The rows of a page's table of values, below its heading "Values". */
export function readTable(page: string): readonly ValueRow[] {
  const [, section = ""] = /^## Values$(.*?)(?:^## |$(?![\s\S]))/msu.exec(page) ?? [];
  return section
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => {
      const [, path = "", fallback = "", comment = ""] = line.split("|").map((cell) => cell.trim());
      return { path: path.replaceAll("`", ""), fallback: fallback.replaceAll("`", ""), comment };
    });
}
