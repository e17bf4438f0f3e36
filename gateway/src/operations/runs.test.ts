/** Reads, signals and ends of runs, queues, Workflows and schedules, through HTTP. */
import { MemFlow } from "@memflow/sdk";
import { expect, test } from "vitest";
import { waitForResult } from "../client/index.ts";
import { NAMESPACE, startTestGateway } from "../testing/test-gateway.ts";
import type { TestGateway } from "../testing/test-gateway.ts";

const IN = { namespace: NAMESPACE };

/** A run that keeps what it is told and ends with it. */
const workflows = {
  chat: async (name: string) => {
    const entity = await MemFlow.workflow.entity();
    await entity.set({ name });
    const search = await MemFlow.workflow.search();
    await search.set("color", "red");
    const word = await MemFlow.workflow.waitFor<string>("word");
    await entity.merge({ word });
    return word;
  },
};

async function startChat(gateway: TestGateway, workflowId = "chat-1"): Promise<string> {
  const { body } = await gateway.as("root").call("startRun", {
    path: IN,
    body: { workflow: "chat", taskQueue: "queue", workflowId, input: "ann" },
  });
  return body.runId;
}

test("a signal reaches its run once for its key, and all that the run has become can be read", async () => {
  const gateway = await startTestGateway();
  await gateway.work(workflows);
  const runId = await startChat(gateway);
  const client = gateway.as("root");
  const path = { ...IN, runId };
  const send = (word: string) =>
    client.call("signalRun", {
      path: { ...path, signal: "word" },
      body: { data: word },
      header: { "Idempotency-Key": "s" },
    });
  expect((await send("hi")).status).toBe(201);
  expect((await send("hi")).status).toBe(200);
  await expect(send("ho")).rejects.toMatchObject({ code: "IdempotencyKeyReused" });
  expect(await waitForResult(client, path)).toEqual({ runId, status: "completed", result: "hi" });

  const described = await client.call("getRun", { path });
  expect(described.body).toMatchObject({
    workflowId: "chat-1",
    workflow: "chat",
    status: "completed",
    hook: false,
  });
  const byId = await client.call("getRunByWorkflowId", {
    path: { ...IN, workflow: "chat", workflowId: "chat-1" },
  });
  expect(byId.body).toEqual(described.body);
  expect((await client.call("getState", { path })).body).toMatchObject({ done: true, response: "hi" });
  expect((await client.call("getSearchData", { path })).body).toEqual({ search: { color: "red" } });
  const exported = await client.call("exportRun", { path, query: { parts: "status,entity" } });
  expect(exported.body).toEqual({
    format: "memflow-export/1",
    status: 0,
    entity: { name: "ann", word: "hi" },
  });
  const { body: history } = await client.call("getHistory", { path });
  expect(history.events.map(({ eventNo }) => eventNo)).toEqual(history.events.map((_, index) => index + 1));
  expect(history.events.filter(({ kind }) => kind === "signal_received")).toHaveLength(1);
  await expect(
    client.call("signalRun", { path: { ...path, signal: "word" }, body: { data: 1 } }),
  ).rejects.toMatchObject({ code: "RunClosed", problem: { runId, runStatus: "completed" } });
});

test("an entity that has not changed is not sent again", async () => {
  const gateway = await startTestGateway();
  await gateway.work(workflows);
  const runId = await startChat(gateway);
  const path = { ...IN, runId };
  const client = gateway.as("root");
  await client.call("signalRun", { path: { ...path, signal: "word" }, body: { data: "hi" } });
  await waitForResult(client, path);
  const first = await client.call("getEntity", { path });
  expect(first).toMatchObject({ status: 200, body: { name: "ann", word: "hi" } });
  const etag = first.headers.get("etag") ?? "";
  expect(
    await client.call("getEntity", { path, header: { "If-None-Match": `"other", ${etag}` } }),
  ).toMatchObject({
    status: 304,
    body: undefined,
  });
  expect((await client.call("getEntity", { path, header: { "If-None-Match": '"other"' } })).status).toBe(200);
});

