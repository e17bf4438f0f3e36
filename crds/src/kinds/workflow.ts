/**
 * Workflow: declares a type of run; the code is the workers'.
 *
 * `memflow dev` takes the name, the queue, the arguments and the retries from here, and one annotation that means
 * nothing on a cluster.
 */
import { z } from "zod";
import { API_VERSION, duration, integer, localRef, metadataNamed, resourceName, text } from "../fields.ts";

/** Annotation: the input of the first run that `memflow dev` starts, as JSON. It also marks the workflow to start. */
export const DEV_INPUT_ANNOTATION = "memflow.io/dev-input";

const jsonSchema = z.record(z.string().max(253), z.unknown()).superRefine((schema, context) => {
  try {
    z.fromJSONSchema(schema);
  } catch (error) {
    context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
  }
});

const spec = z.strictObject({
  taskQueueRef: localRef.describe("The queue whose workers run it."),
  workflowName: text(128)
    .optional()
    .describe("Name of the exported function (default: the resource's name)."),
  entrypoint: text(1_024).optional().describe('Module and export, as "module#export".'),
  input: z.strictObject({ schema: jsonSchema }).optional().describe("JSON Schema of the input."),
  output: z.strictObject({ schema: jsonSchema }).optional().describe("JSON Schema of the result."),
  timeouts: z
    .strictObject({
      execution: duration.optional().describe("Longest time of a run with its successors."),
      run: duration.optional().describe("Longest time of one run."),
    })
    .optional(),
  retry: z
    .strictObject({
      maximumAttempts: integer(1, 10_000)
        .default(1)
        .describe("Executions, the first one included (default: 1)."),
      backoffCoefficient: z.number().min(1).max(100).default(2),
      initialInterval: duration.default("1s"),
      maximumInterval: duration.default("120s"),
    })
    .optional()
    .describe("How a failed run is tried again (default: not)."),
  retention: z
    .strictObject({ completed: duration.optional(), failed: duration.optional() })
    .optional()
    .describe("Overrides the Store's retention."),
  suspend: z.boolean().default(false).describe("Refuses new starts (default: false)."),
  defaultArgs: z.array(z.unknown()).max(32).optional().describe("Arguments of a start that brings none."),
});

/** The whole resource. */
export const workflowSchema = z.strictObject({
  apiVersion: z.literal(API_VERSION),
  kind: z.literal("Workflow"),
  metadata: metadataNamed(resourceName),
  spec,
});

/** A Workflow with its defaults filled in. */
export type Workflow = z.infer<typeof workflowSchema>;

/** The name under which the run is started. */
export function workflowNameOf(workflow: Workflow): string {
  return workflow.spec.workflowName ?? workflow.metadata.name;
}
