/** How the workers of a queue are scaled, from a look at the load to the replicas of a Deployment. */
import { expect, test, vi } from "vitest";
import { TASK_QUEUES } from "../api/index.ts";
import type { TaskQueueObject } from "../api/index.ts";
import { loadOf } from "./testing/fake-store.ts";
import { LOOK_GAP_MS } from "./store-watch.ts";
import { startScaledCluster } from "./testing/scaled-cluster.ts";

const POLL_MS = 5_000;
const MINUTE_MS = 60_000;

test("a backlog raises the replicas by the formula, through /scale and under this controller's name", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue({ replicas: 1 });
  cluster.store.loadOf = () => loadOf({ ready: 45 });
  cluster.lead();
  await cluster.settle();

  expect(cluster.replicas()).toBe(5);
  expect(cluster.scaleWrites).toMatchObject([
    { subresource: "scale", fieldManager: "memflow-replicas", body: { spec: { replicas: 5 } } },
  ]);
  expect(cluster.events).toMatchObject([
    {
      reason: "ScaledUp",
      type: "Normal",
      note: expect.stringContaining("from 1 to 5 replicas: asked for 5 by 45 ready"),
    },
  ]);
  expect(cluster.queue().status?.scaling).toMatchObject({
    backlog: 45,
    rawDesired: 5,
    desired: 5,
    limitedBy: "None",
    lastScaleTime: "2026-01-01T00:00:00.000Z",
  });
  expect(cluster.condition("ScalingActive")).toEqual({ status: "True", reason: "Observed" });
  expect(cluster.gauges.get("default/orders")).toMatchObject({ backlog: 45, desiredReplicas: 5 });
});

test("an idle queue goes to zero after its cooldown, not before, and then costs no write", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue({
    replicas: 1,
    spec: { scaling: { cooldown: "1m", behavior: { scaleDown: { stabilization: "0s" } } } },
  });
  cluster.lead();
  await cluster.advance(MINUTE_MS - 1);
  expect(cluster.replicas()).toBe(1);
  expect(cluster.queue().status?.scaling).toMatchObject({ limitedBy: "Cooldown", desired: 1 });

  await cluster.advance(1_000);
  expect(cluster.replicas()).toBe(0);
  expect(cluster.pods()).toEqual([]);
  expect(cluster.eventReasons).toEqual(["ScaledToZero"]);

  await cluster.advance(MINUTE_MS);
  const { length } = cluster.api.requestsOf("patch");
  await cluster.advance(10 * MINUTE_MS);
  expect(cluster.api.requestsOf("patch")).toHaveLength(length);
});

test("what a queue says once it rests is of its rest, not of how it came to it", async () => {
  const scaling = { cooldown: "0s", pollInterval: "1s", behavior: { scaleDown: { stabilization: "0s" } } };
  const story = async (replicas: number): Promise<string | undefined> => {
    const cluster = await startScaledCluster();
    cluster.addQueue({ replicas, spec: { scaling } });
    cluster.lead();
    await cluster.advance(MINUTE_MS);
    expect(cluster.replicas()).toBe(0);
    const { length } = cluster.api.requestsOf("patch");
    await cluster.advance(10 * MINUTE_MS);
    expect(cluster.api.requestsOf("patch")).toHaveLength(length);
    return cluster.queue().status?.scaling?.reason;
  };
  const rest = await story(0);
  expect(rest).not.toBe("");
  expect(await story(1)).toBe(rest);
});

test("a start at zero is answered at once; a burst of them is one look", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue();
  cluster.lead();
  await cluster.advance(1_000);
  const { lookCount } = cluster.store;

  cluster.store.loadOf = () => loadOf({ ready: 10_000 });
  for (let start = 0; start < 10_000; start++) cluster.store.wake("orders");
  await cluster.settle();

  expect(cluster.replicas()).toBe(4);
  expect(cluster.eventReasons).toEqual(["Activated"]);
  expect(cluster.store.lookCount).toBe(lookCount + 1);
});

test("starts at a queue that has workers ask for no look of their own", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue({ replicas: 1 });
  cluster.store.loadOf = () => loadOf({ ready: 1 });
  cluster.lead();
  await cluster.advance(1_000);
  const { lookCount } = cluster.store;

  for (let start = 0; start < 100; start++) {
    cluster.store.wake("orders");
    await cluster.advance(10);
  }
  expect(cluster.store.lookCount).toBe(lookCount);
});

