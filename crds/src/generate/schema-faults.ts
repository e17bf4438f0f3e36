/**
 * What a cluster would refuse in a definition, or what would make its rules too costly, found before it is applied.
 *
 * Every string, list and map needs a bound: a rule over an unbounded one is priced as if it had a whole request's size.
 */
import type { StructuralSchema } from "./structural-schema.ts";

/** Fields that a cluster keeps whatever is in them; nothing but the size of a request bounds them there. */
export type OpenFields = ReadonlySet<string>;

/** One sentence per fault: the path and what it lacks. */
export function findSchemaFaults(schema: StructuralSchema, path: string, open: OpenFields): string[] {
  return [...ownFaults(schema, path, open), ...childFaults(schema, path, open)];
}

function ownFaults(schema: StructuralSchema, path: string, open: OpenFields): string[] {
  const faults: string[] = [];
  const fault = (reason: string): void => {
    faults.push(`${path}: ${reason}`);
  };
  const isOpen = schema["x-kubernetes-preserve-unknown-fields"] === true;
  if (isOpen && !open.has(path)) fault("keeps unknown fields, which nothing bounds; describe its fields");
  if (schema.type === undefined && !isOpen && schema["x-kubernetes-int-or-string"] !== true) {
    fault("has no type");
  }
  if (schema.description === undefined && !path.endsWith("[]") && !path.endsWith("{}")) {
    fault("has no description");
  }
  if (schema.properties !== undefined && schema.additionalProperties !== undefined) {
    fault("has both properties and additionalProperties, which a cluster forbids");
  }
  faults.push(...boundFaults(schema).map((reason) => `${path}: ${reason}`));
  return faults;
}

function boundFaults(schema: StructuralSchema): string[] {
  switch (schema.type) {
    case "string":
      return schema.enum === undefined && schema.maxLength === undefined ? ["has no maxLength"] : [];
    case "array":
      return [
        ...(schema.maxItems === undefined ? ["has no maxItems"] : []),
        ...(schema.items === undefined ? ["has no items"] : []),
        ...listTypeFaults(schema),
      ];
    case "integer":
    case "number":
      return schema.minimum === undefined || schema.maximum === undefined
        ? ["has no minimum or no maximum"]
        : [];
    case "object":
      return schema.additionalProperties !== undefined && schema.maxProperties === undefined
        ? ["has no maxProperties"]
        : [];
    case "boolean":
      return [];
    default:
      return schema["x-kubernetes-int-or-string"] === true && schema.maxLength === undefined
        ? ["has no maxLength"]
        : [];
  }
}

/** The key of a list's entries has to be there whenever an entry is. */
function listTypeFaults(schema: StructuralSchema): string[] {
  if (schema["x-kubernetes-list-type"] !== "map") return [];
  const keys = schema["x-kubernetes-list-map-keys"] ?? [];
  const missing = keys.filter((key) => !(schema.items?.required ?? []).includes(key));
  return keys.length === 0
    ? ["is a list by keys without keys"]
    : missing.map((key) => `has the key ${key}, which is not required`);
}

function childFaults(schema: StructuralSchema, path: string, open: OpenFields): string[] {
  const children: (readonly [string, StructuralSchema])[] = Object.entries(schema.properties ?? {}).map(
    ([name, child]) => [`${path}.${name}`, child],
  );
  if (schema.items !== undefined) children.push([`${path}[]`, schema.items]);
  if (schema.additionalProperties !== undefined) children.push([`${path}{}`, schema.additionalProperties]);
  return children.flatMap(([childPath, child]) => findSchemaFaults(child, childPath, open));
}
