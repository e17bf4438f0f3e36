/** Two writers of one status, and a server that counts what is written. */
import type { Condition } from "@memflow/crds";
import { expect, onTestFinished, test } from "vitest";
import { KubeClient } from "../kube/index.ts";
import { MockApiServer } from "../testing/mock-api/mock-api-server.ts";
import { applyStatus } from "./apply-status.ts";
import { TASK_QUEUES } from "./kinds.ts";
import type { TaskQueueObject } from "./kinds.ts";

const NAME = { namespace: "default", name: "orders" } as const;

async function setup(): Promise<{ api: MockApiServer; client: KubeClient; object: TaskQueueObject }> {
  const api = await MockApiServer.start({ types: [TASK_QUEUES] });
  const client = new KubeClient({ kubeConfig: api.kubeConfig() });
  onTestFinished(async () => {
    await client.close();
    await api.close();
  });
  const object = api.cluster.create<TaskQueueObject>(TASK_QUEUES, { metadata: { ...NAME } });
  return { api, client, object };
}

function condition(type: string, reason: string): Condition {
  return { type, status: "True", reason, message: "", lastTransitionTime: "2026-01-01T00:00:00Z" };
}

const OF_QUEUES = {
  type: TASK_QUEUES,
  ownedFields: ["replicas", "currentBuildId"],
  ownedConditions: ["Ready"],
  fieldManager: "memflow-queues",
} as const;
const OF_REPLICAS = {
  type: TASK_QUEUES,
  ownedFields: ["scaling"],
  ownedConditions: ["ScalingActive"],
  fieldManager: "memflow-replicas",
} as const;

test("two managers write one status side by side, conditions too", async () => {
  const { client, object } = await setup();
  const ready = { replicas: 2, conditions: [condition("Ready", "Serving")] };
  const scaling = { scaling: { desired: 2 }, conditions: [condition("ScalingActive", "Observed")] };
  expect(await applyStatus({ ...OF_QUEUES, client, object, status: ready })).toBeDefined();
  expect(await applyStatus({ ...OF_REPLICAS, client, object, status: scaling })).toBeDefined();
  const { status } = await client.get(TASK_QUEUES, NAME);
  expect(status).toMatchObject({ replicas: 2, scaling: { desired: 2 } });
  expect(status?.conditions?.map(({ type }) => type).toSorted()).toEqual(["Ready", "ScalingActive"]);
});

test("what a manager no longer says is removed, and nothing of the other", async () => {
  const { client, object } = await setup();
  await applyStatus({ ...OF_QUEUES, client, object, status: { replicas: 2, currentBuildId: "b1" } });
  await applyStatus({ ...OF_REPLICAS, client, object, status: { scaling: { desired: 2 } } });
  const stored = await client.get(TASK_QUEUES, NAME);
  expect(await applyStatus({ ...OF_QUEUES, client, object: stored, status: { replicas: 1 } })).toBeDefined();
  expect((await client.get(TASK_QUEUES, NAME)).status).toEqual({ replicas: 1, scaling: { desired: 2 } });
});

test("an equal status is no request", async () => {
  const { api, client, object } = await setup();
  const status = { replicas: 2, conditions: [condition("Ready", "Serving")] };
  await applyStatus({ ...OF_QUEUES, client, object, status });
  const stored = await client.get(TASK_QUEUES, NAME);
  const before = api.requests.length;
  expect(await applyStatus({ ...OF_QUEUES, client, object: stored, status })).toBeUndefined();
  expect(api.requests.length).toBe(before);
});

test("an object that was deleted and made anew keeps its own status", async () => {
  const { api, client, object } = await setup();
  api.cluster.delete(TASK_QUEUES, NAME);
  expect(await applyStatus({ ...OF_QUEUES, client, object, status: { replicas: 2 } })).toBeUndefined();
  api.cluster.create<TaskQueueObject>(TASK_QUEUES, { metadata: { ...NAME } });
  expect(await applyStatus({ ...OF_QUEUES, client, object, status: { replicas: 2 } })).toBeUndefined();
  expect((await client.get(TASK_QUEUES, NAME)).status).toBeUndefined();
});
