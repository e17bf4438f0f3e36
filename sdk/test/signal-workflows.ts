/**
 * Workflows that wait for signals and send them, for the tests of where a signal goes.
 */
import { MemFlow } from "@memflow/sdk";

interface Reply {
  readonly signal: string;
}

/** The queue of all of these. */
export const QUEUE = "signals";

/** Waits for one signal. */
export async function waitOnce(signalId: string): Promise<unknown> {
  return await MemFlow.workflow.waitFor(signalId);
}

/** Waits for one signal id again and again. */
export async function collect(signalId: string, count: number): Promise<unknown[]> {
  const payloads: unknown[] = [];
  for (let index = 0; index < count; index += 1) payloads.push(await MemFlow.workflow.waitFor(signalId));
  return payloads;
}

/** Waits for a gate, then for an id that may have been signaled long before. */
export async function waitLate(gate: string, signalId: string): Promise<unknown> {
  await MemFlow.workflow.waitFor(gate);
  return await MemFlow.workflow.waitFor(signalId);
}

/** Signals once. */
export async function send(signalId: string, data: unknown): Promise<string> {
  return await MemFlow.workflow.signal(signalId, data);
}

/** Spawns two hooks that answer before it looks, and only then waits for them. */
export async function lateAgent(query: string): Promise<unknown[]> {
  for (const signalId of ["first", "second"]) {
    await MemFlow.workflow.hook({ taskQueue: QUEUE, workflowName: "sendFromHook", args: [signalId, query] });
  }
  // The hooks say through the shared memory that their signals are out.
  const memory = await MemFlow.workflow.entity();
  while (((await memory.get<number>("sent")) ?? 0) < 2) await MemFlow.workflow.sleepFor(5);
  return [await MemFlow.workflow.waitFor("first"), await MemFlow.workflow.waitFor("second")];
}

export async function sendFromHook(signalId: string, query: string): Promise<void> {
  await MemFlow.workflow.signal(signalId, { signalId, query });
  const memory = await MemFlow.workflow.entity();
  await memory.increment("sent");
}

/** Executes a hook and then takes what it left, and what came besides. */
export async function askHook(signalId: string, more: number): Promise<unknown[]> {
  const answered = await MemFlow.workflow.execHook({
    taskQueue: QUEUE,
    workflowName: "answerWhenTold",
    args: [],
    signalId,
  });
  const payloads: unknown[] = [answered];
  for (let index = 0; index < more; index += 1) payloads.push(await MemFlow.workflow.waitFor(signalId));
  return payloads;
}

/** Answers its run after it was told to. */
export async function answerWhenTold(reply: Reply): Promise<void> {
  const data = await MemFlow.workflow.waitFor("tell");
  await MemFlow.workflow.signal(reply.signal, data);
}

/** A hook that only returns; execHook takes that for its answer. */
export async function askSilentHook(): Promise<unknown> {
  return await MemFlow.workflow.execHook({ taskQueue: QUEUE, workflowName: "returnOnly", args: [7] });
}

export async function returnOnly(value: number): Promise<number> {
  return await Promise.resolve(value + 1);
}

/** Tells its own hook by a signal: a run reaches its hooks first. */
export async function tellHook(data: unknown): Promise<unknown> {
  const asked = MemFlow.workflow.execHook({
    taskQueue: QUEUE,
    workflowName: "answerWhenTold",
    args: [],
    signalId: "told",
  });
  await MemFlow.workflow.waitFor("hook waits");
  await MemFlow.workflow.signal("tell", data);
  return await asked;
}

/** Starts a child that will signal, and waits for the signal; `levels` are between the two. */
export async function ancestor(signalId: string, data: unknown, levels: number): Promise<unknown> {
  const got = MemFlow.workflow.waitFor(signalId);
  await MemFlow.workflow.waitFor("ancestor waits");
  await MemFlow.workflow.startChild(
    levels === 0
      ? { taskQueue: QUEUE, workflowName: "send", args: [signalId, data] }
      : { taskQueue: QUEUE, workflowName: "relay", args: [signalId, data, levels - 1] },
  );
  return await got;
}

/** A generation between the ancestor and the child that signals. */
export async function relay(signalId: string, data: unknown, levels: number): Promise<unknown> {
  return await MemFlow.workflow.execChild(
    levels === 0
      ? { taskQueue: QUEUE, workflowName: "send", args: [signalId, data] }
      : { taskQueue: QUEUE, workflowName: "relay", args: [signalId, data, levels - 1] },
  );
}
