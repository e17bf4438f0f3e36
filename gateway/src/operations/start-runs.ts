/** Starts: what a request asks for, held against its Workflow, and recorded once. */
import { compileInputSchema } from "@memflow/crds";
import { newId, parseDurationMs } from "@memflow/engine";
import type { StartRequest } from "@memflow/engine";
import { guid } from "@memflow/sdk";
import { checkName, checkStart } from "@memflow/sdk/service";
import type { Access } from "../auth/index.ts";
import { invalid, ProblemError } from "../http/problem.ts";
import { placeOf } from "../http/request-reader.ts";
import type { StoreEntry, WorkflowDefinition } from "../stores/index.ts";
import { storeOf } from "./call.ts";
import type { Call, Handler } from "./call.ts";
import { expiresHeader, idempotencyOf } from "./idempotency.ts";
import { runPath } from "./paths.ts";
import { admit } from "./rights.ts";
import { endOf, pendingReply, resultBody, waitMsOf } from "./results.ts";

type StartCall = Call<"startRun"> | Call<"executeRun">;
type StartBody = StartCall["body"];

/** What is started: a type on a queue, by the Workflow that defines it where there is one. */
interface StartTarget {
  readonly workflowName: string;
  readonly taskQueue: string;
  readonly definition: WorkflowDefinition | undefined;
}

/** A run that stands. */
interface Started extends StartTarget {
  readonly entry: StoreEntry;
  readonly runId: string;
  readonly workflowId: string;
  readonly fresh: boolean;
  readonly headers: Readonly<Record<string, string>>;
}

export const startRun: Handler<"startRun"> = async (call) => {
  const { entry, runId, workflowId, workflowName, taskQueue, fresh, headers } = await start(call);
  const body = {
    runId,
    workflowId,
    workflow: workflowName,
    taskQueue,
    namespace: entry.namespace,
    store: entry.name,
  };
  return { status: fresh ? 201 : 200, body, headers };
};

export const executeRun: Handler<"executeRun"> = async (call) => {
  const started = await start(call, "get");
  const { entry, runId, workflowId, headers } = started;
  const end = await endOf(entry, runId, waitMsOf(call), call.untilGone());
  if (end === undefined) return pendingReply(call, { runId, workflowId }, headers);
  return { status: 200, body: resultBody(runId, end), headers };
};

/**
 * Starts the run that a request asks for, or finds the one that an equal request has started.
 *
 * @param verb - A right on the Workflow's runs that is needed besides that to create them.
 */
async function start(call: StartCall, verb?: string): Promise<Started> {
  const entry = await storeOf(call);
  const target = findTarget(entry, call.body);
  await admitStart(call, entry, { target, verbs: verb === undefined ? ["create"] : ["create", verb] });
  assertTarget(target, call.body);
  const { definition, workflowName, taskQueue } = target;
  const idempotency = idempotencyOf(call, { store: entry.name, body: call.body });
  if (definition?.suspended === true && idempotency === undefined) throw suspended(definition);
  const request = requestOf(call, target);
  call.note({ runId: request.runId, workflowId: request.workflowId });
  const begun =
    idempotency === undefined
      ? { runId: await entry.client.start(request), workflowId: request.workflowId, fresh: true }
      : await startWithKey(entry, { ...request, idempotency }, definition);
  call.note({ runId: begun.runId, workflowId: begun.workflowId });
  const location = runPath(entry, begun.runId);
  const { runId, workflowId, fresh } = begun;
  const headers = {
    Location: location,
    ...("expiresMs" in begun ? expiresHeader(begun.expiresMs) : {}),
  };
  return { entry, workflowName, taskQueue, definition, runId, workflowId, fresh, headers };
}

/** A Workflow that was suspended since takes no new start; what stands is answered as before. */
async function startWithKey(
  entry: StoreEntry,
  request: Parameters<StoreEntry["client"]["startOnce"]>[0],
  definition: WorkflowDefinition | undefined,
): ReturnType<StoreEntry["client"]["startOnce"]> {
  if (definition?.suspended !== true) return await entry.client.startOnce(request);
  const known = await entry.client.startedUnder(request.idempotency);
  if (known === undefined) throw suspended(definition);
  return known;
}

function suspended({ name }: WorkflowDefinition): ProblemError {
  return new ProblemError("WorkflowSuspended", `workflow "${name}" is suspended and takes no new starts`, {
    remedy: "set spec.suspend of the Workflow to false",
  });
}

/** By the name of a Workflow, else by a type; the queue is the Workflow's unless the request names one. */
function findTarget(
  entry: StoreEntry,
  body: StartBody,
): Omit<StartTarget, "taskQueue"> & { readonly taskQueue: string | undefined } {
  const asked = body.taskQueue === undefined ? undefined : queueNameOf(entry, body.taskQueue);
  const named = entry.workflows().find(({ name }) => name === body.workflow);
  const definition = named ?? entry.workflowOf(body.workflow, asked) ?? entry.workflowOf(body.workflow);
  return {
    workflowName: definition?.workflowName ?? body.workflow,
    taskQueue: asked ?? definition?.taskQueue,
    definition,
  };
}

