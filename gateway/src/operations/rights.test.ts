/** Who may do what to which object: every operation, and every form in which a request could name another object. */
import { newId } from "@memflow/engine";
import type { ScheduleDefinition } from "@memflow/engine";
import { describe, expect, test } from "vitest";
import { OPERATIONS } from "../api/index.ts";
import type { Operation, OperationId } from "../api/index.ts";
import type { GatewayProblem } from "../client/index.ts";
import { NAMESPACE, startTestGateway } from "../testing/test-gateway.ts";
import type { Right, TestGateway } from "../testing/test-gateway.ts";

const IN = { namespace: NAMESPACE };

const DEFINITION: ScheduleDefinition = {
  when: {
    cron: [],
    everyMs: 3_600_000,
    offsetMs: 0,
    timeZone: "UTC",
    jitterMs: 0,
    startAtMs: null,
    endAtMs: null,
  },
  run: {
    workflowIdPrefix: "r",
    workflowName: "w",
    taskQueue: "q",
    input: null,
    options: null,
    retentionSeconds: null,
  },
  overlap: "Skip",
  catchupWindowMs: 60_000,
  pauseOnFailure: false,
  paused: false,
  limitRuns: null,
  backfills: [],
  trigger: null,
};

const STATE = {
  doneUntilMs: Date.now(),
  lastFireMs: null,
  fired: 0,
  missed: 0,
  skipped: 0,
  pausedOnFailure: false,
  lastTrigger: null,
  buffer: [],
  backfills: [],
};

/** A gateway with two Workflows of two queues, a schedule, and users with one right each. */
async function setup(rights: Readonly<Record<string, readonly Right[]>>): Promise<TestGateway> {
  const gateway = await startTestGateway({
    workflows: [
      { name: "order", workflowName: "placeOrder", taskQueue: "orders" },
      { name: "bill", workflowName: "sendBill", taskQueue: "bills" },
    ],
    queues: [
      { name: "orders-queue", taskQueue: "orders" },
      { name: "bills-queue", taskQueue: "bills" },
    ],
    rights,
  });
  await gateway.store.insert("schedules", {
    schedule_id: "nightly",
    definition: JSON.stringify(DEFINITION),
    state: JSON.stringify(STATE),
  });
  return gateway;
}

/** The request of an operation, about the Workflow `order`, its queue, or the schedule `nightly`. */
async function requestFor(gateway: TestGateway, id: OperationId): Promise<object> {
  const workflowId = newId();
  const run = async (): Promise<string> =>
    await gateway.store.insertRun({
      workflow_name: "placeOrder",
      task_queue: "orders",
      workflow_id: workflowId,
    });
  const ofRun = async () => ({ path: { ...IN, runId: await run() } });
  const schedule = { path: { ...IN, schedule: "nightly" } };
  const requests: Readonly<Record<OperationId, () => Promise<object>>> = {
    startRun: async () => ({ path: IN, body: { workflow: "order" } }),
    executeRun: async () => ({ path: IN, body: { workflow: "order" } }),
    listRuns: async () => ({ path: IN, query: { workflow: "order" } }),
    countRuns: async () => ({ path: IN, query: { workflow: "order" } }),
    getRun: ofRun,
    getFamily: ofRun,
    getRunByWorkflowId: async () => {
      await run();
      return { path: { ...IN, workflow: "order", workflowId } };
    },
    getResult: ofRun,
    signalRun: async () => ({ path: { ...IN, runId: await run(), signal: "go" } }),
    getState: ofRun,
    getEntity: ofRun,
    getSearchData: ofRun,
    cancelRun: ofRun,
    interruptRun: ofRun,
    terminateRun: ofRun,
    getHistory: ofRun,
    exportRun: ofRun,
    listQueues: async () => ({ path: IN }),
    getQueue: async () => ({ path: { ...IN, queue: "orders-queue" } }),
    listWorkflows: async () => ({ path: IN }),
    getWorkflow: async () => ({ path: { ...IN, workflow: "order" } }),
    listSchedules: async () => ({ path: IN }),
    getSchedule: async () => schedule,
    triggerSchedule: async () => schedule,
    pauseSchedule: async () => schedule,
    resumeSchedule: async () => schedule,
    backfillSchedule: async () => ({
      ...schedule,
      body: { name: "b", startAt: "2026-01-01T00:00:00Z", endAt: "2026-01-02T00:00:00Z" },
    }),
    whoami: async () => ({}),
  };
  return await requests[id]();
}

