/**
 * Walks the fields of a zod schema: which rules stand where, and what an update breaks.
 *
 * Knows the few forms that our kinds are made of, and refuses any other rather than overlook what is inside.
 */
import { z } from "zod";
import { operatorChecksOf, rulesOf } from "./rules.ts";
import type { OperatorCheck, Rule } from "./rules.ts";
import type { FieldPath } from "./yaml-documents.ts";

/** A rule and the field that has it: `spec.scaling`, `spec.workers.env[]`, `metadata.labels{}`. */
export interface PlacedRule {
  readonly path: string;
  readonly rule: Rule;
}

/** A check of the operator and the field that has it. */
export interface PlacedCheck {
  readonly path: string;
  readonly check: OperatorCheck;
}

/** A rule that an update breaks, and the field that is at fault. */
export interface UpdateFault {
  readonly path: FieldPath;
  readonly message: string;
}

/** All rules of a schema, those of the outermost value first. */
export function listRules(schema: z.ZodType, root = ""): PlacedRule[] {
  return [...walk(schema, root)].flatMap(([node, path]) => rulesOf(node).map((rule) => ({ path, rule })));
}

/** All checks of a schema that are the operator's. */
export function listOperatorChecks(schema: z.ZodType, root = ""): PlacedCheck[] {
  return [...walk(schema, root)].flatMap(([node, path]) =>
    operatorChecksOf(node).map((check) => ({ path, check })),
  );
}

/**
 * What an update breaks that neither object breaks by itself.
 *
 * @param schema - Of both objects.
 * @param oldValue - What stands in the cluster, with its defaults filled in.
 * @param value - What shall replace it, with its defaults filled in.
 */
export function findUpdateFaults(
  schema: z.ZodType,
  oldValue: unknown,
  value: unknown,
  path: FieldPath = [],
): UpdateFault[] {
  if (oldValue === undefined || value === undefined) return [];
  const node = unwrap(schema);
  const own = rulesOf(node)
    .filter((rule) => rule.isTransition === true && !rule.holds(value, oldValue))
    .map((rule) => ({ path: [...path, ...(rule.field ?? [])], message: rule.message }));
  return [
    ...own,
    ...pairs(node, oldValue, value).flatMap(([child, step, before, after]) =>
      findUpdateFaults(child, before, after, [...path, step]),
    ),
  ];
}

type Pair = readonly [child: z.ZodType, step: string | number, before: unknown, after: unknown];

/** What of two values is the same thing at two times; an entry of a list only if the list has keys. */
function pairs(node: z.ZodType, oldValue: unknown, value: unknown): Pair[] {
  if (node instanceof z.ZodArray) {
    const [key] = (node.meta()?.["x-kubernetes-list-map-keys"] ?? []) as readonly string[];
    if (key === undefined) return [];
    return (value as readonly object[]).flatMap((entry, index): Pair[] => {
      const before = (oldValue as readonly object[]).find(
        (other) => Reflect.get(other, key) === Reflect.get(entry, key),
      );
      return before === undefined ? [] : [[node.element as z.ZodType, index, before, entry]];
    });
  }
  return childrenOf(node).flatMap(([name, child]): Pair[] => {
    const names = name === undefined ? Object.keys(value as object) : [name];
    return names.map((step) => [
      child,
      step,
      Reflect.get(oldValue as object, step),
      Reflect.get(value as object, step),
    ]);
  });
}

function* walk(schema: z.ZodType, path: string): Generator<readonly [z.ZodType, string]> {
  const node = unwrap(schema);
  yield [node, path];
  if (node instanceof z.ZodArray) yield* walk(node.element as z.ZodType, `${path}[]`);
  for (const [name, child] of childrenOf(node)) {
    const dot = path === "" ? "" : ".";
    yield* walk(child, name === undefined ? `${path}{}` : `${path}${dot}${name}`);
  }
}

/** The fields of an object by name, or the values of a map under no name. */
function childrenOf(node: z.ZodType): (readonly [name: string | undefined, child: z.ZodType])[] {
  if (node instanceof z.ZodObject) return Object.entries(node.shape);
  if (node instanceof z.ZodRecord) return [[undefined, node.valueType as z.ZodType]];
  return [];
}

/** Forms without fields of their own. */
const LEAVES = [
  z.ZodString,
  z.ZodNumber,
  z.ZodBoolean,
  z.ZodEnum,
  z.ZodLiteral,
  z.ZodUnion,
  z.ZodUnknown,
  z.ZodCustom,
];

function unwrap(schema: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return unwrap(schema.unwrap() as z.ZodType);
  }
  const isKnown =
    schema instanceof z.ZodObject ||
    schema instanceof z.ZodArray ||
    schema instanceof z.ZodRecord ||
    LEAVES.some((leaf) => schema instanceof leaf);
  if (!isKnown) throw new Error(`a kind has a field of the form "${schema.type}", which nothing here reads`);
  return schema;
}
