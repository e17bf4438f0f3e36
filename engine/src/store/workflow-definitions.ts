/**
 * Reads the definitions of workflows as the operator wrote them into a store: for services that honour them without a cluster.
 *
 * Promises what `set_workflow_definitions` was given last. Writes nothing.
 */
import { quoteIdentifier } from "./identifiers.ts";
import type { Session } from "./session.ts";

/** What a store knows of a workflow. */
export interface WorkflowDefinitionRow {
  readonly taskQueue: string;
  readonly workflowName: string;
  /** `namespace/name` of the Workflow. */
  readonly resource: string;
  readonly suspended: boolean;
  /** With the members that migration 0012_workflow_definitions.sql lists; durations in milliseconds. */
  readonly definition: Readonly<Record<string, unknown>>;
}

/** All definitions of a schema, by queue and name. */
export async function readWorkflowDefinitions(
  session: Pick<Session, "query">,
  schema: string,
): Promise<readonly WorkflowDefinitionRow[]> {
  const { rows } = await session.query<{
    task_queue: string;
    workflow_name: string;
    resource: string;
    suspended: boolean;
    definition: string;
  }>({
    text: `
      select task_queue, workflow_name, resource, suspended, definition::text as definition
      from ${quoteIdentifier(schema)}.workflow_definitions
      order by task_queue, workflow_name`,
  });
  return rows.map((row) => ({
    taskQueue: row.task_queue,
    workflowName: row.workflow_name,
    resource: row.resource,
    suspended: row.suspended,
    definition: JSON.parse(row.definition) as Readonly<Record<string, unknown>>,
  }));
}
