/** Starts through HTTP: what is checked, what is honoured, and once each. */
import { describe, expect, test } from "vitest";
import { NAMESPACE, startTestGateway } from "../testing/test-gateway.ts";
import type { TestGateway } from "../testing/test-gateway.ts";
import { waitForResult } from "../client/index.ts";
import type { StartRequest } from "../client/index.ts";

const IN = { namespace: NAMESPACE };
const ORDER = {
  name: "order",
  workflowName: "placeOrder",
  taskQueue: "queue",
  inputSchema: {
    type: "object",
    required: ["item"],
    properties: {
      item: { type: "string", minLength: 1 },
      lines: { type: "array", items: { type: "integer" } },
    },
    additionalProperties: false,
  },
};

async function runCount({ store }: TestGateway): Promise<number> {
  const [row] = await store.sql<{ count: number }>("select count(*)::integer as count from :schema.runs");
  return row?.count ?? 0;
}

function start(gateway: TestGateway, body: StartRequest, key?: string) {
  return gateway.as("root").call("startRun", {
    path: IN,
    body,
    ...(key === undefined ? {} : { header: { "Idempotency-Key": key } }),
  });
}

describe("a start", () => {
  test("is recorded before it is answered, and its run has what was asked for", async () => {
    const gateway = await startTestGateway({ workflows: [ORDER] });
    const { status, body, headers } = await start(gateway, {
      workflow: "order",
      input: { item: "tea" },
      workflowId: "order-7",
      search: { color: "red", count: 2 },
      entity: "order",
      retention: "2h",
      startDelay: "1h",
      retry: { maximumAttempts: 4 },
    });
    expect(status).toBe(201);
    expect(body).toMatchObject({
      workflowId: "order-7",
      workflow: "placeOrder",
      taskQueue: "queue",
      store: "main",
    });
    expect(headers.get("location")).toBe(`/v1/namespaces/shop/runs/${body.runId}?store=main`);
    const row = await gateway.engine.row(body.runId);
    expect(row).toMatchObject({ status: "running", input: '[{"item":"tea"}]' });
    expect(JSON.parse(row.options ?? "")).toMatchObject({ expire: 7_200, retry: { maximumAttempts: 4 } });
    expect(await gateway.engine.searchData(body.runId)).toEqual({ color: "red", count: "2" });
    const [kept] = await gateway.store.sql<{ seconds: number; late: boolean }>(
      "select retention_seconds as seconds, ready_at > now() + interval '50 minutes' as late from :schema.runs",
    );
    expect(kept).toEqual({ seconds: 7_200, late: true });
  });

  test("takes from its Workflow what it does not say itself: arguments, retries, queue", async () => {
    const retry = {
      maximumAttempts: 3,
      backoffCoefficient: 2,
      initialIntervalMs: 10,
      maximumIntervalMs: 100,
    };
    const gateway = await startTestGateway({
      workflows: [{ name: "greet", taskQueue: "queue", defaultArgs: ["you", 2], retry }],
    });
    const { body } = await start(gateway, { workflow: "greet" });
    const { input, options } = await gateway.engine.row(body.runId);
    expect(JSON.parse(input ?? "")).toEqual(["you", 2]);
    expect(JSON.parse(options ?? "")).toMatchObject({ retry: { maximumAttempts: 3, initialIntervalMs: 10 } });
  });

  test("names every fault of its input by its path, and starts nothing", async () => {
    const gateway = await startTestGateway({ workflows: [ORDER] });
    const refused = start(gateway, { workflow: "order", input: { item: "", lines: [1, "two"], more: 1 } });
    await expect(refused).rejects.toMatchObject({
      code: "Invalid",
      status: 400,
      problem: {
        errors: expect.arrayContaining([
          { path: "body.input.item", message: expect.any(String) },
          { path: "body.input.lines[1]", message: expect.stringContaining('got "two"') },
          { path: "body.input.more", message: "unknown field" },
        ]),
      },
    });
    await expect(start(gateway, { workflow: "order", args: [{}] })).rejects.toMatchObject({
      problem: { errors: [{ path: "body.args[0].item", message: "is missing" }] },
    });
    await expect(start(gateway, { workflow: "order" })).rejects.toMatchObject({ code: "Invalid" });
    expect(await runCount(gateway)).toBe(0);
  });

  test("is refused while its Workflow is suspended", async () => {
    const gateway = await startTestGateway({ workflows: [{ ...ORDER, suspended: true }] });
    await expect(start(gateway, { workflow: "order", input: { item: "tea" } })).rejects.toMatchObject({
      code: "WorkflowSuspended",
    });
    await expect(start(gateway, { workflow: "order", input: { item: "tea" } }, "k")).rejects.toMatchObject({
      code: "WorkflowSuspended",
    });
    expect(await runCount(gateway)).toBe(0);
  });

  test("names the open run that has its workflow id", async () => {
    const gateway = await startTestGateway({ workflows: [{ name: "greet", taskQueue: "queue" }] });
    const { body } = await start(gateway, { workflow: "greet", workflowId: "one" });
    await expect(start(gateway, { workflow: "greet", workflowId: "one" })).rejects.toMatchObject({
      code: "WorkflowAlreadyOpen",
      status: 409,
      problem: { runId: body.runId },
    });
  });

  test("needs a queue where no Workflow says one", async () => {
    const gateway = await startTestGateway();
    await expect(start(gateway, { workflow: "free" })).rejects.toMatchObject({
      problem: { errors: [{ path: "body.taskQueue", message: expect.stringContaining("free") }] },
    });
    expect((await start(gateway, { workflow: "free", taskQueue: "queue" })).status).toBe(201);
  });

  test("joins the caller's trace", async () => {
    const gateway = await startTestGateway();
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const response = await gateway.raw(`/v1/namespaces/${NAMESPACE}/runs`, {
      method: "POST",
      headers: { "content-type": "application/json", traceparent },
      body: JSON.stringify({ workflow: "w", taskQueue: "q" }),
    });
    expect(response.headers.get("traceparent")).toBe(traceparent);
    const { runId } = (await response.json()) as { readonly runId: string };
    expect(JSON.parse((await gateway.engine.row(runId)).options ?? "")).toMatchObject({
      workflowTrace: "0af7651916cd43dd8448eb211c80319c",
      workflowSpan: "b7ad6b7169203331",
    });
  });
});