const OBJECT = {
  "workflows/runs": "order",
  workflows: "order",
  taskqueues: "orders-queue",
  schedules: "nightly",
} as const;
const OTHER = {
  "workflows/runs": "bill",
  workflows: "bill",
  taskqueues: "bills-queue",
  schedules: "hourly",
} as const;

const ROWS = Object.values<Operation>(OPERATIONS).flatMap(({ operationId, access }) =>
  access === undefined || access.resource === "taskqueues/runs"
    ? []
    : [
        {
          id: operationId as OperationId,
          verb: access.verb,
          resource: access.resource,
          object: access.object,
        },
      ],
);
/** What is needed besides. */
const BESIDES: Readonly<Partial<Record<OperationId, readonly Right[]>>> = {
  executeRun: ["get workflows/runs order"],
};

/** Users: `one_<id>` has the right on the object, `all_<id>` on all, `other_<id>` on another, `rest_<id>` every other right on all. */
function usersOf(): Record<string, readonly Right[]> {
  const users: Record<string, readonly Right[]> = {};
  for (const { id, verb, resource } of ROWS) {
    const besides = BESIDES[id] ?? [];
    users[`one_${id}`] = [`${verb} ${resource} ${OBJECT[resource]}`, ...besides];
    users[`all_${id}`] = [`${verb} ${resource}`, ...besides];
    users[`other_${id}`] = [`${verb} ${resource} ${OTHER[resource]}`, ...besides];
    users[`rest_${id}`] = ROWS.filter((row) => row.verb !== verb || row.resource !== resource).map(
      (row): Right => `${row.verb} ${row.resource}`,
    );
  }
  return users;
}

async function callAs(gateway: TestGateway, user: string, id: OperationId) {
  const request = await requestFor(gateway, id);
  const before = await changesOf(gateway);
  const outcome = await gateway
    .as(user)
    // Each id has its own form; requestFor gives it.
    .call(id, request as never)
    .catch((error: unknown) => error as GatewayProblem);
  return { outcome, changed: JSON.stringify(await changesOf(gateway)) !== JSON.stringify(before) };
}

describe("each operation", () => {
  test("is done for who has its right, on the object or on all", async () => {
    const gateway = await setup(usersOf());
    for (const { id } of ROWS) {
      for (const user of [`one_${id}`, `all_${id}`]) {
        const { outcome } = await callAs(gateway, user, id);
        expect(outcome, `${user} calls ${id}`).toHaveProperty("status");
        expect(outcome.status, `${user} calls ${id}`).toBeLessThan(300);
      }
    }
  });

  test("is refused to who has it on another object, has every other right, or none; and nothing is written", async () => {
    const gateway = await setup(usersOf());
    for (const { id, verb, resource } of ROWS.filter(({ object }) => object !== "each")) {
      for (const user of [`other_${id}`, `rest_${id}`, "nobody"]) {
        const { outcome, changed } = await callAs(gateway, user, id);
        expect(outcome, `${user} calls ${id}`).toMatchObject({
          code: "Forbidden",
          status: 403,
          message: expect.stringMatching(
            new RegExp(`^user "${user}" may not ${verb} .*${resource}.* in namespace "${NAMESPACE}"$`, "u"),
          ),
        });
        expect(changed, `${user} calls ${id}`).toBe(false);
        expect(gateway.audit.at(-1)).toMatchObject({
          subject: { name: user },
          outcome: "denied",
          status: 403,
          access: { verb, resource, namespace: NAMESPACE },
        });
      }
    }
  });

  test("that lists leaves out what may not be seen", async () => {
    const gateway = await setup(usersOf());
    for (const { id } of ROWS.filter(({ object }) => object === "each")) {
      const shown = async (user: string): Promise<unknown[]> => {
        const { outcome } = await callAs(gateway, user, id);
        return Object.values((outcome as { readonly body: Record<string, unknown[]> }).body).flat();
      };
      expect({ id, shown: await shown("nobody") }).toEqual({ id, shown: [] });
      expect({ id, shown: await shown(`one_${id}`) }).toEqual({ id, shown: [expect.anything()] });
      expect({ id, shown: await shown(`all_${id}`) }).not.toEqual({ id, shown: [] });
    }
  });
});

