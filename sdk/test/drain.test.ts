/**
 * A worker that stops: what it does not do any more, others do at once.
 */
import { resolveConnection } from "@memflow/engine";
import type { EngineWorker, Invoke } from "@memflow/engine";
import { MeddledSource } from "@memflow/engine/testing";
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { databaseUrl, eventually, setup } from "./setup.ts";
import type { TestStore } from "./setup.ts";

const QUEUE = "drain";
/** Notifications alone tell this worker what there is to do. */
const TOLD = { pollMs: 600_000, sweepMs: 600_000 };

const start = (store: TestStore, workflowName: string, ...args: unknown[]) =>
  store.client.workflow.start({ taskQueue: QUEUE, workflowName, args });

/** Two workers in this process: the first has one slot, which an activity holds until it is let go. */
async function heldWorker(tuning: Parameters<TestStore["engine"]>[0]["tuning"] = {}) {
  const store = await setup();
  const latch = Promise.withResolvers<void>();
  const activities = { hold: () => latch.promise, once: () => "done" };
  const { hold } = MemFlow.workflow.proxyActivities({ activities });
  const { once } = MemFlow.workflow.proxyActivities({ activities, retryPolicy: { maximumAttempts: 1 } });
  const serving = (name: string): ReadonlyMap<string, Invoke> =>
    new Map<string, Invoke>([
      ["holding", async () => await hold()],
      ["single", async () => await once()],
      ["named", () => name],
    ]);
  const first = await store.engine({
    taskQueue: QUEUE,
    workflows: serving("first"),
    tuning: { maxConcurrentActivities: 1, ...tuning },
  });
  const holding = await start(store, "holding");
  await eventually("the slot is taken", () => first.status.runningActivities === 1);
  const second = (): Promise<EngineWorker> =>
    store.engine({ taskQueue: QUEUE, workflows: serving("second"), tuning: TOLD });
  return { store, first, second, holding, letGo: latch.resolve };
}

test("a single attempt that waits for a slot when its worker stops is done by another", async () => {
  const { store, first, second, holding, letGo } = await heldWorker();
  const handle = await start(store, "single");
  await eventually(
    "its row stands",
    async () => (await store.query("select from activities where name = 'once'")).length === 1,
  );
  const stopped = first.shutdown({ graceMs: 60_000 });
  await second();
  expect(await handle.result()).toBe("done");
  letGo();
  await stopped;
  await holding.result();
});

test("a run that was claimed while its worker stopped is another's at once", async () => {
  const meddled = new MeddledSource(resolveConnection(databaseUrl()));
  const { store, first, second, holding, letGo } = await heldWorker({ source: meddled.source });
  const claim = meddled.holdNext("memflow_claimRuns");
  const handle = await start(store, "named");
  await claim.answered;
  await second();
  const stopped = first.shutdown({ graceMs: 60_000 });
  claim.release();
  expect(await handle.result()).toBe("second");
  letGo();
  await stopped;
  await holding.result();
});
