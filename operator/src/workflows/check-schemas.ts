/**
 * Checks what an API server can't of a Workflow: that its schemas are JSON Schemas (2020-12), and the size of what is open.
 *
 * A schema is compiled, so that a reference into nowhere and a pattern that is none are found too. It is not run.
 */
import { Ajv2020 } from "ajv/dist/2020.js";
import type { ReadResource, WorkflowObject } from "../api/index.ts";
import type { Workflow } from "@memflow/crds";
import type { SchemaVerdict } from "./core/judge-workflow.ts";

const FIELDS = ["input", "output"] as const;

/**
 * Judges a Workflow as it was read.
 *
 * @param object - As the server sent it: a schema that could not be read is looked at all the same.
 */
export function checkSchemas(object: WorkflowObject, read: ReadResource<Workflow>): SchemaVerdict {
  for (const field of FIELDS) {
    const fault = schemaFault(schemaOf(object, field));
    if (fault !== undefined) {
      return {
        kind: "Invalid",
        reason: "InvalidSchema",
        message: `spec.${field}.schema is no JSON Schema: ${fault}`,
      };
    }
  }
  if (read.kind === "Read") return { kind: "Valid" };
  // What the kind's own checks say of a size begins with the field.
  if (read.message.startsWith("spec.defaultArgs")) {
    return { kind: "Invalid", reason: "DefaultArgsTooLarge", message: read.message };
  }
  const isTooLarge = /^spec\.(in|out)put\.schema must have <= /u.test(read.message);
  return {
    kind: "Invalid",
    reason: isTooLarge ? "SchemaTooLarge" : "InvalidSchema",
    message: read.message,
  };
}

function schemaOf({ spec }: WorkflowObject, field: (typeof FIELDS)[number]): unknown {
  const part = (spec as Readonly<Record<string, unknown>> | undefined)?.[field];
  return (part as { readonly schema?: unknown } | undefined)?.schema;
}

function schemaFault(schema: unknown): string | undefined {
  if (schema === undefined) return undefined;
  if (typeof schema !== "object" || schema === null) return "must be an object";
  // One for each schema: it remembers what it compiled, and `$id`s of two Workflows may be equal.
  const ajv = new Ajv2020({ strict: false, validateFormats: false, logger: false });
  if (ajv.validateSchema(schema) !== true) {
    const [first] = ajv.errors ?? [];
    return `${first?.instancePath === "" ? "it" : (first?.instancePath ?? "it")} ${first?.message ?? "is refused"}`;
  }
  try {
    ajv.compile(schema);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
