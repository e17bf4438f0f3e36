/**
 * What the parity tests start from: a store whose one queue serves the given functions, and a short way to start them.
 *
 * Every run is repeated from scratch after each of its steps (`paranoid`), so whatever a parity test shows holds on
 * replay as well.
 */
import type { WorkflowHandle, WorkflowOptions } from "@memflow/sdk";
import { setup } from "../setup.ts";
import type { TestStore } from "../setup.ts";

/** The queue of the functions. */
export const QUEUE = "parity";

/** Retries without a wait, where a test is not about waits. */
export const AT_ONCE = { initialInterval: 1, backoffCoefficient: 1 } as const;

/** A store with its worker. */
export interface Served extends TestStore {
  start(workflowName: string, args?: readonly unknown[], more?: WorkflowOptions): Promise<WorkflowHandle>;
}

/** A fresh store whose worker serves the functions by their keys. */
export async function serving(workflow: Readonly<Record<string, unknown>>): Promise<Served> {
  const store = await setup();
  await store.worker({ taskQueue: QUEUE, workflow, options: { paranoid: true } });
  const start: Served["start"] = (workflowName, args = [], more = {}) =>
    store.client.workflow.start({ taskQueue: QUEUE, workflowName, args, ...more });
  return { ...store, start };
}
