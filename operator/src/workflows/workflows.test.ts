/** Workflows from manifests to the database and back: a real Postgres, a mock API server, the process as it is. */
import type { WorkflowStatus } from "@memflow/crds";
import { makeScratchStore } from "@memflow/engine/testing/scratch-store";
import type { ScratchStore } from "@memflow/engine/testing/scratch-store";
import { randomUUID } from "node:crypto";
import { expect, onTestFinished, test } from "vitest";
import { findCondition, STORES, TASK_QUEUES, WORKFLOWS } from "../api/index.ts";
import type { TaskQueueObject, WorkflowObject } from "../api/index.ts";
import { readConfig } from "../config.ts";
import type { ControllerParts } from "../controllers.ts";
import { EVENTS } from "../kube/index.ts";
import { runOperator } from "../operator.ts";
import { recordLog } from "../testing/log-recorder.ts";
import type { MockApiServer } from "../testing/mock-api/mock-api-server.ts";
import { startOperatorCluster } from "../testing/operator-cluster.ts";
import { makeWorkflowControllers } from "./index.ts";

const NAMESPACE = "shop";
const NOW = "2026-01-01T00:00:00Z";

interface Setup {
  readonly api: MockApiServer;
  readonly scratch: ScratchStore;
  readonly parts: ControllerParts;
  apply(name: string, spec?: object): void;
  /** The status once its conditions have these reasons. */
  status(name: string, reasons: Readonly<Record<string, string>>): Promise<WorkflowStatus>;
  /** The TaskQueue as who looks after it says it is. */
  setQueue(status: TaskQueueObject["status"]): void;
  announce(buildId: string | null, workflows: readonly string[]): Promise<string>;
  definitions(): Promise<readonly Record<string, unknown>[]>;
}

async function setup(): Promise<Setup> {
  const scratch = await makeScratchStore();
  const api = await startOperatorCluster();
  const inShop = { namespace: NAMESPACE };
  api.cluster.create(STORES, { metadata: { ...inShop, name: "main" } });
  api.cluster.create(TASK_QUEUES, queue());
  const stopping = new AbortController();
  const made = Promise.withResolvers<ControllerParts>();
  const ended = runOperator(
    {
      config: readConfig(
        {
          MEMFLOW_OPERATOR_NAMESPACE: "memflow",
          MEMFLOW_OPERATOR_PORT: "0",
          MEMFLOW_OPERATOR_HOST: "127.0.0.1",
        },
        { hostName: "operator-0", version: "1.2.3" },
      ),
      kubeConfig: api.kubeConfig(),
      log: recordLog().log,
      controllers: (parts) => {
        parts.stores.connect({ key: "shop/main", uid: "u1", fingerprint: "f1", ...scratch.place });
        made.resolve(parts);
        return makeWorkflowControllers(parts);
      },
    },
    stopping.signal,
  );
  ended.catch(made.reject);
  onTestFinished(async () => {
    stopping.abort();
    await ended;
    await api.close();
  });
  const parts = await made.promise;
  const read = (name: string): WorkflowObject | undefined => api.cluster.find(WORKFLOWS, { ...inShop, name });
  return {
    api,
    scratch,
    parts,
    apply: (name, spec = {}) => {
      const body = { spec: { taskQueueRef: { name: "mail" }, ...spec } };
      api.cluster.apply(
        WORKFLOWS,
        {
          apiVersion: "memflow.io/v1alpha1",
          kind: "Workflow",
          metadata: { ...inShop, name },
          ...body,
        },
        { manager: "test", subresource: undefined, force: true },
      );
    },
    status: async (name, reasons) => {
      await api.bell.until(() =>
        Object.entries(reasons).every(
          ([type, reason]) => findCondition(read(name)?.status, type)?.reason === reason,
        ),
      );
      return read(name)?.status ?? {};
    },
    setQueue: (status) => {
      const current = api.cluster.find(TASK_QUEUES, { ...inShop, name: "mail" });
      const { status: next } = queue(status);
      api.cluster.replace(TASK_QUEUES, { ...current, status: next } as TaskQueueObject, {
        manager: "memflow-queues",
        subresource: "status",
      });
    },
    announce: async (buildId, workflows) => {
      const id = randomUUID();
      const serves = { queues: [{ taskQueue: "mail", workflows, activities: [] }] };
      await scratch.sql("select :schema.register_worker($1, $2, $3, 'pod', 60000)", [
        id,
        JSON.stringify(serves),
        buildId,
      ]);
      return id;
    },
    definitions: () =>
      scratch.sql(
        "select task_queue, workflow_name, resource, suspended, definition from :schema.workflow_definitions order by 1, 2",
      ),
  };
}