test("a start that comes while its queue is sent to zero is seen by a further look", async () => {
  const cluster = await startScaledCluster();
  const scaling = { cooldown: "0s", pollInterval: "5m", behavior: { scaleDown: { stabilization: "0s" } } };
  cluster.addQueue({ replicas: 1, spec: { scaling } });
  cluster.store.loadOf = () => loadOf({ ready: 1 });
  cluster.lead();
  await cluster.settle();
  expect(cluster.replicas()).toBe(1);

  // Somebody asks for a look, which sees an idle queue; the start comes before its answer does.
  cluster.store.loadOf = () => loadOf({});
  let answer = (): void => {};
  cluster.store.gate = new Promise((resolve) => (answer = resolve));
  const { lookCount } = cluster.store;
  cluster.connect(true);
  cluster.clock.advance(LOOK_GAP_MS);
  expect(cluster.store.lookCount).toBe(lookCount + 1);
  cluster.store.wake("orders");
  answer();
  await cluster.settle();
  expect(cluster.replicas()).toBe(0);

  cluster.store.loadOf = () => loadOf({ ready: 1 });
  await cluster.advance(LOOK_GAP_MS);
  expect(cluster.replicas()).toBe(1);
});

test("a build that comes while a pass of its queue at zero is under way gets its replica", async () => {
  const cluster = await startScaledCluster();
  const current = { buildId: "current", phase: "Current" } as const;
  cluster.addQueue({
    versions: [
      { version: current, replicas: 0 },
      { version: { buildId: "new" }, replicas: 0 },
    ],
  });
  const { client, clock } = cluster;
  const apply = client.apply.bind(client);
  vi.spyOn(client, "apply").mockImplementationOnce(async (...request) => {
    cluster.setVersions("orders", [current, { buildId: "new", phase: "Pending" }]);
    await clock.untilPending(LOOK_GAP_MS);
    return apply(...request);
  });
  cluster.lead();
  await cluster.advance(1_000);
  expect(cluster.replicas("orders-new")).toBe(1);
});

test("with activation by polling alone nobody listens, and the poll finds the start", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue({ spec: { scaling: { activation: { via: "Poll" } } } });
  cluster.lead();
  await cluster.advance(1_000);
  expect(cluster.store.earCount("orders")).toBe(0);

  cluster.store.loadOf = () => loadOf({ ready: 1 });
  await cluster.advance(POLL_MS);
  expect(cluster.replicas()).toBe(1);
});

test("a timer finds a worker: one is started the look-ahead before it is due", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue();
  const dueMs = 2 * MINUTE_MS;
  cluster.store.loadOf = () => loadOf({ nextTimerInMs: dueMs - cluster.clock.steadyMs() });
  cluster.lead();
  await cluster.advance(dueMs - 31_000);
  expect(cluster.replicas()).toBe(0);
  await cluster.advance(1_500);
  expect(cluster.replicas()).toBe(1);
});

test("the pod with work survives every scale-in, which waits until its cost is seen", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue({ replicas: 5, spec: { scaling: { behavior: { scaleDown: { stabilization: "1m" } } } } });
  await cluster.settle();
  const [first = "", , third = ""] = cluster.pods();
  cluster.store.loadOf = () => loadOf({}, { [third]: 1 });
  cluster.lead();
  await cluster.advance(30_000);
  expect(cluster.pods()).toHaveLength(5);
  await cluster.advance(2 * MINUTE_MS);

  expect(cluster.pods()).toEqual([third]);
  expect(cluster.queue().status?.scaling).toMatchObject({ desired: 1, inFlight: 1 });
  expect(cluster.api.requestsOf("patch", "pods").map(({ name }) => name)).not.toContain(first);
  // The count was lowered only after the cost had been written.
  const order = cluster.api.requests.filter(
    ({ verb, plural }) => verb === "patch" && plural !== "taskqueues",
  );
  expect(order.map(({ plural }) => plural)).toEqual(["pods", "deployments"]);

  cluster.store.loadOf = () => loadOf({});
  await cluster.advance(6 * MINUTE_MS);
  expect(cluster.pods()).toEqual([]);
});

