/** Workflows as manifests define them, and queues with their load. */
import type { QueueLoad } from "@memflow/engine";
import { OPERATIONS } from "../api/index.ts";
import { ProblemError } from "../http/problem.ts";
import type { QueueDefinition, StoreEntry, WorkflowDefinition } from "../stores/index.ts";
import { accessOf, storeOf } from "./call.ts";
import type { CallContext, Handler } from "./call.ts";
import { admit } from "./rights.ts";

export const listWorkflows: Handler<"listWorkflows"> = async (call) => {
  const entry = await storeOf(call);
  const { namespace } = call.params;
  const shown = await visible(call, entry.workflows(), ({ name }) =>
    accessOf(OPERATIONS.listWorkflows, { namespace, name }),
  );
  return { status: 200, body: { workflows: shown.map(workflowBody) } };
};

export const getWorkflow: Handler<"getWorkflow"> = async (call) => {
  const entry = await storeOf(call);
  const { namespace, workflow } = call.params;
  const definition = entry.workflows().find(({ name }) => name === workflow) ?? entry.workflowOf(workflow);
  // What is not there is asked for by the name that it would have.
  await admit(call, accessOf(OPERATIONS.getWorkflow, { namespace, name: definition?.name ?? workflow }));
  if (definition === undefined)
    throw new ProblemError("WorkflowNotFound", `workflow "${workflow}" not found in store "${entry.name}"`);
  return { status: 200, body: workflowBody(definition) };
};

export const listQueues: Handler<"listQueues"> = async (call) => {
  const entry = await storeOf(call);
  const { namespace } = call.params;
  const all = await queuesOf(entry);
  const shown = await visible(call, all, ({ name }) => accessOf(OPERATIONS.listQueues, { namespace, name }));
  return { status: 200, body: { queues: shown.map(queueBody) } };
};

export const getQueue: Handler<"getQueue"> = async (call) => {
  const entry = await storeOf(call);
  const { namespace, queue } = call.params;
  const all = await queuesOf(entry);
  const found = all.find(({ name }) => name === queue) ?? all.find(({ taskQueue }) => taskQueue === queue);
  await admit(
    call,
    accessOf(OPERATIONS.getQueue, { namespace, name: found === undefined ? queue : found.name }),
  );
  if (found === undefined)
    throw new ProblemError("QueueNotFound", `queue "${queue}" not found in store "${entry.name}"`);
  return { status: 200, body: queueBody(found) };
};

/** Those of a list that the caller may see; whoever may see all is asked about once. */
export async function visible<Item>(
  call: CallContext,
  items: readonly Item[],
  accessTo: (item: Item) => ReturnType<typeof accessOf>,
): Promise<readonly Item[]> {
  const [first] = items;
  if (first === undefined) return [];
  const { name: _, ...ofAll } = accessTo(first);
  call.note({ access: ofAll });
  if (await call.gatekeeper.may(call.subject, ofAll)) return items;
  const allowed = await Promise.all(
    items.map(async (item) => {
      const access = accessTo(item);
      return access.name !== undefined && (await call.gatekeeper.may(call.subject, access));
    }),
  );
  return items.filter((_, index) => allowed[index] === true);
}

/** A queue of a manifest, of the database, or of both. */
interface KnownQueue {
  readonly name: string | undefined;
  readonly taskQueue: string;
  readonly definition: QueueDefinition | undefined;
  readonly load: QueueLoad | undefined;
}

async function queuesOf(entry: StoreEntry): Promise<readonly KnownQueue[]> {
  const loads = new Map((await entry.client.queueLoads()).map((load) => [load.taskQueue, load]));
  const definitions = new Map(entry.queues().map((definition) => [definition.taskQueue, definition]));
  return [...new Set([...definitions.keys(), ...loads.keys()])].toSorted().map((taskQueue) => {
    const definition = definitions.get(taskQueue);
    return { name: definition?.name, taskQueue, definition, load: loads.get(taskQueue) };
  });
}

function queueBody({ name, taskQueue, definition, load }: KnownQueue) {
  return {
    ...(name === undefined ? {} : { name }),
    taskQueue,
    ready: load?.ready ?? 0,
    inFlight: load?.inFlight ?? 0,
    oldestReadyAt: load?.oldestReadyAt?.toISOString() ?? null,
    nextTimerAt: load?.nextTimerAt?.toISOString() ?? null,
    workers: load?.workers ?? 0,
    ...(definition?.scaling === undefined ? {} : { scaling: { ...definition.scaling } }),
  };
}

function workflowBody(definition: WorkflowDefinition) {
  const { name, workflowName, taskQueue, suspended } = definition;
  const { inputSchema, outputSchema, timeouts, retry, retention, searchAttributes, defaultArgs } = definition;
  return {
    name,
    workflow: workflowName,
    taskQueue,
    suspended,
    ...(inputSchema === undefined ? {} : { inputSchema: { ...inputSchema } }),
    ...(outputSchema === undefined ? {} : { outputSchema: { ...outputSchema } }),
    ...(timeouts === undefined ? {} : { timeouts: { ...timeouts } }),
    ...(retry === undefined ? {} : { retry: { ...retry } }),
    ...(retention === undefined ? {} : { retention: { ...retention } }),
    ...(searchAttributes === undefined ? {} : { searchAttributes: { ...searchAttributes } }),
    ...(defaultArgs === undefined ? {} : { defaultArgs: [...defaultArgs] }),
  };
}