describe("an idempotency key", () => {
  const BODY = { workflow: "greet", taskQueue: "queue", input: { b: 1, a: [2] } };

  test("makes one run of 1,000 equal starts at once, and 1,000 equal answers", async () => {
    const gateway = await startTestGateway();
    const client = gateway.as("root");
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, () =>
        client.call("startRun", { path: IN, body: BODY, header: { "Idempotency-Key": "once" } }),
      ),
    );
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    expect(new Set(answers.map(({ headers }) => headers.get("idempotency-key-expires"))).size).toBe(1);
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(await runCount(gateway)).toBe(1);
  });

  test("gives the same run after it has ended, and after the gateway has restarted", async () => {
    const gateway = await startTestGateway();
    await gateway.work({ greet: async () => "hello" });
    const first = await start(gateway, BODY, "k");
    expect(first.status).toBe(201);
    const place = { namespace: NAMESPACE, runId: first.body.runId };
    expect(await waitForResult(gateway.as("root"), place)).toMatchObject({ result: "hello" });
    const second = await start(gateway, BODY, "k");
    await gateway.restart();
    // The same members in another order are the same request.
    const third = await start(
      gateway,
      { taskQueue: "queue", input: { a: [2], b: 1 }, workflow: "greet" },
      "k",
    );
    for (const again of [second, third]) {
      expect(again.status).toBe(200);
      expect(again.body).toEqual(first.body);
      expect(again.headers.get("idempotency-key-expires")).toBe(first.headers.get("idempotency-key-expires"));
    }
    const executed = await gateway.as("root").call("executeRun", {
      path: IN,
      query: { wait: "10s" },
      body: BODY,
      header: { "Idempotency-Key": "k" },
    });
    expect(executed).toMatchObject({ status: 200, body: { runId: first.body.runId, result: "hello" } });
  });

  test("is kept for seven days, and refused for another request", async () => {
    const gateway = await startTestGateway();
    const before = Date.now();
    const { headers } = await start(gateway, BODY, "k");
    const keptMs = Date.parse(headers.get("idempotency-key-expires") ?? "") - before;
    expect(keptMs).toBeGreaterThanOrEqual(7 * 86_400_000 - 1);
    await expect(start(gateway, { ...BODY, input: 2 }, "k")).rejects.toMatchObject({
      code: "IdempotencyKeyReused",
      status: 422,
    });
    expect(await runCount(gateway)).toBe(1);
  });

  test("must be printable and not too long", async () => {
    const gateway = await startTestGateway();
    await expect(start(gateway, BODY, "k".repeat(256))).rejects.toMatchObject({
      problem: { errors: [{ path: "header.Idempotency-Key", message: expect.any(String) }] },
    });
  });
});

describe("execute", () => {
  test("answers with the result, or with the run that still goes on", async () => {
    const gateway = await startTestGateway();
    const execute = (workflow: string, wait: string) =>
      gateway.as("root").call("executeRun", {
        path: IN,
        query: { wait },
        body: { workflow, taskQueue: "queue", input: "x", retry: { maximumAttempts: 1 } },
      });
    const slow = await execute("greet", "1ms");
    expect(slow.status).toBe(202);
    expect(slow.headers.get("location")).toContain(slow.body.runId);
    await gateway.work({
      greet: async (name: string) => `hello ${name}`,
      fail: async () => {
        throw new Error("no tea");
      },
    });
    expect(await execute("greet", "50s")).toMatchObject({
      status: 200,
      body: { status: "completed", result: "hello x" },
    });
    expect(await execute("fail", "50s")).toMatchObject({
      status: 200,
      body: { status: "failed", failure: { name: "Error", message: "no tea" } },
    });
  });
});