/** All that requests may write. */
async function changesOf({ store }: TestGateway): Promise<unknown> {
  return await store.sql(`
    select (select count(*) from :schema.runs where status = 'running') as open,
      (select count(*) from :schema.inbox) as messages,
      (select coalesce(sum(revision), 0) from :schema.schedules) as schedules`);
}

describe("where a request could name another object than it touches", () => {
  test("a start on another queue needs a right on that queue besides", async () => {
    const gateway = await setup({
      clerk: ["create workflows/runs order"],
      porter: ["create workflows/runs order", "create taskqueues/runs bills-queue"],
    });
    const body = { workflow: "order", taskQueue: "bills" };
    await expect(gateway.as("clerk").call("startRun", { path: IN, body })).rejects.toMatchObject({
      code: "Forbidden",
      message: expect.stringContaining('taskqueues/runs.memflow.io "bills-queue"'),
    });
    expect((await gateway.as("porter").call("startRun", { path: IN, body })).body.taskQueue).toBe("bills");
    // The queue by its object's name is the same queue.
    const named = { ...body, taskQueue: "bills-queue" };
    expect((await gateway.as("porter").call("startRun", { path: IN, body: named })).body.taskQueue).toBe(
      "bills",
    );
  });

  test("a start by the type is a start of the Workflow that defines it", async () => {
    const gateway = await setup({ clerk: ["create workflows/runs order"] });
    const start = (workflow: string) =>
      gateway.as("clerk").call("startRun", { path: IN, body: { workflow } });
    expect((await start("placeOrder")).body.taskQueue).toBe("orders");
    await expect(start("sendBill")).rejects.toMatchObject({ code: "Forbidden" });
  });

  test("a type that no Workflow defines needs the right on all", async () => {
    const gateway = await setup({
      clerk: ["create workflows/runs order", "create taskqueues/runs"],
      chief: ["create workflows/runs", "create taskqueues/runs"],
    });
    const request = { path: IN, body: { workflow: "free", taskQueue: "orders" } };
    await expect(gateway.as("clerk").call("startRun", request)).rejects.toMatchObject({ code: "Forbidden" });
    expect((await gateway.as("chief").call("startRun", request)).status).toBe(201);
  });

  test("a run of the type on another queue is not the Workflow's", async () => {
    const gateway = await setup({ clerk: ["get workflows/runs order", "list workflows/runs order"] });
    const mine = await gateway.store.insertRun({ workflow_name: "placeOrder", task_queue: "orders" });
    const other = await gateway.store.insertRun({ workflow_name: "placeOrder", task_queue: "elsewhere" });
    const clerk = gateway.as("clerk");
    await expect(clerk.call("getRun", { path: { ...IN, runId: other } })).rejects.toMatchObject({
      code: "Forbidden",
    });
    const { body } = await clerk.call("listRuns", { path: IN, query: { workflow: "order" } });
    expect(body.runs.map(({ runId }) => runId)).toEqual([mine]);
    expect((await clerk.call("countRuns", { path: IN, query: { workflow: "placeOrder" } })).body.count).toBe(
      1,
    );
    await expect(clerk.call("listRuns", { path: IN })).rejects.toMatchObject({ code: "Forbidden" });
    await expect(clerk.call("listRuns", { path: IN, query: { workflow: "bill" } })).rejects.toMatchObject({
      code: "Forbidden",
    });
  });

  test("a workflow id under the name of another Workflow is not found, whoever asks", async () => {
    const gateway = await setup({ clerk: ["get workflows/runs order", "list workflows/runs"] });
    await gateway.store.insertRun({ workflow_name: "sendBill", task_queue: "bills", workflow_id: "b-1" });
    const find = (workflow: string) =>
      gateway.as("clerk").call("getRunByWorkflowId", { path: { ...IN, workflow, workflowId: "b-1" } });
    await expect(find("order")).rejects.toMatchObject({ code: "RunNotFound" });
    await expect(find("bill")).rejects.toMatchObject({ code: "Forbidden" });
  });

  test("whoever may not list is not told whether a run is not there or not theirs", async () => {
    const gateway = await setup({ clerk: ["get workflows/runs order"], lister: ["list workflows/runs"] });
    const theirs = await gateway.store.insertRun({ workflow_name: "sendBill", task_queue: "bills" });
    const refusal = async (user: string, runId: string) =>
      await gateway
        .as(user)
        .call("getRun", { path: { ...IN, runId } })
        .then(
          () => undefined,
          (error: unknown) => error,
        );
    const gone = newId();
    expect(String(await refusal("clerk", theirs))).toBe(String(await refusal("clerk", gone)));
    expect(await refusal("lister", gone)).toMatchObject({ code: "RunNotFound" });
    expect(await refusal("lister", theirs)).toMatchObject({
      code: "Forbidden",
      message: expect.stringContaining('"bill"'),
    });
  });

  test("the entity of a hook takes the right on the run whose it is", async () => {
    const gateway = await setup({
      clerk: ["query workflows/runs order"],
      chief: ["query workflows/runs"],
    });
    const root = await gateway.store.insertRun({ workflow_name: "sendBill", task_queue: "bills" });
    const hook = await gateway.store.insertRun({
      workflow_name: "placeOrder",
      task_queue: "orders",
      hook: true,
      entity_id: root,
      parent_run_id: root,
    });
    const request = { path: { ...IN, runId: hook } };
    for (const id of ["getEntity", "getSearchData"] as const) {
      await expect(gateway.as("clerk").call(id, request)).rejects.toMatchObject({ code: "Forbidden" });
      expect((await gateway.as("chief").call(id, request)).status).toBe(200);
    }
  });

  test("to interrupt children too takes the right on all Workflows", async () => {
    const gateway = await setup({ clerk: ["interrupt workflows/runs order"] });
    const runId = await gateway.store.insertRun({ workflow_name: "placeOrder", task_queue: "orders" });
    const interrupt = (body: object) =>
      gateway.as("clerk").call("interruptRun", { path: { ...IN, runId }, body });
    await expect(interrupt({ descend: true })).rejects.toMatchObject({ code: "Forbidden" });
    expect((await interrupt({ descend: false })).status).toBe(200);
  });

  test("an equal request under a key is refused to who may not make it", async () => {
    const gateway = await setup({ clerk: ["create workflows/runs order"] });
    const request = { path: IN, body: { workflow: "order" }, header: { "Idempotency-Key": "k" } };
    await gateway.as("clerk").call("startRun", request);
    await expect(gateway.as("nobody").call("startRun", request)).rejects.toMatchObject({ code: "Forbidden" });
  });

  test("another Kubernetes namespace has none of the runs", async () => {
    const gateway = await setup({});
    const runId = await gateway.store.insertRun();
    await expect(
      gateway.as("root").call("getRun", { path: { namespace: "other", runId } }),
    ).rejects.toMatchObject({ code: "StoreNotFound" });
  });

  test("whoever is not known is told so, and how to be", async () => {
    const gateway = await setup({});
    const response = await fetch(`${gateway.url()}/v1/whoami`);
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe("Bearer");
    expect((await gateway.as("clerk").call("whoami", {})).body).toMatchObject({
      user: "clerk",
      via: "token",
    });
  });
});
