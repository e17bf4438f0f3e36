/**
 * Every example of the seed, run against a database that holds nothing of ours.
 */
import { fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { MemFlow } from "@memflow/sdk";
import { expect, onTestFinished, test } from "vitest";
import * as workflows from "./seed-workflows.ts";
import { setup } from "./setup.ts";

test("the entity holds what set, merge and append made of it", async () => {
  const { client, worker } = await setup();
  await worker({ taskQueue: "default", workflow: workflows.remember });
  const handle = await client.workflow.start({
    args: ["why?"],
    taskQueue: "default",
    workflowName: "remember",
  });
  const memory = { query: "why?", findings: [{ by: "remember", text: "why?" }], status: "analyzing" };
  expect(await handle.result()).toEqual(memory);
  expect(await handle.entity()).toEqual(memory);
});

test("two execHooks, then a wait for the same two signals: the agent finishes", async () => {
  const { client, worker } = await setup();
  await worker({ taskQueue: "research", workflow: workflows });
  const handle = await client.workflow.start({
    args: ["is it so?"],
    taskQueue: "research",
    workflowName: "researchAgent",
  });
  expect(await handle.result()).toEqual({
    memory: {
      query: "is it so?",
      findings: [
        { by: "optimistic", text: "is it so?" },
        { by: "skeptical", text: "is it so?" },
      ],
      status: "analyzing",
    },
    views: [
      { by: "optimistic", query: "is it so?" },
      { by: "skeptical", query: "is it so?" },
    ],
  });
});

test("proxied activities answer in turn", async () => {
  const { client, worker } = await setup();
  await worker({ taskQueue: "default", workflow: workflows.analyze });
  const handle = await client.workflow.start({
    args: ["three short words"],
    taskQueue: "default",
    workflowName: "analyze",
  });
  expect(await handle.result()).toBe(true);
});

test("a child is awaited, another is only started and outlives its parent", async () => {
  const { client, worker } = await setup();
  await worker({ taskQueue: "default", workflow: workflows.compose });
  await worker({ taskQueue: "analysis", workflow: workflows.detailedAnalysis });
  await worker({ taskQueue: "notifications", workflow: workflows.sendUpdates });
  const handle = await client.workflow.start({
    args: ["some data here", ["a", "b"]],
    taskQueue: "default",
    workflowName: "compose",
  });
  const { childResult, notified } = await handle.result<{ childResult: unknown; notified: string }>();
  expect(childResult).toEqual({ words: 3 });
  const child = await client.workflow.getHandle("notifications", "sendUpdates", notified);
  expect(await child.status()).toBe(1);
  await child.signal("go");
  expect(await child.result()).toBe(2);
});

test("the audit interceptor writes its lines around the workflow", async () => {
  const { client, worker } = await setup();
  // Add audit interceptor that uses MemFlow functions
  MemFlow.registerInterceptor({
    async execute(_ctx, next) {
      try {
        // Interceptors can use MemFlow functions and participate in replay
        const entity = await MemFlow.workflow.entity();
        await entity.append("auditLog", {
          action: "started",
          timestamp: new Date().toISOString(),
        });

        // Rate limiting with durable sleep
        await MemFlow.workflow.sleepFor("100 milliseconds");

        const result = await next();

        await entity.append("auditLog", {
          action: "completed",
          timestamp: new Date().toISOString(),
        });

        return result;
      } catch (err) {
        // CRITICAL: Always check for HotMesh interruptions
        if (MemFlow.didInterrupt(err)) {
          throw err; // Rethrow for replay system
        }
        throw err;
      }
    },
  });
  onTestFinished(() => MemFlow.clearInterceptors());
  await worker({ taskQueue: "default", workflow: workflows.analyze });
  const handle = await client.workflow.start({
    args: ["a b"],
    taskQueue: "default",
    workflowName: "analyze",
  });
  expect(await handle.result()).toBe(true);
  const { auditLog } = await handle.entity<{ auditLog: { action: string; timestamp: string }[] }>();
  expect(auditLog.map(({ action }) => action)).toEqual(["started", "completed"]);
  const [startedMs, completedMs] = auditLog.map(({ timestamp }) => Date.parse(timestamp));
  expect((completedMs ?? 0) - (startedMs ?? 0)).toBeGreaterThanOrEqual(100);
});

test("the worker and the client of the two-file example meet in an empty database, and their process ends", async () => {
  const { url, query } = await setup();
  const database = `seed_${randomBytes(8).toString("hex")}`;
  await query(`create database ${database}`);
  onTestFinished(async () => void (await query(`drop database ${database} with (force)`)));
  const address = Object.assign(new URL(url), { pathname: `/${database}` }).href;
  const child = fork(new URL("two-file-example.ts", import.meta.url), [address], { stdio: "pipe" });
  const output: Buffer[] = [];
  child.stdout?.on("data", (bytes: Buffer) => output.push(bytes));
  const [code] = (await once(child, "exit")) as [number | null];
  expect({ code, output: Buffer.concat(output).toString() }).toEqual({
    code: 0,
    output: "example of input data\n",
  });
});

test("a client that starts before any worker exists gets its result once one does", async () => {
  const { client, worker } = await setup();
  const handle = await client.workflow.start({ args: ["x"], taskQueue: "default", workflowName: "example" });
  const result = handle.result();
  await worker({ taskQueue: "default", workflow: workflows.example });
  expect(await result).toBe("example of x");
});