test("where all workers hold work, those beyond the aim are cordoned; the cordons end when they are needed", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue({ replicas: 3, spec: { scaling: { behavior: { scaleDown: { stabilization: "30s" } } } } });
  await cluster.settle();
  const pods = cluster.pods();
  cluster.store.loadOf = () => loadOf({}, Object.fromEntries(pods.map((pod, index) => [pod, index + 1])));
  cluster.lead();
  await cluster.advance(40_000);
  expect(cluster.store.cordoned).toEqual([[`worker-of-${pods[0]}`, `worker-of-${pods[1]}`]]);
  expect(cluster.pods()).toHaveLength(3);

  // Renewed, but not at each look.
  await cluster.advance(35_000);
  expect(cluster.store.cordoned).toHaveLength(3);

  cluster.store.loadOf = () => loadOf({ ready: 100 }, { [pods[0] ?? ""]: 1 });
  await cluster.advance(POLL_MS);
  expect(cluster.store.lifted).toEqual(["orders"]);
});

test("while the store is away nothing goes, and it is told within 15 s; the same for its return", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue({
    replicas: 3,
    spec: { scaling: { cooldown: "0s", behavior: { scaleDown: { stabilization: "20s" } } } },
  });
  cluster.store.loadOf = () => loadOf({ ready: 30 });
  cluster.lead();
  await cluster.advance(30_000);
  cluster.store.away = {
    kind: "Unseen",
    code: "DATABASE_UNREACHABLE",
    message: "database db:5432/app is unreachable",
  };
  cluster.store.loadOf = () => loadOf({});
  await cluster.advance(15_000);
  expect(cluster.condition("ScalingActive")).toEqual({ status: "False", reason: "ObservationFailed" });
  expect(cluster.queue().status?.scaling).toMatchObject({ limitedBy: "Hold", desired: 3, backlog: 30 });
  await cluster.advance(10 * MINUTE_MS);
  expect(cluster.replicas()).toBe(3);
  expect(cluster.events).toMatchObject([
    { reason: "ScalingHeld", type: "Warning", note: expect.stringContaining("DATABASE_UNREACHABLE") },
  ]);

  cluster.store.away = undefined;
  await cluster.advance(15_000);
  expect(cluster.condition("ScalingActive")).toEqual({ status: "True", reason: "Observed" });
  expect(cluster.eventReasons).toEqual(["ScalingHeld", "ScalingResumed"]);
  // The time of the outage counts for no window.
  expect(cluster.replicas()).toBe(3);
  await cluster.advance(10_000);
  expect(cluster.replicas()).toBe(0);
});

test("a Store that is not connected yet is no outage at first, and an outage after 10 s", async () => {
  const cluster = await startScaledCluster();
  cluster.isConnected = false;
  cluster.addQueue({ replicas: 2 });
  cluster.lead();
  await cluster.advance(9_000);
  expect(cluster.condition("ScalingActive")).toBeUndefined();
  await cluster.advance(5_000);
  expect(cluster.condition("ScalingActive")).toEqual({ status: "False", reason: "ObservationFailed" });
  expect(cluster.replicas()).toBe(2);

  cluster.connect(true);
  await cluster.advance(LOOK_GAP_MS);
  expect(cluster.condition("ScalingActive")).toEqual({ status: "True", reason: "Observed" });
});

test.each(["Manual", "External"] as const)(
  "mode %s passes spec.replicas on, whatever the load, and puts back what others write, once a look",
  async (mode) => {
    const cluster = await startScaledCluster();
    cluster.addQueue({ replicas: 0, spec: { replicas: 3, scaling: { mode } } });
    cluster.store.loadOf = () => loadOf({ ready: 1_000 });
    cluster.lead();
    await cluster.settle();
    expect(cluster.replicas()).toBe(3);
    expect(cluster.condition("ScalingActive")).toEqual({ status: "False", reason: `${mode}Mode` });

    // As `kubectl scale taskqueue` and an autoscaler do it.
    await cluster.client.writeScale(
      TASK_QUEUES,
      { namespace: "default", name: "orders" },
      { replicas: 1, fieldManager: "kubectl" },
    );
    await cluster.advance(1_000);
    expect(cluster.replicas()).toBe(1);

    const { length } = cluster.scaleWrites;
    cluster.scaleByHand(7);
    await cluster.advance(1_000);
    expect(cluster.replicas()).toBe(1);
    expect(cluster.scaleWrites).toHaveLength(length + 1);
  },
);

