/**
 * Finds the run that a person means: by its run id, by `WORKFLOW/WORKFLOW-ID`, or by a workflow id alone.
 *
 * A workflow id means its open run, else its latest.
 */
import type { Run } from "@memflow/gateway/client";
import type { GatewayConnection } from "../connect/connection.ts";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";

const RUN_ID = /^(?:run\/)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/u;
const CANDIDATE_MAX = 1_000;

/** @throws {CommandError} With exit code 3 when no run has the id; {GatewayProblem} as the gateway says. */
export async function findRun(connection: GatewayConnection, reference: string): Promise<Run> {
  const { client, namespace, store } = connection;
  const [, runId] = RUN_ID.exec(reference) ?? [];
  if (runId !== undefined) {
    return (await client.call("getRun", { path: { namespace, runId }, query: { store } })).body;
  }
  const slash = reference.indexOf("/");
  if (slash > 0) {
    const path = {
      namespace,
      workflow: reference.slice(0, slash),
      workflowId: reference.slice(slash + 1),
    };
    return (await client.call("getRunByWorkflowId", { path, query: { store } })).body;
  }
  return findByWorkflowId(connection, reference);
}

/** The list has the latest first. */
async function findByWorkflowId(
  { client, namespace, store }: GatewayConnection,
  workflowId: string,
): Promise<Run> {
  const query = { store, workflowIdPrefix: workflowId, pageSize: CANDIDATE_MAX };
  const { body } = await client.call("listRuns", { path: { namespace }, query });
  const runs = body.runs.filter((run) => run.workflowId === workflowId);
  const found = runs.find(({ status }) => status === "running") ?? runs[0];
  if (found !== undefined) return found;
  throw new CommandError(
    EXIT_CODES.notFound,
    `no run with workflow id "${workflowId}" in namespace "${namespace}"; a hook or an older run is found as WORKFLOW/${workflowId}`,
  );
}