function queue(status: TaskQueueObject["status"] = {}): TaskQueueObject {
  return {
    apiVersion: "memflow.io/v1alpha1",
    kind: "TaskQueue",
    metadata: { name: "mail", namespace: NAMESPACE },
    spec: {
      storeRef: { name: "main" },
      workers: { source: { image: { ref: "registry.example/mail:1" } } },
    },
    status: {
      conditions: [
        { type: "Ready", status: "True", reason: "Ready", message: "It is.", lastTransitionTime: NOW },
      ],
      ...status,
    },
  };
}

test("a Workflow comes into the database with what it says, and goes with its deletion", async () => {
  const { api, apply, status, definitions } = await setup();
  apply("order", { retention: { failed: "2h" } });
  await status("order", { Ready: "Ready", Registered: "NotSeenYet", SchemaValid: "Valid" });
  const row = {
    task_queue: "mail",
    workflow_name: "order",
    resource: "shop/order",
    suspended: false,
    definition: { retention: { failedMs: 7_200_000 } },
  };
  await expect.poll(definitions).toEqual([row]);
  apply("order", { suspend: true });
  await status("order", { Ready: "Suspended" });
  await expect.poll(definitions).toEqual([{ ...row, suspended: true, definition: {} }]);
  api.cluster.delete(WORKFLOWS, { name: "order", namespace: NAMESPACE });
  await expect.poll(definitions).toEqual([]);
});

test("what an operator of the past writes is refused", async () => {
  const { scratch, apply, definitions } = await setup();
  apply("order");
  await expect.poll(async () => (await definitions()).length).toBe(1);
  await expect(scratch.sql("select :schema.set_workflow_definitions('[]', 1)")).rejects.toMatchObject({
    code: "MF004",
  });
  expect((await definitions()).length).toBe(1);
});

test("a worker that announces the function registers its build; one without it is told of", async () => {
  const { api, scratch, parts, apply, status, announce, setQueue } = await setup();
  apply("order");
  await status("order", { Registered: "NotSeenYet" });
  const worker = await announce("b1", ["order"]);
  setQueue({ currentBuildId: "b1", readyReplicas: 1 });
  expect(await status("order", { Registered: "Announced" })).toMatchObject({ registeredBuildIds: ["b1"] });
  await scratch.sql("update :schema.workers set dead_at = now() where worker_id = $1", [worker]);
  await announce("b2", ["invoice"]);
  setQueue({ currentBuildId: "b2", readyReplicas: 1 });
  const { registeredBuildIds, conditions } = await status("order", { Registered: "NotExported" });
  expect(registeredBuildIds).toEqual(["b1"]);
  expect(conditions?.find(({ type }) => type === "Ready")?.reason).toBe("NotRegistered");
  const reasons = (): string[] => api.cluster.list(EVENTS, () => true).map((event) => String(event.reason));
  await api.bell.until(() => reasons().includes("NotExported"));
  expect(reasons()).toContain("Registered");
  expect(parts.followed.workflows.store.size).toBe(1);
});

