/**
 * Says what zod found wrong with a manifest in the words of whoever wrote it.
 *
 * Pure. Promises one fault per field, with the path, the value that stands there and what it must be.
 */
import type { z } from "zod";
import type { FieldPath } from "./yaml-documents.ts";

/** A fault of one field. */
export interface FieldFault {
  readonly path: FieldPath;
  /** What is wrong with it: `got 0, must be >= 1`. */
  readonly reason: string;
  /** Path and reason. */
  readonly message: string;
}

const VALUE_TEXT_MAX = 80;

type Issue = z.core.$ZodIssue;

/** Turns zod's issues into faults; an unknown field is a fault of that field. */
export function faultsOf(issues: readonly Issue[], document: unknown): FieldFault[] {
  return issues.flatMap((issue) => {
    const path = issue.path.map((step) => (typeof step === "symbol" ? String(step) : step));
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => withPath([...path, key], "unknown field"));
    }
    return [withPath(path, describe(issue, valueAt(document, path)))];
  });
}

/** Writes a path as in kubectl's messages: `spec.workers.env[2].name`. */
export function formatPath(path: FieldPath): string {
  return path
    .map((step, index) => {
      if (typeof step === "number") return `[${step}]`;
      const plain = /^[A-Za-z_][\w-]*$/u.test(step);
      if (!plain) return `["${step}"]`;
      return index === 0 ? step : `.${step}`;
    })
    .join("");
}

function withPath(path: FieldPath, reason: string): FieldFault {
  return { path, reason, message: path.length === 0 ? reason : `${formatPath(path)}: ${reason}` };
}

function describe(issue: Issue, value: unknown): string {
  // A rule of our own says by itself what a field lacks, and a whole map beside its message would only hide it.
  if (issue.code === "custom" && (value === undefined || typeof value === "object")) return issue.message;
  if (value === undefined) return "is missing";
  return `got ${show(value)}, ${requirement(issue)}`;
}

function requirement(issue: Issue): string {
  switch (issue.code) {
    case "invalid_type":
      return `must be ${withArticle(issue.expected)}`;
    case "invalid_value":
      return `must be ${issue.values.map((one) => JSON.stringify(one)).join(" or ")}`;
    case "too_small":
      return `must ${boundOf(issue.origin, ">=", issue.minimum)}`;
    case "too_big":
      return `must ${boundOf(issue.origin, "<=", issue.maximum)}`;
    default:
      return issue.message;
  }
}

function boundOf(origin: string, sign: string, bound: number | bigint): string {
  if (origin === "string") return `have ${sign} ${bound} characters`;
  if (origin === "array") return `have ${sign} ${bound} entries`;
  return `be ${sign} ${bound}`;
}

function withArticle(expected: string): string {
  if (expected === "int") return "a whole number";
  if (expected === "record" || expected === "object") return "a map";
  if (expected === "array") return "a list";
  return `a ${expected}`;
}

function show(value: unknown): string {
  const written = JSON.stringify(value) ?? String(value);
  return written.length <= VALUE_TEXT_MAX ? written : `${written.slice(0, VALUE_TEXT_MAX)}...`;
}

function valueAt(document: unknown, path: FieldPath): unknown {
  let value = document;
  for (const step of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Readonly<Record<string | number, unknown>>)[step];
  }
  return value;
}
