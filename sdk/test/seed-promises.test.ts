/**
 * What the seed promises in prose, sentence by sentence.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { QUEUE, executions } from "./seed-promises-workflows.ts";
import * as workflows from "./seed-promises-workflows.ts";
import { eventually, recorded, setup } from "./setup.ts";

test("durable execution: a run whose worker has crashed goes on, with its memory and without repeating an activity", async () => {
  const { client, engine, bury } = await setup();
  const functions = { remembers: workflows.remembers };
  const first = await engine({ taskQueue: QUEUE, workflows: functions });
  const handle = await client.workflow.start({ taskQueue: QUEUE, workflowName: "remembers", args: ["why?"] });
  await recorded(handle, "entity_changed", "append");
  first.crash();
  await bury(first.status.workerId);
  const memory = { query: "why?", findings: [4], status: "researching" };
  expect(await handle.entity()).toEqual(memory);
  await engine({ taskQueue: QUEUE, workflows: functions });
  await handle.signal("go on");
  expect(await handle.result()).toEqual({ memory: { ...memory, status: "analyzing" }, valid: true });
  expect(executions.get("analyzeDocument")).toBe(1);
});

test("a durable JSONB entity for each workflow: the column is jsonb, and no run sees another's", async () => {
  const { client, worker, query } = await setup();
  await worker({ taskQueue: QUEUE, workflow: workflows.remembers });
  const [one, two] = await Promise.all(
    ["one", "two?"].map((name) =>
      client.workflow.start({ taskQueue: QUEUE, workflowName: "remembers", args: [name] }),
    ),
  );
  for (const handle of [one, two]) await handle?.signal("go on");
  expect(await one?.result()).toMatchObject({ memory: { query: "one", findings: [3] } });
  expect(await two?.result()).toMatchObject({ memory: { query: "two?", findings: [4] } });
  const types = await query("select pg_typeof(snapshot)::text as type from entities group by 1");
  expect(types).toEqual([{ type: "jsonb" }]);
});

test("parallel perspectives: each is under way while the other is", async () => {
  const { client, worker } = await setup();
  await worker({
    taskQueue: QUEUE,
    workflow: { perspectives: workflows.perspectives, meets: workflows.meets },
  });
  const handle = await client.workflow.start({ taskQueue: QUEUE, workflowName: "perspectives" });
  expect(await handle.result()).toEqual(["optimistic", "skeptical"]);
});

test("activities are automatically retried", async () => {
  const { client, worker } = await setup();
  await worker({ taskQueue: QUEUE, workflow: workflows.retries });
  const handle = await client.workflow.start({ taskQueue: QUEUE, workflowName: "retries" });
  expect(await handle.result()).toBe(2);
});

test("a child workflow follows its own config, the parent has one attempt", async () => {
  const { client, worker } = await setup();
  await worker({
    taskQueue: QUEUE,
    workflow: { composes: workflows.composes, stumbles: workflows.stumbles },
  });
  const handle = await client.workflow.start({
    taskQueue: QUEUE,
    workflowName: "composes",
    config: { maximumAttempts: 1 },
  });
  expect(await handle.result()).toBe(5);
});

test("a failed activity caught by the didInterrupt pattern returns the fallback", async () => {
  const { client, worker } = await setup();
  await worker({ taskQueue: QUEUE, workflow: workflows.fallsBack });
  const handle = await client.workflow.start({ taskQueue: QUEUE, workflowName: "fallsBack" });
  expect(await handle.result()).toBe("fallback: refused");
});

test("a handle from the client's getHandle exports the workflow, signals it and tells its state", async () => {
  const { client, worker } = await setup();
  await worker({ taskQueue: QUEUE, workflow: workflows.waits });
  const { workflowId } = await client.workflow.start({ taskQueue: QUEUE, workflowName: "waits" });
  const handle = await client.workflow.getHandle(QUEUE, "waits", workflowId);
  expect(handle).toBeInstanceOf(MemFlow.Handle);
  await recorded(handle, "entity_changed", "set");
  expect(await handle.state()).toMatchObject({ done: false, workflowId });
  expect(await handle.export({ allow: ["status"] })).toMatchObject({ status: 1 });
  await handle.signal("go on", "told");
  expect(await handle.result()).toBe("told");
  expect(await handle.state()).toMatchObject({ done: true, response: "told" });
});

test("shutdown in a signal handler closes all connections, workers and clients: the process ends, its run is free for others", async () => {
  const { client, worker, url, namespace, query } = await setup();
  const child = fork(new URL("shutdown-process.ts", import.meta.url), [url, namespace]);
  await once(child, "message");
  const handle = await client.workflow.getHandle(QUEUE, "waits", "left-open");
  await recorded(handle, "entity_changed", "set");
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  expect(await ended).toEqual([0, null]);
  await eventually(
    "its run has no owner",
    async () => (await query("select from runs where owner is null")).length === 1,
  );
  await worker({ taskQueue: QUEUE, workflow: workflows.waits });
  await handle.signal("go on", "elsewhere");
  expect(await handle.result()).toBe("elsewhere");
});
