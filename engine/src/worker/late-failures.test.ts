/** Code of an activity that goes on after its attempt has ended, and then fails. */
import { expect, onTestFinished, test } from "vitest";
import { StoreClient } from "../client/store-client.ts";
import type { Invoke } from "../replay/run-machine.ts";
import { newId } from "../store/new-id.ts";
import { eventually } from "../testing/eventually.ts";
import { durable } from "../testing/hand-driven-run.ts";
import { makeScratchStore } from "../testing/scratch-store.ts";
import { activityRegistry } from "./activity-registry.ts";
import { EngineWorker } from "./worker.ts";

const QUEUE = "late-failures";

test("what fails after its attempt has ended is told, and disturbs no other run", async () => {
  const { place } = await makeScratchStore();
  const told: { readonly message: string; readonly facts: Readonly<Record<string, unknown>> }[] = [];
  const worker = await EngineWorker.start({
    ...place,
    heartbeat: "none",
    log: (_level, message, facts = {}) => told.push({ message, facts }),
  });
  const client = await StoreClient.open(place.source, place.schema);
  onTestFinished(async () => {
    await worker.shutdown({ graceMs: 0 });
    await client.close();
  });
  const over = Promise.withResolvers<void>();
  let isOver = false;
  const lingers = (): string => {
    const timer = setInterval(() => {
      if (!isOver) return;
      clearInterval(timer);
      throw new Error("thrown late");
    }, 1);
    void over.promise.then(() => Promise.reject(new Error("rejected late")));
    return "done";
  };
  const quick = (): string => "quick";
  activityRegistry.register({ lingers, quick }, QUEUE);
  const calling =
    (name: string): Invoke =>
    async () =>
      await durable.activity(name);
  await worker.serve(
    QUEUE,
    new Map([
      ["lingering", calling("lingers")],
      ["other", calling("quick")],
    ]),
  );
  const start = (workflowName: string): Promise<string> =>
    client.start({
      runId: newId(),
      workflowId: workflowName,
      workflowName,
      taskQueue: QUEUE,
      input: null,
      options: null,
      delayMs: 0,
      retentionSeconds: 600,
    });

  const runId = await start("lingering");
  expect(await client.outcome(runId)).toMatchObject({ status: "completed", result: '"done"' });
  isOver = true;
  over.resolve();
  const failures = await eventually("both failures in the log", () => {
    const late = told.filter(({ message }) => message.includes("after its attempt had ended"));
    return late.length === 2 && late;
  });
  expect(failures.map(({ facts }) => facts)).toEqual([
    expect.objectContaining({ activityName: "lingers", runId, attempt: 1 }),
    expect.objectContaining({ activityName: "lingers", runId, attempt: 1 }),
  ]);
  const texts = failures.map(({ facts }) => String(facts["error"]));
  expect(texts.filter((text) => text.includes("thrown late"))).toHaveLength(1);
  expect(texts.filter((text) => text.includes("rejected late"))).toHaveLength(1);
  expect(worker.status.state).toBe("running");
  expect(await client.outcome(await start("other"))).toMatchObject({ status: "completed" });
});
