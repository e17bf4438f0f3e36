/**
 * What an API server charges for a definition's rules before it takes the definition, from above.
 *
 * It multiplies the dearest way through an expression by how often the rule can run in one object, and refuses a definition with
 * a rule above 10 million or with 100 million in all. The factors are those of cel-go and of Kubernetes' own library.
 */
import { parse } from "@bufbuild/cel";
import type { StructuralSchema } from "../generate/structural-schema.ts";

/** Most that one rule may cost, over all places in one object where it runs. */
export const RULE_COST_MAX = 10_000_000;
/** Most that all rules of a definition may cost. */
export const DEFINITION_COST_MAX = 100_000_000;

/** The cost of one rule. */
export interface RuleCost {
  readonly path: string;
  readonly rule: string;
  readonly cost: number;
}

type Expression = Exclude<ReturnType<typeof parse>["expr"], undefined>;
/** What is known of a variable: its schema, for its sizes. */
type Scope = ReadonlyMap<string, StructuralSchema>;

/** A text without a bound, such as the name of a resource, may be as long as a request. */
const REQUEST_BYTES_MAX = 3 * 1024 * 1024;
const CHARACTER_BYTES_MAX = 4;
const TRAVERSAL_FACTOR = 0.1;
const PATTERN_FACTOR = 0.25;
const LIST_COST = 10;

/** The costs of all rules of a schema. */
export function estimateCosts(schema: StructuralSchema, path = "", cardinality = 1): RuleCost[] {
  const own = (schema["x-kubernetes-validations"] ?? []).map(({ rule }) => ({
    path,
    rule,
    cost: cardinality * costOfRule(rule, schema),
  }));
  const { properties = {}, items, additionalProperties } = schema;
  return [
    ...own,
    ...Object.entries(properties).flatMap(([name, child]) =>
      estimateCosts(child, `${path}.${name}`, cardinality),
    ),
    ...(items === undefined ? [] : estimateCosts(items, `${path}[]`, cardinality * sizeOf(schema))),
    ...(additionalProperties === undefined
      ? []
      : estimateCosts(additionalProperties, `${path}{}`, cardinality * sizeOf(schema))),
  ];
}

function costOfRule(rule: string, schema: StructuralSchema): number {
  const { expr } = parse(rule);
  if (expr === undefined) throw new Error(`rule ${rule} is empty`);
  return costOf(
    expr,
    new Map([
      ["self", schema],
      ["oldSelf", schema],
    ]),
  );
}

function costOf(expression: Expression, scope: Scope): number {
  const { exprKind: kind } = expression;
  switch (kind.case) {
    case "constExpr":
      return 0;
    case "identExpr":
      return 1;
    case "selectExpr":
      return 1 + costOfAll([kind.value.operand], scope);
    case "listExpr":
      return LIST_COST + costOfAll(kind.value.elements, scope);
    case "callExpr": {
      const operands = [kind.value.target, ...kind.value.args].filter((one) => one !== undefined);
      return costOfAll(operands, scope) + costOfCall(kind.value.function, operands, scope);
    }
    case "comprehensionExpr": {
      const { iterRange, iterVar, accuInit, loopCondition, loopStep, result } = kind.value;
      const range = schemaOf(iterRange, scope);
      const inner = new Map([...scope, [iterVar, elementOf(range)]]);
      const once = costOfAll([iterRange, accuInit, result], inner);
      return once + sizeOf(range) * costOfAll([loopCondition, loopStep], inner);
    }
    default:
      throw new Error(`a rule has an expression of the form "${kind.case}", whose cost nothing here knows`);
  }
}

function costOfAll(expressions: readonly (Expression | undefined)[], scope: Scope): number {
  return expressions.reduce((sum, one) => sum + (one === undefined ? 0 : costOf(one, scope)), 0);
}

function costOfCall(name: string, operands: readonly Expression[], scope: Scope): number {
  const [first, second] = operands.map((operand) => sizeOf(schemaOf(operand, scope)));
  switch (name) {
    case "matches":
      return Math.ceil(((first ?? 0) + 1) * TRAVERSAL_FACTOR) * Math.ceil((second ?? 0) * PATTERN_FACTOR);
    case "_==_":
      return 1 + Math.ceil(Math.min(first ?? 0, second ?? 0) * TRAVERSAL_FACTOR);
    case "@in": {
      const container = operands.at(-1);
      const isMap = schemaOf(container, scope).additionalProperties !== undefined;
      return isMap ? 1 : 1 + (second ?? 0);
    }
    case "startsWith":
    case "isSorted":
      return 1 + Math.max(first ?? 0, second ?? 0);
    default:
      return 1;
  }
}

/** What is known of a value; a schema without bounds for what comes out of a function. */
function schemaOf(expression: Expression | undefined, scope: Scope): StructuralSchema {
  const kind = expression?.exprKind;
  switch (kind?.case) {
    case "identExpr":
      return scope.get(kind.value.name) ?? {};
    case "selectExpr": {
      const operand = schemaOf(kind.value.operand, scope);
      return operand.properties?.[kind.value.field] ?? { type: "string" };
    }
    case "constExpr":
      return kind.value.constantKind.case === "stringValue"
        ? { type: "string", maxLength: kind.value.constantKind.value.length / CHARACTER_BYTES_MAX }
        : {};
    case "listExpr":
      return { type: "array", maxItems: kind.value.elements.length };
    case "comprehensionExpr":
      return schemaOf(kind.value.iterRange, scope);
    default:
      return {};
  }
}

/** What a comprehension runs over: the entries of a list, or the keys of a map, whose length an API server counts as nothing. */
function elementOf(schema: StructuralSchema): StructuralSchema {
  return schema.items ?? { type: "string", maxLength: 0 };
}

function sizeOf(schema: StructuralSchema): number {
  switch (schema.type) {
    case "string":
      return schema.enum === undefined
        ? (schema.maxLength ?? REQUEST_BYTES_MAX / CHARACTER_BYTES_MAX) * CHARACTER_BYTES_MAX
        : Math.max(...schema.enum.map((word) => word.length));
    case "array":
      return schema.maxItems ?? REQUEST_BYTES_MAX;
    case "object":
      return schema.additionalProperties === undefined
        ? Object.values(schema.properties ?? {}).reduce((sum, child) => sum + sizeOf(child), 0)
        : (schema.maxProperties ?? REQUEST_BYTES_MAX);
    default:
      return 1;
  }
}