test("External leaves the replicas alone until somebody has written some", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue({ replicas: 2, spec: { scaling: { mode: "External" } } });
  cluster.lead();
  await cluster.advance(MINUTE_MS);
  expect(cluster.replicas()).toBe(2);
});

test("annotations pause; one that can't be read pauses too and is named in status", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue({ replicas: 1, annotations: { "memflow.io/scaling-paused": "yes" } });
  cluster.store.loadOf = () => loadOf({ ready: 100 });
  cluster.lead();
  await cluster.settle();
  expect(cluster.replicas()).toBe(1);
  expect(cluster.condition("ScalingActive")).toEqual({ status: "False", reason: "Paused" });
  expect(cluster.queue().status?.scaling?.reason).toContain(
    'annotation "memflow.io/scaling-paused" is "yes"',
  );

  cluster.changeQueue("orders", (queue) => ({ ...queue, metadata: { ...queue.metadata, annotations: {} } }));
  await cluster.advance(1_000);
  expect(cluster.replicas()).toBe(5);
});

test("a user's scale of a Deployment is answered from what the load asks for", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue({ replicas: 1 });
  cluster.store.loadOf = () => loadOf({ ready: 10 });
  cluster.lead();
  await cluster.advance(1_000);
  cluster.scaleByHand(8);
  await cluster.advance(1_000);
  expect(cluster.replicas()).toBe(1);
  expect(cluster.scaleWrites).toHaveLength(1);
});

test("a new build gets one replica to prove itself; one without runs keeps its own for a while; one without a phase is left alone", async () => {
  const cluster = await startScaledCluster();
  const since = "2026-01-01T00:00:00Z";
  cluster.addQueue({
    spec: { versioning: { draining: { minReplicas: 1, scaledownDelay: "2m" } } },
    versions: [
      { version: { buildId: "current", phase: "Current" }, replicas: 0 },
      { version: { buildId: "new", phase: "Pending" }, replicas: 0 },
      { version: { buildId: "old", phase: "Drained", since }, replicas: 2 },
      { version: { buildId: "unknown" }, replicas: 4 },
    ],
  });
  cluster.lead();
  await cluster.advance(MINUTE_MS);
  const replicas = (): unknown =>
    ["current", "new", "old", "unknown"].map((build) => cluster.replicas(`orders-${build}`));
  expect(replicas()).toEqual([0, 1, 2, 4]);
  expect(cluster.queue().status?.scaling?.desired).toBe(3);
  await cluster.advance(2 * MINUTE_MS);
  expect(replicas()).toEqual([0, 1, 0, 4]);
  expect(cluster.eventReasons).toEqual(["ScaledUp", "ScaledDown"]);
});

test("two builds divide what waits by their share; a draining one answers for its own", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue({
    versions: [
      { version: { buildId: "current", phase: "Current" }, replicas: 1 },
      { version: { buildId: "next", phase: "Ramping", rampPercent: 25 }, replicas: 1 },
      { version: { buildId: "old", phase: "Draining" }, replicas: 0 },
    ],
  });
  const waiting = { unserved: 0, oldestAgeMs: 0, nextTimerInMs: null };
  cluster.store.loadOf = () => ({
    kind: "Seen",
    waiting: [
      { ...waiting, buildId: null, ready: 40 },
      { ...waiting, buildId: "old", ready: 500 },
    ],
    workers: [],
  });
  cluster.lead();
  await cluster.settle();
  expect(["current", "next", "old"].map((build) => cluster.replicas(`orders-${build}`))).toEqual([3, 1, 2]);
  cluster.setVersions("orders", [
    { buildId: "next", phase: "Current" },
    { buildId: "current", phase: "Draining" },
    { buildId: "old", phase: "Draining" },
  ]);
  await cluster.advance(1_000);
  expect(cluster.replicas("orders-next")).toBe(4);
});