test("runs are counted by how they fare", async () => {
  const { scratch, apply, status } = await setup();
  const hoursAgo = (hours: number): Date => new Date(Date.now() - hours * 3_600_000);
  const run = { workflow_name: "order", task_queue: "mail" };
  await scratch.insertRun(run);
  await scratch.insertRun({ ...run, status: "completed", closed_at: hoursAgo(1) });
  await scratch.insertRun({ ...run, status: "failed", closed_at: hoursAgo(1) });
  await scratch.insertRun({ ...run, status: "timed_out", closed_at: hoursAgo(2) });
  await scratch.insertRun({ ...run, status: "continued_as_new", closed_at: hoursAgo(1) });
  await scratch.insertRun({ ...run, status: "completed", closed_at: hoursAgo(25) });
  await scratch.insertRun({ ...run, hook: true });
  apply("order");
  const { runs } = await status("order", { Ready: "Ready" });
  expect(runs).toMatchObject({ running: 1, completed24h: 1, failed24h: 2 });
});

test("a status is not written again because time goes by", async () => {
  const { api, parts, apply, status } = await setup();
  apply("order");
  await status("order", { Ready: "Ready" });
  const writes = (): number => api.requestsOf("patch", "workflows").length;
  const before = writes();
  const controller = makeWorkflowControllers(parts).find(({ name }) => name === "workflows");
  const context = {
    client: parts.client,
    signal: AbortSignal.timeout(10_000),
    fencingToken: 1,
    assertCurrent: () => {},
  };
  await api.bell.until(() => parts.followed.workflows.store.get("shop/order")?.status !== undefined);
  expect(controller).toBeDefined();
  await controller?.reconcile("shop/order", context);
  expect(writes()).toBe(before);
});

test("of two that want a name one has it, and the other gets it when the first goes", async () => {
  const { api, apply, status, definitions } = await setup();
  const told = async (): Promise<unknown> => (await definitions()).map(({ resource }) => resource);
  apply("one", { workflowName: "order" });
  apply("two", { workflowName: "order" });
  // Made within one second, so that only their uids tell which is the elder.
  const late = await Promise.race(
    ["one", "two"].map((name) => status(name, { Ready: "WorkflowNameTaken" }).then(() => name)),
  );
  const holder = late === "two" ? "one" : "two";
  await expect.poll(told).toEqual([`shop/${holder}`]);
  api.cluster.delete(WORKFLOWS, { name: holder, namespace: NAMESPACE });
  await status(late, { Ready: "Ready" });
  await expect.poll(told).toEqual([`shop/${late}`]);
});

test.each([
  ["input", { type: "objekt" }, "/type"],
  ["output", { $ref: "#/$defs/nowhere" }, "nowhere"],
  ["input", { type: "string", pattern: "(" }, "regular expression"],
])("a wrong %s schema %j is named with its place and not told to workers", async (field, schema, place) => {
  const { apply, status, definitions } = await setup();
  apply("good");
  apply("wrong", { [field]: { schema } });
  const { conditions } = await status("wrong", { SchemaValid: "InvalidSchema", Ready: "SchemaNotValid" });
  const message = conditions?.find(({ type }) => type === "SchemaValid")?.message ?? "";
  expect(message).toContain(`spec.${field}.schema is no JSON Schema`);
  expect(message).toContain(place);
  await expect
    .poll(async () => (await definitions()).map(({ workflow_name }) => workflow_name))
    .toEqual(["good"]);
});

test("arguments that are too large have a reason of their own", async () => {
  const { apply, status } = await setup();
  apply("large", { defaultArgs: ["x".repeat(300_000)] });
  const { conditions } = await status("large", { SchemaValid: "DefaultArgsTooLarge" });
  expect(conditions?.find(({ type }) => type === "SchemaValid")?.message).toContain("bytes as JSON");
});

test("a queue that is not there, or not ready, is named", async () => {
  const { apply, status, setQueue } = await setup();
  apply("lost", { taskQueueRef: { name: "nowhere" } });
  await status("lost", { Ready: "TaskQueueNotFound" });
  apply("order");
  await status("order", { Ready: "Ready" });
  const conditions = [
    {
      type: "Ready",
      status: "False",
      reason: "StoreNotReady",
      message: "No Store.",
      lastTransitionTime: NOW,
    },
  ] as const;
  setQueue({ conditions: [...conditions] });
  const unready = await status("order", { Ready: "TaskQueueNotReady" });
  expect(findCondition(unready, "Ready")?.message).toContain("No Store.");
});
