/**
 * Rights on the object that is really touched: the Workflow of a run as the database has it, never as a request says.
 *
 * Whoever may not list all runs of a namespace is not told whether a run is not there or not theirs to see.
 */
import type { RunDescription } from "@memflow/engine";
import { WorkflowNotFoundError } from "@memflow/engine";
import { OPERATIONS } from "../api/index.ts";
import type { OperationId } from "../api/index.ts";
import type { Access } from "../auth/index.ts";
import { runNotFound } from "../http/problem.ts";
import type { StoreEntry } from "../stores/index.ts";
import { accessOf, storeOf } from "./call.ts";
import type { Call, CallContext } from "./call.ts";

/** Remembers what is asked for, and asks. */
export async function admit(call: CallContext, access: Access): Promise<void> {
  call.note({ access });
  await call.gatekeeper.admit(call.subject, access);
}

/** The name of the Workflow object that a run's right is asked for; undefined when no manifest has its type. */
function workflowObjectOf(
  entry: StoreEntry,
  run: Pick<RunDescription, "workflowName" | "taskQueue">,
): string | undefined {
  return entry.workflowOf(run.workflowName, run.taskQueue)?.name;
}

/** Operations about one run. */
type RunOperation = {
  [Id in OperationId]: (typeof OPERATIONS)[Id] extends {
    readonly access: { readonly object: "workflow-of-run" };
  }
    ? Id
    : never;
}[OperationId];

/** A run that the caller may do this to, and its Store. */
export interface AdmittedRun {
  readonly entry: StoreEntry;
  readonly run: RunDescription;
}

/**
 * Finds the run of a request and admits the caller to it.
 *
 * @param find - Finds it; undefined when it is not there.
 * @throws {ProblemError} `RunNotFound`; {ForbiddenError} as it says.
 */
export async function admitRun<Id extends RunOperation>(
  call: Call<Id>,
  find: (entry: StoreEntry) => Promise<RunDescription | undefined>,
  name: string,
): Promise<AdmittedRun> {
  const entry = await storeOf(call);
  const run = await find(entry);
  const operation = OPERATIONS[call.operationId];
  const { namespace } = call.params;
  const ofAll = accessOf(operation, { namespace, name: undefined });
  if (run === undefined) {
    call.note({ access: ofAll });
    if (await mayListAll(call, namespace)) throw runNotFound(name);
    // Refused as a run of somebody else is, unless all are theirs.
    await admit(call, ofAll);
    throw runNotFound(name);
  }
  call.note({ runId: run.runId, workflowId: run.workflowId });
  await admitToRun(call, accessOf(operation, { namespace, name: workflowObjectOf(entry, run) }));
  return { entry, run };
}

/** Admits to one run: whoever is refused and may not list is told no more than of one that is not there. */
async function admitToRun(call: CallContext, access: Access): Promise<void> {
  call.note({ access });
  if (await call.gatekeeper.may(call.subject, access)) return;
  const isTold = access.name !== undefined && (await mayListAll(call, access.namespace));
  const { name: _, ...ofAll } = access;
  await call.gatekeeper.admit(call.subject, isTold ? access : ofAll);
}

async function mayListAll(call: CallContext, namespace: string): Promise<boolean> {
  return await call.gatekeeper.may(call.subject, { verb: "list", resource: "workflows/runs", namespace });
}

/** @see admitRun, by the run id of the path. */
export async function admitRunById<Id extends Exclude<RunOperation, "getRunByWorkflowId">>(
  call: Call<Id>,
): Promise<AdmittedRun> {
  const { runId } = call.params;
  return await admitRun(call, (entry) => describeIfThere(entry, runId), runId);
}

/**
 * Admits to the memory of a run besides: a hook has that of the run that it is a part of, and so has each run of a chain.
 */
export async function admitMemory<Id extends "getEntity" | "getSearchData" | "exportRun" | "getState">(
  call: Call<Id>,
  { entry, run }: AdmittedRun,
): Promise<void> {
  if (run.entityId === run.runId) return;
  const owner = await describeIfThere(entry, run.entityId);
  const { namespace } = call.params;
  const name = owner === undefined ? undefined : workflowObjectOf(entry, owner);
  await admitToRun(call, accessOf(OPERATIONS[call.operationId], { namespace, name }));
}

async function describeIfThere(entry: StoreEntry, runId: string): Promise<RunDescription | undefined> {
  try {
    return await entry.client.describe(runId);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}
