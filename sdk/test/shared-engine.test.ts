/**
 * The engine that the workers of a process share.
 */
import { expect, test } from "vitest";
import { setup } from "./setup.ts";

const simple = async (): Promise<string> => await Promise.resolve("done");

test("after an engine had to stop, the next worker gets a new one", async () => {
  const store = await setup();
  const stopped = Promise.withResolvers<unknown>();
  const config = {
    taskQueue: "shared",
    workflow: { simple },
    options: { onFatal: stopped.resolve, log: () => undefined },
  };
  const first = await store.worker(config);
  await store.query("alter function flush_runs rename to flush_runs_away");
  const handle = await store.client.workflow.start({ taskQueue: "shared", workflowName: "simple", args: [] });
  await stopped.promise;
  expect(first.status().state).toBe("stopped");
  await store.query("alter function flush_runs_away rename to flush_runs");
  await store.query("update workers set dead_at = clock_timestamp()");
  await store.worker(config);
  expect(await handle.result()).toBe("done");
});
