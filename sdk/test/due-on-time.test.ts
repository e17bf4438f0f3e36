/**
 * Work that becomes due while nobody owns it, and how little a worker asks that has nothing to do.
 *
 * No worker here polls within the time of a test: what is found was told or foreseen.
 */
import { resolveConnection } from "@memflow/engine";
import type { EngineWorker, Invoke } from "@memflow/engine";
import { MeddledSource } from "@memflow/engine/testing";
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";
import type { TestStore } from "./setup.ts";

const QUEUE = "due";
const SELDOM = { pollMs: 600_000 } as const;
const SLEEP_MS = 1_500;

const WORKFLOWS: ReadonlyMap<string, Invoke> = new Map([
  ["quick", async () => await Promise.resolve("quick")],
  [
    "parent",
    async () =>
      await MemFlow.workflow.execChild({ taskQueue: QUEUE, workflowName: "quick", startDelay: SLEEP_MS }),
  ],
  [
    "sleeper",
    async () => {
      await MemFlow.workflow.sleepFor(SLEEP_MS);
      return "slept";
    },
  ],
]);

const worker = (store: TestStore, tuning = {}): Promise<EngineWorker> =>
  store.engine({ taskQueue: QUEUE, workflows: WORKFLOWS, tuning: { ...SELDOM, ...tuning } });

test("a start with a delay, of a client or a workflow, begins when it is due", async () => {
  const store = await setup();
  await worker(store);
  const [quick, parent] = await Promise.all(
    [{ workflowName: "quick", startDelay: SLEEP_MS }, { workflowName: "parent" }].map((options) =>
      store.client.workflow.start({ taskQueue: QUEUE, ...options }),
    ),
  );
  expect([await quick?.result(), await parent?.result()]).toEqual(["quick", "quick"]);
});

test("a worker that starts after a delayed start takes it when it is due", async () => {
  const store = await setup();
  const handle = await store.client.workflow.start({
    taskQueue: QUEUE,
    workflowName: "quick",
    startDelay: SLEEP_MS,
  });
  await worker(store);
  expect(await handle.result()).toBe("quick");
});

test.each(["hands its runs over", "dies"])(
  "a sleep whose worker %s ends on another worker when it is due",
  async (how) => {
    const store = await setup();
    const first = await worker(store);
    const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "sleeper" });
    await eventually(
      "the sleep in the row",
      async () => (await store.query("select from runs where wake_at is not null and not busy")).length === 1,
    );
    await worker(store);
    if (how === "dies") {
      first.crash();
      await store.query("update workers set dead_at = clock_timestamp() where worker_id = $1", [
        first.status.workerId,
      ]);
    } else {
      await first.shutdown({ graceMs: 1_000 });
    }
    expect(await handle.result()).toBe("slept");
  },
);

test("a worker without work asks once for all its queues", async () => {
  const store = await setup();
  const meddled = new MeddledSource(resolveConnection(store.url));
  const engine = await worker(store, { source: meddled.source, pollMs: 20 });
  for (let index = 0; index < 20; index += 1) await engine.serve(`${QUEUE}-${index}`, WORKFLOWS);
  const asked = (): readonly number[] =>
    ["memflow_claimRuns", "memflow_claimActivities"].map((name) => meddled.sentCount(name));
  const looks = (): number => meddled.sentCount("memflow_readyWork");
  const served = looks();
  await eventually("the claims after the serving", () => looks() > served + 3);
  const [before, lookedBefore] = [asked(), looks()];
  await eventually("ten polls", () => looks() >= lookedBefore + 10);
  expect(asked()).toEqual(before);
});

test("a claim whose answer is lost keeps its runs from nobody, although nothing is ready then", async () => {
  const store = await setup();
  const meddled = new MeddledSource(resolveConnection(store.url));
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "quick" });
  const claim = meddled.holdNext("memflow_claimRuns");
  await worker(store, { source: meddled.source, pollMs: 100 });
  await claim.answered;
  claim.lose();
  expect(await handle.result()).toBe("quick");
});