test("a run is ended once, as it is asked, and the failure shows why and no stack of ours", async () => {
  const gateway = await startTestGateway();
  const client = gateway.as("root");
  const ended = async (id: "cancelRun" | "interruptRun" | "terminateRun", body: object) => {
    const runId = await gateway.store.insertRun();
    const path = { ...IN, runId };
    const { status, body: stopped } = await client.call(id, { path, body });
    expect(status).toBe(200);
    await expect(client.call(id, { path, body })).rejects.toMatchObject({ code: "RunClosed" });
    const result = (await client.call("getResult", { path })).body;
    return { stopped, result };
  };
  expect(await ended("cancelRun", { reason: "no need" })).toMatchObject({
    stopped: { status: "canceled" },
    result: { status: "canceled", failure: { name: "InterruptedError", message: "no need", code: 410 } },
  });
  expect(await ended("interruptRun", { code: 499 })).toMatchObject({ result: { failure: { code: 499 } } });
  const quiet = await ended("interruptRun", { throw: false });
  expect(quiet.result).not.toHaveProperty("failure");
  const { result } = await ended("terminateRun", { reason: "now" });
  expect(result).toMatchObject({
    status: "terminated",
    failure: { name: "TerminatedError", message: "now" },
  });
  expect(JSON.stringify(result)).not.toContain(".ts:");
});

test("lists go on by their page tokens, which fit no other list", async () => {
  const gateway = await startTestGateway();
  const client = gateway.as("root");
  const made: string[] = [];
  for (let index = 0; index < 5; index += 1) made.push(await gateway.store.insertRun({ workflow_name: "w" }));
  const list = (query: object) =>
    client.call("listRuns", { path: IN, query: { pageSize: 2, workflow: "w", ...query } });
  const first = (await list({})).body;
  const second = (await list({ pageToken: first.nextPageToken })).body;
  const third = (await list({ pageToken: second.nextPageToken })).body;
  expect(third.nextPageToken).toBeUndefined();
  const shown = [first, second, third].flatMap(({ runs }) => runs.map(({ runId }) => runId));
  expect(shown).toEqual(made.toReversed());
  for (const other of [{ status: "running" }, { orderBy: "startedAt" }, { workflow: "v" }])
    await expect(list({ ...other, pageToken: first.nextPageToken })).rejects.toMatchObject({
      code: "BadPageToken",
    });
  for (const pageToken of ["x", Buffer.from('["a"]').toString("base64url")])
    await expect(list({ pageToken })).rejects.toMatchObject({ code: "BadPageToken" });
  expect((await client.call("countRuns", { path: IN, query: { workflow: "w" } })).body).toEqual({ count: 5 });
  await expect(client.call("listRuns", { path: IN, query: { pageSize: 1_001 } })).rejects.toMatchObject({
    problem: { errors: [{ path: "query.pageSize", message: expect.stringContaining("1000") }] },
  });
});

test("queues and Workflows show what manifests say beside what the database has", async () => {
  const gateway = await startTestGateway({
    workflows: [
      { name: "order", workflowName: "placeOrder", taskQueue: "orders", inputSchema: { type: "string" } },
    ],
    queues: [{ name: "orders-queue", taskQueue: "orders", scaling: { currentReplicas: 2 } }],
  });
  await gateway.store.insertRun({ task_queue: "orders", ready_at: new Date(0) });
  await gateway.store.insertRun({ task_queue: "elsewhere", ready_at: new Date(0) });
  const client = gateway.as("root");
  const { queues } = (await client.call("listQueues", { path: IN })).body;
  expect(queues).toMatchObject([
    { taskQueue: "elsewhere", ready: 1 },
    { name: "orders-queue", taskQueue: "orders", ready: 1, workers: 0, scaling: { currentReplicas: 2 } },
  ]);
  for (const queue of ["orders", "orders-queue"])
    expect((await client.call("getQueue", { path: { ...IN, queue } })).body).toEqual(queues[1]);
  await expect(client.call("getQueue", { path: { ...IN, queue: "none" } })).rejects.toMatchObject({
    code: "QueueNotFound",
  });
  const { workflows: listed } = (await client.call("listWorkflows", { path: IN })).body;
  expect(listed).toEqual([
    {
      name: "order",
      workflow: "placeOrder",
      taskQueue: "orders",
      suspended: false,
      inputSchema: { type: "string" },
    },
  ]);
  await expect(client.call("getWorkflow", { path: { ...IN, workflow: "none" } })).rejects.toMatchObject({
    code: "WorkflowNotFound",
  });
});

