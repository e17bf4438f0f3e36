/** What the database is told of a Workflow: the row of `workflow_definitions`, with durations in milliseconds. */
import { byAge, workflowNameOf, workflowSettings } from "@memflow/crds";
import type { Workflow } from "@memflow/crds";

/** One entry of what `set_workflow_definitions` takes. */
export interface DefinitionRow {
  readonly taskQueue: string;
  readonly workflowName: string;
  /** `namespace/name` of the Workflow. */
  readonly resource: string;
  readonly suspended: boolean;
  readonly definition: Readonly<Record<string, unknown>>;
}

/**
 * Makes the row.
 *
 * @param queueName - As workers call the queue.
 */
export function definitionRow(workflow: Workflow, queueName: string): DefinitionRow {
  const { metadata, spec } = workflow;
  return {
    taskQueue: queueName,
    workflowName: workflowNameOf(workflow),
    resource: `${metadata.namespace ?? ""}/${metadata.name}`,
    suspended: spec.suspend,
    definition: {
      ...(spec.input && { input: spec.input.schema }),
      ...(spec.output && { output: spec.output.schema }),
      ...workflowSettings(spec),
    },
  };
}

/**
 * Which of the Workflows of one queue and name counts: the oldest, so that a newcomer takes nothing from it.
 *
 * @param rivals - At least one.
 */
export function elderOf<Item extends Pick<Workflow, "metadata">>(rivals: readonly Item[]): Item | undefined {
  return rivals.toSorted(byAge)[0];
}
