/** What the database is told of a Workflow: the row of `workflow_definitions`, with durations in milliseconds. */
import { durationMs, workflowNameOf } from "@memflow/crds";
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
  const { timeouts, retry, retention } = spec;
  return {
    taskQueue: queueName,
    workflowName: workflowNameOf(workflow),
    resource: `${metadata.namespace ?? ""}/${metadata.name}`,
    suspended: spec.suspend,
    definition: withoutUndefined({
      input: spec.input?.schema,
      output: spec.output?.schema,
      timeouts:
        timeouts && withoutUndefined({ executionMs: ms(timeouts.execution), runMs: ms(timeouts.run) }),
      retry: retry && {
        maximumAttempts: retry.maximumAttempts,
        backoffCoefficient: retry.backoffCoefficient,
        initialIntervalMs: durationMs(retry.initialInterval),
        maximumIntervalMs: durationMs(retry.maximumInterval),
      },
      retention:
        retention &&
        withoutUndefined({ completedMs: ms(retention.completed), failedMs: ms(retention.failed) }),
      searchAttributes: Object.keys(spec.searchAttributes).length > 0 ? spec.searchAttributes : undefined,
      defaultArgs: spec.defaultArgs,
    }),
  };
}

/**
 * Which of the Workflows of one queue and name counts: the oldest, so that a newcomer takes nothing from it.
 *
 * @param rivals - At least one.
 */
export function elderOf<Item extends Pick<Workflow, "metadata">>(rivals: readonly Item[]): Item | undefined {
  return rivals.toSorted(
    (left, right) =>
      (left.metadata.creationTimestamp ?? "").localeCompare(right.metadata.creationTimestamp ?? "") ||
      (left.metadata.uid ?? "").localeCompare(right.metadata.uid ?? ""),
  )[0];
}

function ms(duration: string | undefined): number | undefined {
  return duration === undefined ? undefined : durationMs(duration);
}

function withoutUndefined(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
