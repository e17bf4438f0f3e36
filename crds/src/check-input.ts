/**
 * Holds a run's input against the JSON Schema of its Workflow, before anything is started.
 *
 * Pure. Promises the same words for a fault as for a manifest; the input itself is never changed, a schema's defaults are
 * documentation.
 */
import { z } from "zod";
import { faultsOf } from "./field-faults.ts";
import type { FieldFault } from "./field-faults.ts";
import type { Workflow } from "./kinds/workflow.ts";

/**
 * Checks an input.
 *
 * @returns The faults, each as `question: is missing`; empty when the input is good or the Workflow has no schema.
 *   A schema that can't be read was refused with its manifest.
 */
export function findInputFaults(workflow: Workflow, input: unknown): string[] {
  const schema = workflow.spec.input?.schema;
  if (schema === undefined) return [];
  return compileInputSchema(schema)(input).map((fault) => fault.message);
}

/**
 * Reads a schema once, for many inputs.
 *
 * @returns What finds the faults of an input, each with its path.
 * @throws When the schema can't be read; such a one was refused with its manifest.
 */
export function compileInputSchema(
  schema: Readonly<Record<string, unknown>>,
): (input: unknown) => readonly FieldFault[] {
  const compiled = z.fromJSONSchema(schema);
  return (input) => {
    const outcome = compiled.safeParse(input);
    return outcome.success ? [] : faultsOf(outcome.error.issues, input);
  };
}
