/**
 * Which signals a workflow that failed finds when it starts anew.
 */
import type { Invoke } from "@memflow/engine";
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, recorded, setup } from "./setup.ts";

const QUEUE = "attempts";

const attemptOf = (): number => MemFlow.workflow.workflowInfo().attempt;

/** Fails in its first attempt, after it took one signal and left others. */
const moody = async (): Promise<unknown[]> => {
  if (attemptOf() === 1) {
    await MemFlow.workflow.hook({ taskQueue: QUEUE, workflowName: "answering", args: [] });
    await MemFlow.workflow.waitFor("begin");
    throw new Error("first");
  }
  const kept = [await MemFlow.workflow.waitFor("kept"), await MemFlow.workflow.waitFor("kept")];
  return [...kept, await MemFlow.workflow.waitFor("answer")];
};
const answering = async (): Promise<void> => {
  await MemFlow.workflow.signal("answer", "stale");
};
const WORKFLOWS: ReadonlyMap<string, Invoke> = new Map<string, Invoke>([
  ["moody", moody],
  ["answering", answering],
]);
const config = { maximumAttempts: 2, initialInterval: 300, backoffCoefficient: 1 };

test.each([false, true])(
  "signals that a failed attempt did not take are the next one's, its hooks' are not (another worker: %s)",
  async (takenOver) => {
    const store = await setup();
    const first = await store.engine({ taskQueue: QUEUE, workflows: WORKFLOWS });
    const handle = await store.client.workflow.start({
      taskQueue: QUEUE,
      workflowName: "moody",
      args: [],
      config,
    });
    await recorded(handle, "signal_received", "answer");
    await handle.signal("kept", 1);
    await handle.signal("begin");
    await recorded(handle, "attempt_failed");
    await handle.signal("kept", 2);
    await eventually("the second attempt waits", async () => {
      const waits = await store.query("select from waits where signal_id = 'answer'");
      return waits.length === 1;
    });
    if (takenOver) {
      first.crash();
      await store.bury(first.status.workerId);
      await store.engine({ taskQueue: QUEUE, workflows: WORKFLOWS });
    }
    await handle.signal("answer", "fresh");
    expect(await handle.result()).toEqual([1, 2, "fresh"]);
  },
);
