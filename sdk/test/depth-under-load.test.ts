/**
 * I11: the depth that scaling reads is what workers could claim, while they work, when some of them have been killed, and
 * when nobody is left.
 */
import { checkDepth, testSource } from "@memflow/engine/testing";
import type { WorkflowHandle } from "@memflow/sdk";
import { expect, test } from "vitest";
import { FAR_QUEUE, QUEUE } from "./load-workflows.ts";
import { eventually, setup } from "./setup.ts";
import type { TestStore, WorkerProcess } from "./setup.ts";

const MODULE = new URL("load-workflows.ts", import.meta.url).href;
const ROUNDS = 3;
const RUNS_PER_ROUND = 60;
const TURNS = 12;

const workerOf = (store: TestStore, taskQueue: string): Promise<WorkerProcess> =>
  store.workerProcess({ module: MODULE, taskQueue, options: { deadAfterMs: 2_000 } });

async function startRuns(store: TestStore): Promise<WorkflowHandle[]> {
  return await Promise.all(
    Array.from({ length: RUNS_PER_ROUND }, async (_, index) => {
      const args = [index, TURNS];
      const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "working", args });
      if (index % 3 === 0) await handle.signal("go");
      return handle;
    }),
  );
}

test("the depth equals what workers could claim, under load, after kills, and at rest", async () => {
  const store = await setup();
  const findings: string[] = [];
  const check = async (when: string): Promise<number> => {
    const checked = await checkDepth({ source: testSource(), schema: store.namespace });
    findings.push(...checked.findings.map((finding) => `${when}: ${finding}`));
    return checked.claimable;
  };
  const kill = async (victims: readonly WorkerProcess[]): Promise<void> => {
    for (const victim of victims) victim.kill("SIGKILL");
    await Promise.all(victims.map((victim) => victim.ended()));
  };
  const knownDead = async (victims: readonly WorkerProcess[]): Promise<void> => {
    const pids = victims.map(({ child }) => child.pid);
    await eventually("the deaths", async () => {
      const text =
        "select from workers where dead_at is null and (serves ->> 'processId')::integer = any ($1)";
      return (await store.query(text, [pids])).length === 0;
    });
  };

  // Serves nobody and finds the dead.
  await store.engine({ taskQueue: "onlooker", workflows: {} });
  const workers = await Promise.all([QUEUE, QUEUE, FAR_QUEUE].map((queue) => workerOf(store, queue)));
  const queues = [QUEUE, QUEUE, FAR_QUEUE];
  const handles: WorkflowHandle[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    handles.push(...(await startRuns(store)));
    await check(`round ${round} under load`);
    const place = round % workers.length;
    const victims = workers.slice(place, place + 1);
    await kill(victims);
    await check(`round ${round} after a kill`);
    await knownDead(victims);
    await check(`round ${round} when the death is known`);
    workers[place] = await workerOf(store, queues[place] ?? QUEUE);
  }

  handles.push(...(await startRuns(store)));
  await kill(workers);
  await knownDead(workers);
  handles.push(...(await startRuns(store)));
  expect(await check("with nobody left")).toBeGreaterThanOrEqual(RUNS_PER_ROUND);

  await Promise.all(queues.map((queue) => workerOf(store, queue)));
  const results = await Promise.all(handles.map((handle) => handle.result()));
  expect(results).toEqual(handles.map(() => TURNS));
  expect(await check("at the end")).toBe(0);
  expect(findings).toEqual([]);
}, 180_000);
