/**
 * `condition`: a wait for a signal that ends after a time.
 */
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, recorded, setup } from "./setup.ts";

const QUEUE = "conditions";

const workflow = {
  decides: async (timeout?: string) => await MemFlow.workflow.condition("approved", timeout),
  givesUp: async () => {
    const first = await MemFlow.workflow.condition("approved", "20 milliseconds");
    await MemFlow.workflow.waitFor("go");
    return [first, await MemFlow.workflow.waitFor("approved")];
  },
  startsLate: async () => {
    await MemFlow.workflow.waitFor("go");
    return await MemFlow.workflow.condition("approved", "1 hour");
  },
  asksTwice: async () => {
    const both = await Promise.all([
      MemFlow.workflow.condition("approved", "10 milliseconds"),
      MemFlow.workflow.condition("approved", "1 hour"),
    ]);
    return both;
  },
};

async function served() {
  const store = await setup();
  const first = await store.worker({ taskQueue: QUEUE, workflow, options: { paranoid: true } });
  const start = (workflowName: string, ...args: readonly unknown[]) =>
    store.client.workflow.start({ taskQueue: QUEUE, workflowName, args, config: { maximumAttempts: 1 } });
  return { ...store, first, start };
}

test("it gives what is signaled in time, and leaves no timer behind", async () => {
  const { start } = await served();
  for (const timeout of [undefined, "1 hour"]) {
    const handle = await start("decides", timeout);
    await handle.signal("approved", { by: "ann" });
    expect(await handle.result()).toEqual({ by: "ann" });
    expect((await handle.history()).map(({ kind }) => kind)).toEqual(["signal_received"]);
  }
});

test("it is false after its time, and the signal that comes later is the next wait's", async () => {
  const { start } = await served();
  const handle = await start("givesUp");
  await recorded(handle, "timer_fired");
  await handle.signal("approved", "late");
  await handle.signal("go");
  expect(await handle.result()).toEqual([false, "late"]);
});

test("a signal that came before it is its", async () => {
  const { start } = await served();
  const handle = await start("startsLate");
  await handle.signal("approved", "early");
  await handle.signal("go");
  expect(await handle.result()).toBe("early");
});

test("of two, the one whose time has passed takes no signal", async () => {
  const { start } = await served();
  const handle = await start("asksTwice");
  await recorded(handle, "timer_fired");
  await handle.signal("approved", "second");
  expect(await handle.result()).toEqual([false, "second"]);
});

test("a worker that takes the run over gives the recorded answer", async () => {
  const { start, first, worker, query } = await served();
  const handle = await start("givesUp");
  await recorded(handle, "timer_fired");
  await eventually(
    "it waits on",
    async () => (await query("select from waits where signal_id = 'go'")).length === 1,
  );
  await first.shutdown();
  await worker({ taskQueue: QUEUE, workflow });
  await handle.signal("approved", "late");
  await handle.signal("go");
  expect(await handle.result()).toEqual([false, "late"]);
});

test("a timeout that can't be read is refused", async () => {
  const { start } = await served();
  const handle = await start("decides", "soon");
  await expect(handle.result()).rejects.toMatchObject({ name: "DurationError" });
});