test("a namespace with several Stores asks for one by name", async () => {
  const gateway = await startTestGateway({ stores: ["main", "spare"] });
  const client = gateway.as("root");
  await expect(client.call("listRuns", { path: IN })).rejects.toMatchObject({
    code: "StoreAmbiguous",
    status: 409,
    problem: { stores: ["main", "spare"] },
  });
  expect((await client.call("listRuns", { path: IN, query: { store: "spare" } })).body.runs).toEqual([]);
  await expect(client.call("listRuns", { path: IN, query: { store: "none" } })).rejects.toMatchObject({
    code: "StoreNotFound",
  });
});

test("a schedule does what it is asked, and its worker hears of it", async () => {
  const gateway = await startTestGateway();
  const when = {
    cron: [],
    everyMs: 3_600_000,
    offsetMs: 0,
    timeZone: "UTC",
    jitterMs: 0,
    startAtMs: null,
    endAtMs: null,
  };
  const run = {
    workflowIdPrefix: "r",
    workflowName: "tick",
    taskQueue: "queue",
    input: null,
    options: null,
    retentionSeconds: null,
  };
  await gateway.store.insert("schedules", {
    schedule_id: "hourly",
    definition: JSON.stringify({
      when,
      run,
      overlap: "AllowAll",
      catchupWindowMs: 60_000,
      pauseOnFailure: false,
      paused: false,
      limitRuns: null,
      backfills: [],
      trigger: null,
    }),
    state: JSON.stringify({
      doneUntilMs: Date.now(),
      lastFireMs: null,
      fired: 0,
      missed: 0,
      skipped: 0,
      pausedOnFailure: false,
      lastTrigger: null,
      buffer: [],
      backfills: [],
    }),
  });
  await gateway.work({ tick: async () => "tock" });
  const client = gateway.as("root");
  const path = { ...IN, schedule: "hourly" };
  expect((await client.call("pauseSchedule", { path })).body).toMatchObject({
    paused: true,
    pausedBy: "request",
    nextFireTimes: [],
  });
  await client.call("triggerSchedule", { path, body: { trigger: "now" } });
  await client.call("triggerSchedule", { path, body: { trigger: "now" } });
  await client.call("backfillSchedule", {
    path,
    body: { name: "b", startAt: "2026-01-01T00:00:00Z", endAt: "2026-01-01T01:00:00Z" },
  });
  await expect
    .poll(
      async () => (await client.call("countRuns", { path: IN, query: { status: "completed" } })).body.count,
      {
        timeout: 50_000,
      },
    )
    .toBe(3);
  const resumed = (await client.call("resumeSchedule", { path })).body;
  expect(resumed).toMatchObject({
    paused: false,
    backfills: [{ name: "b", phase: "Completed", started: 2 }],
  });
  expect(resumed.nextFireTimes).toHaveLength(5);
  await expect(
    client.call("backfillSchedule", {
      path,
      body: { name: "b", startAt: "2026-02-01T00:00:00Z", endAt: "2026-02-01T01:00:00Z" },
    }),
  ).rejects.toMatchObject({ code: "ScheduleChanged", status: 409 });
  await expect(client.call("getSchedule", { path: { ...IN, schedule: "none" } })).rejects.toMatchObject({
    code: "ScheduleNotFound",
  });
});
