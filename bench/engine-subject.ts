/**
 * MemFlow as its users run it: the SDK's client in one process, the SDK's worker in another, all options at their
 * defaults.
 */
import { setCrashHook } from "@memflow/engine";
import { Client, MemFlow, Worker } from "@memflow/sdk";
import type { WorkflowHandle } from "@memflow/sdk";
import { QUEUE, UNPARK, fanOut, noOp, park, steps } from "./engine-workflows.ts";
import type { Job } from "./jobs.ts";
import type { Replay, SubjectClient, SubjectWorker } from "./subject.ts";

export async function openEngineClient(url: string): Promise<SubjectClient> {
  const client = new Client({ connection: url });
  const start = (job: Job): Promise<WorkflowHandle> =>
    client.workflow.start({ taskQueue: QUEUE, workflowName: job.workflow, args: [job.count] });
  return await Promise.resolve({
    run: async (job: Job) => await (await start(job)).result(),
    park: async (job: Job) => (await start(job)).workflowId,
    unpark: async (workflowId: string) => {
      const handle = await client.workflow.getHandle(workflowId);
      await handle.signal(UNPARK, { go: true });
      return await handle.result();
    },
    close: () => MemFlow.shutdown(),
  });
}

export async function openEngineWorker(
  url: string,
  options: { readonly watchReplays: boolean },
): Promise<SubjectWorker> {
  const takeReplays = options.watchReplays ? watchReplays() : () => [];
  await Worker.create({ connection: url, taskQueue: QUEUE, workflow: { noOp, steps, fanOut, park } });
  return { takeReplays, close: () => MemFlow.shutdown() };
}

/** The engine marks where it stands: from claim to history is the load, from history to the activation's end the replay. */
function watchReplays(): () => readonly Replay[] {
  let claimedAt = 0;
  let loadedAt = 0;
  let replays: Replay[] = [];
  setCrashHook((point) => {
    if (point === "claim.committed") claimedAt = performance.now();
    else if (point === "history.loaded") loadedAt = performance.now();
    else if (point === "activation.done" && loadedAt > 0) {
      replays.push({ loadMs: loadedAt - claimedAt, replayMs: performance.now() - loadedAt });
      loadedAt = 0;
    }
  });
  return () => {
    const taken = replays;
    replays = [];
    return taken;
  };
}
