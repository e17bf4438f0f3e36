/**
 * Runs that begin later, and histories that are longer than one page.
 */
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { setup } from "./setup.ts";

const QUEUE = "later";
const DELAY_MS = 400;
const STEPS = 5_100;

test.each(["a client", "a workflow"])(
  "a run that %s starts with a delay does not begin before it is over",
  async (starter) => {
    const store = await setup();
    const options = {
      taskQueue: QUEUE,
      workflowName: "delayed",
      workflowId: "delayed",
      startDelay: DELAY_MS,
    };
    const workflow = {
      delayed: async (): Promise<string> => await Promise.resolve("done"),
      parent: async (): Promise<unknown> => await MemFlow.workflow.execChild(options),
    };
    await store.worker({ taskQueue: QUEUE, workflow });
    const start = starter === "a client" ? options : { taskQueue: QUEUE, workflowName: "parent" };
    expect(await store.client.workflow.execute(start)).toBe("done");
    const [row] = await store.query<{ waited: number }>(
      "select extract(epoch from closed_at - started_at)::double precision * 1000 as waited from runs where workflow_id = 'delayed'",
    );
    expect(row?.waited).toBeGreaterThanOrEqual(DELAY_MS);
  },
);

test("a history of several pages comes whole and in order", async () => {
  const store = await setup();
  const { step } = MemFlow.workflow.proxyActivities({ activities: { step: (index: number) => index } });
  const long = async (): Promise<void> => {
    for (let index = 0; index < STEPS; index += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, offset) => step(index + offset)));
    }
  };
  await store.worker({ taskQueue: QUEUE, workflow: { long }, options: { maxConcurrentActivities: 200 } });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "long" });
  await handle.result();
  const history = await handle.history();
  expect(history.map(({ eventNo }) => eventNo)).toEqual(
    Array.from({ length: STEPS }, (_, index) => index + 1),
  );
});