/** A queue as workers call it, by that name or by its TaskQueue's. */
export function queueNameOf(entry: StoreEntry, queue: string): string {
  const queues = entry.queues();
  const known =
    queues.find(({ taskQueue }) => taskQueue === queue) ?? queues.find(({ name }) => name === queue);
  return known?.taskQueue ?? queue;
}

function assertTarget(
  target: { readonly taskQueue: string | undefined },
  { workflow }: StartBody,
): asserts target is StartTarget {
  if (target.taskQueue !== undefined) return;
  throw invalid([
    {
      path: "body.taskQueue",
      message: `is missing: no Workflow, or more than one, has the type "${workflow}"`,
    },
  ]);
}

/** On the Workflow that defines the type, and on the queue when it is not the Workflow's own. */
async function admitStart(
  call: StartCall,
  entry: StoreEntry,
  options: {
    readonly target: {
      readonly taskQueue: string | undefined;
      readonly definition: WorkflowDefinition | undefined;
    };
    readonly verbs: readonly string[];
  },
): Promise<void> {
  const { namespace } = call.params;
  const { definition, taskQueue } = options.target;
  if (taskQueue !== undefined && taskQueue !== definition?.taskQueue) {
    const queue = entry.queues().find((known) => known.taskQueue === taskQueue)?.name;
    await admit(call, { verb: "create", resource: "taskqueues/runs", namespace, ...named(queue) });
  }
  const ofWorkflow = { resource: "workflows/runs", namespace, ...named(definition?.name) } as const;
  for (const verb of options.verbs) await admit(call, { verb, ...ofWorkflow });
  // What the audit log shows of it.
  call.note({ access: { verb: "create", ...ofWorkflow } });
}

function named(name: string | undefined): Pick<Access, "name"> {
  return name === undefined ? {} : { name };
}

function requestOf(call: StartCall, { workflowName, taskQueue, definition }: StartTarget): StartRequest {
  const { body, trace } = call;
  const args = argumentsOf(body, definition);
  assertInput(body, args, definition);
  const retry = body.retry ?? policyOf(definition);
  const checked = checkStart({
    args,
    taskQueue,
    workflowName,
    entity: body.entity,
    search: body.search === undefined ? undefined : { data: body.search },
    startDelay: body.startDelay,
    expire: body.retention === undefined ? undefined : parseDurationMs(body.retention, "retention") / 1_000,
    buildId: body.buildId,
    config: retry,
    workflowTrace: trace?.traceId,
    workflowSpan: trace?.spanId,
  });
  return {
    runId: newId(),
    workflowId: body.workflowId === undefined ? guid() : checkName("workflowId", body.workflowId),
    workflowName: checked.workflowName,
    taskQueue: checked.taskQueue,
    input: checked.input,
    options: checked.options,
    delayMs: checked.delayMs,
    retentionSeconds: checked.retentionSeconds,
    entityType: checked.entityType,
    search: checked.search,
    buildId: checked.buildId,
  };
}

function argumentsOf(body: StartBody, definition: WorkflowDefinition | undefined): readonly unknown[] {
  if (body.args !== undefined && "input" in body)
    throw invalid([{ path: "body.input", message: "must be left out beside args" }]);
  if (body.args !== undefined) return body.args;
  return "input" in body ? [body.input] : (definition?.defaultArgs ?? []);
}

/** What a Workflow says of retries. */
function policyOf(definition: WorkflowDefinition | undefined) {
  if (definition?.retry === undefined) return undefined;
  const { maximumAttempts, backoffCoefficient, initialIntervalMs, maximumIntervalMs } = definition.retry;
  return {
    maximumAttempts,
    backoffCoefficient,
    initialInterval: initialIntervalMs,
    maximumInterval: maximumIntervalMs,
  };
}

type InputCheck = ReturnType<typeof compileInputSchema>;
const INPUT_CHECKS = new WeakMap<object, InputCheck>();

function inputCheckOf(schema: Readonly<Record<string, unknown>>): InputCheck {
  const known = INPUT_CHECKS.get(schema);
  if (known !== undefined) return known;
  const made = compileInputSchema(schema);
  INPUT_CHECKS.set(schema, made);
  return made;
}

function assertInput(
  body: StartBody,
  args: readonly unknown[],
  definition: WorkflowDefinition | undefined,
): void {
  if (definition?.inputSchema === undefined) return;
  const faults = inputCheckOf(definition.inputSchema)(args[0]);
  if (faults.length === 0) return;
  const place = body.args === undefined ? ["input"] : ["args", 0];
  throw invalid(
    faults.map(({ path, reason }) => ({ path: placeOf("body", [...place, ...path]), message: reason })),
  );
}
