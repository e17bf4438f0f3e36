/**
 * Holds what a request brings against the schemas of its operation.
 *
 * Promises that each fault is named by its place, such as `query.pageSize`, and that a name which the operation does not know is
 * a fault.
 */
import { faultsOf, formatPath } from "@memflow/crds";
import type { z } from "zod";
import type { Operation } from "../api/index.ts";
import { invalid } from "./problem.ts";
import type { FieldProblem } from "./problem.ts";

/** What a request says, checked. */
export interface ReadRequest {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

/** What it brings. */
export interface RawRequest {
  readonly params: Readonly<Record<string, unknown>>;
  readonly search: URLSearchParams;
  readonly body: unknown;
}

/** @throws {ProblemError} `Invalid`, with all faults. */
export function readRequest(operation: Operation, raw: RawRequest): ReadRequest {
  const errors: FieldProblem[] = [];
  const query = queryObject(raw.search, Object.keys(operation.query.shape), errors);
  const read = {
    params: check(operation.params, raw.params, "path", errors),
    query: check(operation.query, query, "query", errors),
    body:
      operation.body === undefined
        ? undefined
        : check(operation.body, bodyOf(operation, raw), "body", errors),
  };
  if (operation.body === undefined && raw.body !== undefined)
    errors.push({ path: "body", message: "must be left out" });
  if (errors.length > 0) throw invalid(errors);
  return read;
}

function bodyOf({ bodyOptional }: Operation, { body }: RawRequest): unknown {
  return body === undefined && bodyOptional === true ? {} : body;
}

function check(schema: z.ZodType, value: unknown, place: string, errors: FieldProblem[]): unknown {
  const outcome = schema.safeParse(value);
  if (outcome.success) return outcome.data;
  for (const { path, reason } of faultsOf(outcome.error.issues, value))
    errors.push({ path: placeOf(place, path), message: reason });
  return undefined;
}

/** `body.args[0].question`. */
export function placeOf(place: string, path: readonly (string | number)[]): string {
  return formatPath([place, ...path]);
}

/** `search.<field>` becomes a member of `search`. */
function queryObject(
  search: URLSearchParams,
  known: readonly string[],
  errors: FieldProblem[],
): Record<string, unknown> {
  const query: Record<string, unknown> = {};
  const fields: Record<string, string> = {};
  for (const name of new Set(search.keys())) {
    const values = search.getAll(name);
    if (values.length > 1) errors.push({ path: `query.${name}`, message: "must be given once" });
    const isField = name.startsWith("search.") && known.includes("search");
    const target = isField ? fields : query;
    Object.defineProperty(target, name, {
      value: values[0],
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  if (Object.keys(fields).length > 0) query["search"] = fields;
  return query;
}
