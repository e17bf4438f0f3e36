/**
 * Splits a YAML text into documents that know their lines.
 *
 * Reads YAML as a cluster does (version 1.1: a bare `yes` is a boolean, and a text field then refuses it here as there)
 * except for dates, which stay text. Promises a line for every path, the nearest one that exists.
 */
import { LineCounter, isNode, parseAllDocuments } from "yaml";
import type { Document } from "yaml";
import type { ManifestProblem } from "./manifest-error.ts";

/** Names of a manifest's fields from the root; numbers are list positions. */
export type FieldPath = readonly (string | number)[];

/** One document of a file. */
export interface YamlDocument {
  readonly file: string;
  readonly value: unknown;
  /** The line, from 1, on which the field stands, or its nearest parent when it is absent. */
  lineOf(path: FieldPath): number;
}

/** A text and the name to show for it. */
export interface ManifestFile {
  readonly path: string;
  readonly text: string;
}

/** As much as a cluster takes in one request. */
const FILE_BYTES_MAX = 3 * 1024 * 1024;
const DOCUMENT_MAX = 1_000;
const TIMESTAMP_TAG = "tag:yaml.org,2002:timestamp";

/** Reads the documents of one file; empty ones are left out. */
export function readYamlDocuments(file: ManifestFile): {
  readonly documents: readonly YamlDocument[];
  readonly problems: readonly ManifestProblem[];
} {
  const fault = (line: number, message: string): ManifestProblem => ({ file: file.path, line, message });
  const bytes = Buffer.byteLength(file.text);
  if (bytes > FILE_BYTES_MAX) {
    return {
      documents: [],
      problems: [fault(1, `the file has ${bytes} bytes, must be <= ${FILE_BYTES_MAX}`)],
    };
  }
  const lines = new LineCounter();
  const parsed = parseAllDocuments(file.text, {
    lineCounter: lines,
    version: "1.1",
    prettyErrors: false,
    customTags: (tags) => tags.filter((tag) => typeof tag === "string" || tag.tag !== TIMESTAMP_TAG),
  });
  const all = Array.isArray(parsed) ? parsed : [];
  if (all.length > DOCUMENT_MAX) {
    return {
      documents: [],
      problems: [fault(1, `the file has ${all.length} documents, must be <= ${DOCUMENT_MAX}`)],
    };
  }
  const problems: ManifestProblem[] = [];
  const documents: YamlDocument[] = [];
  for (const document of all) {
    const faults = document.errors.map((error) =>
      fault(lines.linePos(error.pos[0]).line, `bad YAML: ${error.message}`),
    );
    problems.push(...faults);
    if (faults.length > 0) continue;
    const value = toValue(document);
    if (value instanceof Error)
      problems.push(fault(startLine(document, lines), `bad YAML: ${value.message}`));
    else if (value !== null)
      documents.push({ file: file.path, value, lineOf: (path) => lineOf(document, path, lines) });
  }
  return { documents, problems };
}

/** An error is a value here: too many aliases, or an alias of nothing. */
function toValue(document: Document.Parsed): unknown {
  try {
    return document.toJS() as unknown;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function lineOf(document: Document.Parsed, path: FieldPath, lines: LineCounter): number {
  for (let length = path.length; length > 0; length -= 1) {
    const line = keyLine(document, path.slice(0, length), lines);
    if (line !== undefined) return line;
  }
  return startLine(document, lines);
}

/** The line of the key rather than of its value, which may begin one line below. */
function keyLine(document: Document.Parsed, path: FieldPath, lines: LineCounter): number | undefined {
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  const last = path.at(-1);
  if (typeof parent === "object" && parent !== null && "items" in parent && typeof last === "string") {
    for (const item of parent.items as readonly unknown[]) {
      const key = typeof item === "object" && item !== null && "key" in item ? item.key : undefined;
      if (isNode(key) && key.range != null && "value" in key && key.value === last) {
        return lines.linePos(key.range[0]).line;
      }
    }
  }
  const node = document.getIn(path, true);
  return isNode(node) && node.range != null ? lines.linePos(node.range[0]).line : undefined;
}

function startLine(document: Document.Parsed, lines: LineCounter): number {
  return lines.linePos(document.contents?.range[0] ?? document.range[0]).line;
}