test("a queue that is being deleted drains with workers; by force it is left to whoever takes its Deployments away", async () => {
  const cluster = await startScaledCluster();
  for (const mode of ["Drain", "Force"] as const) {
    cluster.addQueue({ name: mode.toLowerCase(), spec: { deletion: { mode } } });
    cluster.changeQueue(mode.toLowerCase(), (queue) => ({
      ...queue,
      metadata: { ...queue.metadata, finalizers: ["memflow.io/drain"] },
    }));
    cluster.api.cluster.delete(TASK_QUEUES, { namespace: "default", name: mode.toLowerCase() });
  }
  cluster.store.loadOf = () => loadOf({ ready: 5 });
  cluster.lead();
  await cluster.settle();
  expect(cluster.replicas("drain-b1")).toBe(1);
  expect(cluster.replicas("force-b1")).toBe(0);
});

test("a refused write is tried again after a back-off, and the rest of the queues go on", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue({ name: "a" });
  cluster.addQueue({ name: "b" });
  cluster.store.loadOf = () => loadOf({ ready: 1 });
  cluster.api.faults.inject(
    { kind: "refuse", status: 403, reason: "Forbidden" },
    { verbs: ["patch"], plural: "deployments" },
  );
  cluster.lead();
  await cluster.settle();
  expect([cluster.replicas("a-b1"), cluster.replicas("b-b1")]).toEqual([0, 1]);
  expect(cluster.log.entries).toMatchObject([
    { level: "error", fields: { key: "default/a", code: "KUBE_FORBIDDEN" } },
  ]);
  await cluster.advance(1_000);
  expect(cluster.replicas("a-b1")).toBe(1);
});

test("who takes over takes nothing away before a whole window was seen, and writes no status again", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue({ replicas: 4 });
  cluster.store.loadOf = () => loadOf({ ready: 15, oldestAgeMs: cluster.clock.steadyMs() });
  cluster.lead();
  await cluster.advance(4 * MINUTE_MS);
  const { length } = cluster.statusWrites;
  await cluster.kill();
  cluster.lead();
  await cluster.advance(4 * MINUTE_MS);
  expect(cluster.replicas()).toBe(4);
  expect(cluster.statusWrites).toHaveLength(length);
  await cluster.advance(2 * MINUTE_MS);
  expect(cluster.replicas()).toBe(2);
});

test("the figures of a busy queue are written at most every 15 s, what matters at once", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue({ replicas: 10 });
  let ready = 100;
  cluster.store.loadOf = () => loadOf({ ready: (ready += 1) });
  cluster.lead();
  await cluster.settle();
  const { length } = cluster.statusWrites;
  await cluster.advance(10 * MINUTE_MS);
  const written = cluster.statusWrites.length - length;
  expect(written).toBeGreaterThan(30);
  expect(written).toBeLessThanOrEqual(40);

  cluster.store.loadOf = () => loadOf({});
  await cluster.advance(POLL_MS);
  expect(cluster.queue().status?.scaling?.backlog).toBe(0);
});

test("other writers' parts of the status stay, and ours alone are owned by this controller", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue({ replicas: 1 });
  cluster.lead();
  await cluster.settle();
  expect(cluster.queue().status?.versions).toEqual([{ buildId: "b1", phase: "Current" }]);
  const [write] = cluster.statusWrites;
  expect(write).toMatchObject({ subresource: "status", fieldManager: "memflow-replicas" });
  const body = write?.body as TaskQueueObject | undefined;
  expect(Object.keys(body?.status ?? {}).toSorted()).toEqual(["conditions", "scaling"]);
});

test("a TaskQueue that is gone is listened to no more, and its figures go", async () => {
  const cluster = await startScaledCluster();
  cluster.addQueue();
  cluster.lead();
  await cluster.advance(1_000);
  expect([cluster.store.earCount("orders"), cluster.gauges.size]).toEqual([1, 1]);
  cluster.api.cluster.delete(TASK_QUEUES, { namespace: "default", name: "orders" });
  await cluster.settle();
  expect([cluster.store.earCount("orders"), cluster.gauges.size]).toEqual([0, 0]);
  const { lookCount } = cluster.store;
  await cluster.advance(MINUTE_MS);
  expect(cluster.store.lookCount).toBe(lookCount);
});
