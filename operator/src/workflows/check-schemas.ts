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

/** Checks Workflows; making one takes as long as checking many. */
export class SchemaChecker {
  /** It keeps nothing of what it compiled: the `$id`s of two Workflows may be equal. */
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false, logger: false, addUsedSchema: false });

  /**
   * Judges a Workflow as it was read.
   *
   * @param object - As the server sent it: a schema that could not be read is looked at all the same.
   */
  check(object: WorkflowObject, read: ReadResource<Workflow>): SchemaVerdict {
    for (const field of FIELDS) {
      const fault = this.#faultOf(schemaOf(object, field));
      if (fault !== undefined) {
        return {
          kind: "Invalid",
          reason: "InvalidSchema",
          message: `spec.${field}.schema is no JSON Schema: ${fault}`,
        };
      }
    }
    return read.kind === "Read" ? { kind: "Valid" } : { kind: "Invalid", ...faultOfReading(read.message) };
  }

  #faultOf(schema: unknown): string | undefined {
    if (schema === undefined) return undefined;
    if (typeof schema !== "object" || schema === null) return "must be an object";
    if (this.#ajv.validateSchema(schema) !== true) {
      const { instancePath = "", message = "is refused" } = this.#ajv.errors?.[0] ?? {};
      return `${instancePath === "" ? "it" : instancePath} ${message}`;
    }
    try {
      this.#ajv.compile(schema);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      this.#ajv.removeSchema(schema);
    }
  }
}

/** What the kind's own checks say begins with the field. */
function faultOfReading(message: string): Omit<Extract<SchemaVerdict, { kind: "Invalid" }>, "kind"> {
  if (message.startsWith("spec.defaultArgs")) return { reason: "DefaultArgsTooLarge", message };
  const isTooLarge = /^spec\.(in|out)put\.schema must have <= /u.test(message);
  return { reason: isTooLarge ? "SchemaTooLarge" : "InvalidSchema", message };
}

function schemaOf({ spec }: WorkflowObject, field: (typeof FIELDS)[number]): unknown {
  const part = (spec as Readonly<Record<string, unknown>> | undefined)?.[field];
  return (part as { readonly schema?: unknown } | undefined)?.schema;
}
