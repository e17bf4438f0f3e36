/**
 * Turns a zod schema into what Kubernetes calls a structural schema.
 *
 * Promises a type at every field, no keyword that a cluster forbids, whole defaults (rules see a default before the defaults
 * inside it are filled in), and an error rather than a silent loss for anything that has no counterpart.
 */
import { z } from "zod";
import type { Rule } from "../rules.ts";

/** A rule as a definition has it. */
export interface ValidationRule {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
}

/** A field of a definition. */
export interface StructuralSchema {
  description?: string;
  type?: "object" | "array" | "string" | "integer" | "number" | "boolean";
  format?: "date-time";
  enum?: readonly string[];
  default?: unknown;
  nullable?: true;
  anyOf?: readonly { readonly type: "integer" | "string" }[];
  pattern?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  required?: readonly string[];
  properties?: Record<string, StructuralSchema>;
  additionalProperties?: StructuralSchema;
  items?: StructuralSchema;
  "x-kubernetes-int-or-string"?: true;
  "x-kubernetes-preserve-unknown-fields"?: true;
  "x-kubernetes-list-type"?: "map" | "set";
  "x-kubernetes-list-map-keys"?: readonly string[];
  "x-kubernetes-validations"?: readonly ValidationRule[];
}

/** JSON Schema as zod writes it. */
type JsonSchema = Readonly<Record<string, unknown>>;

/** What is taken over as it is. */
const KEPT = [
  "description",
  "type",
  "format",
  "enum",
  "nullable",
  "pattern",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "maxProperties",
  "required",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
] as const;
/** What is turned into something else, or is of no use to a cluster. */
const HANDLED: readonly string[] = [
  "default",
  "properties",
  "additionalProperties",
  "items",
  "rules",
  "operatorChecks",
  "$schema",
];

/** The structural schema of what a person may write. */
export function structuralSchema(schema: z.ZodType): StructuralSchema {
  return convert(z.toJSONSchema(schema, { target: "openapi-3.0", io: "input" }), "$");
}

/** Rules as a definition has them. */
export function validationRules(rules: readonly Rule[]): ValidationRule[] {
  return rules.map(({ cel, message, field }) => ({
    rule: cel,
    message,
    // A path into metadata is refused, for the schema says nothing of what is in it; the message names the field.
    ...(field === undefined || field[0] === "metadata"
      ? {}
      : { fieldPath: field.map((step) => `.${step}`).join("") }),
  }));
}

function convert(source: JsonSchema, path: string): StructuralSchema {
  if (source["x-kubernetes-int-or-string"] === true) return intOrString(source);
  const unknown = Object.keys(source).filter(
    (keyword) => !(KEPT as readonly string[]).includes(keyword) && !HANDLED.includes(keyword),
  );
  if (unknown.length > 0) throw new Error(`${path}: a structural schema has no ${unknown.join(", ")}`);
  const kept = Object.fromEntries(
    KEPT.filter((keyword) => source[keyword] !== undefined).map((keyword) => [keyword, source[keyword]]),
  ) as StructuralSchema;
  const result: StructuralSchema = { ...kept, ...convertChildren(source, path) };
  const rules = (source["rules"] ?? []) as readonly Rule[];
  if (rules.length > 0) result["x-kubernetes-validations"] = validationRules(rules);
  if (source["default"] !== undefined) result.default = withNestedDefaults(result, source["default"]);
  return result;
}

function convertChildren(source: JsonSchema, path: string): StructuralSchema {
  const result: StructuralSchema = {};
  const { properties, additionalProperties, items } = source as {
    readonly properties?: Readonly<Record<string, JsonSchema>>;
    readonly additionalProperties?: JsonSchema | false;
    readonly items?: JsonSchema;
  };
  if (properties !== undefined) {
    result.properties = Object.fromEntries(
      Object.entries(properties).map(([name, child]) => [name, convert(child, `${path}.${name}`)]),
    );
  }
  if (items !== undefined) result.items = convert(items, `${path}[]`);
  if (additionalProperties === undefined || additionalProperties === false) return result;
  if (Object.keys(additionalProperties).length === 0) result["x-kubernetes-preserve-unknown-fields"] = true;
  else result.additionalProperties = convert(additionalProperties, `${path}{}`);
  return result;
}

/** The one mixed type that a cluster knows; its form is fixed. */
function intOrString(source: JsonSchema): StructuralSchema {
  const { description, pattern, maxLength } = source as StructuralSchema;
  return {
    ...(description === undefined ? {} : { description }),
    anyOf: [{ type: "integer" }, { type: "string" }],
    ...(pattern === undefined ? {} : { pattern }),
    ...(maxLength === undefined ? {} : { maxLength }),
    "x-kubernetes-int-or-string": true,
  };
}

/** A default with the defaults of the fields inside it. */
function withNestedDefaults(schema: StructuralSchema, value: unknown): unknown {
  if (schema.properties === undefined || typeof value !== "object" || value === null) return value;
  const filled: Record<string, unknown> = { ...value };
  for (const [name, child] of Object.entries(schema.properties)) {
    if (name in filled) filled[name] = withNestedDefaults(child, filled[name]);
    else if (child.default !== undefined) filled[name] = child.default;
  }
  return filled;
}
