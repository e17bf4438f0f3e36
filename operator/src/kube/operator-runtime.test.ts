/** How reflectors, election and queues work together, and how it all ends. */
import { expect, onTestFinished, test } from "vitest";
import { Bell } from "../testing/bell.ts";
import { recordLog } from "../testing/log-recorder.ts";
import { MockApiServer } from "../testing/mock-api/mock-api-server.ts";
import { widget, WIDGETS } from "../testing/widgets.ts";
import type { Widget } from "../testing/widgets.ts";
import { hasSpecNews, sourceOf } from "./controller.ts";
import type { Controller, ReconcileContext } from "./controller.ts";
import { KubeClient } from "./kube-client.ts";
import { OperatorRuntime } from "./operator-runtime.ts";
import { Reflector } from "./reflector.ts";
import { LEASES } from "./resource-type.ts";

const LEASE = { namespace: "memflow", name: "operator" } as const;
const TIMES = {
  leaseDurationMs: 1_000,
  renewDeadlineMs: 900,
  renewMs: 50,
  retryMs: 20,
  attemptTimeoutMs: 400,
} as const;

interface Process {
  readonly runtime: OperatorRuntime;
  readonly client: KubeClient;
  readonly reconciled: string[];
  readonly bell: Bell;
  stop(): void;
  readonly ended: Promise<void>;
}

type Reconcile = (key: string, context: ReconcileContext, process: Process) => Promise<void>;

async function startServer(): Promise<MockApiServer> {
  const api = await MockApiServer.start({ types: [WIDGETS] });
  onTestFinished(() => api.close());
  return api;
}

function startProcess(api: MockApiServer, name: string, reconcile: Reconcile = async () => {}): Process {
  const client = new KubeClient({ kubeConfig: api.kubeConfig(name) });
  const { log } = recordLog();
  const bell = new Bell();
  const reconciled: string[] = [];
  const stopping = new AbortController();
  const reflector = new Reflector<Widget>({ client, type: WIDGETS, log, backoff: { firstMs: 1, maxMs: 10 } });
  const controller: Controller = {
    name: "widgets",
    sources: [sourceOf(reflector)],
    reconcile: async (key, context) => {
      reconciled.push(key);
      bell.ring();
      await reconcile(key, context, started);
      return undefined;
    },
  };
  const runtime = new OperatorRuntime({
    controllers: [controller],
    client,
    log,
    election: { kubeConfig: api.kubeConfig(name), lease: LEASE, name, times: TIMES },
    health: { host: "127.0.0.1", port: 0 },
    queue: { backoff: { firstMs: 1, maxMs: 10 } },
  });
  const started: Process = {
    runtime,
    client,
    reconciled,
    bell,
    stop: () => stopping.abort(),
    ended: runtime.run(stopping.signal),
  };
  onTestFinished(async () => {
    started.stop();
    await started.ended.catch(() => {});
    await client.close();
  });
  return started;
}

async function ask(process: Process, path: string): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${await process.runtime.healthPort}${path}`);
  return `${answer.status} ${(await answer.text()).trim()}`;
}

test("a leader reconciles all that is there, then what changes", async () => {
  const api = await startServer();
  for (const name of ["a", "b"]) api.cluster.create(WIDGETS, widget(name));
  const one = startProcess(api, "one");
  await one.bell.until(() => one.reconciled.length === 2);
  api.cluster.create(WIDGETS, widget("c"));
  await one.bell.until(() => one.reconciled.length === 3);
  expect(one.reconciled).toEqual(["default/a", "default/b", "default/c"]);
});

test("before all objects are known nothing is reconciled, and the process is alive but not ready", async () => {
  const api = await startServer();
  api.cluster.create(WIDGETS, widget("a"));
  api.faults.inject({ kind: "refuse", status: 403 }, { verbs: ["list"] }, Infinity);
  const one = startProcess(api, "one");
  await api.bell.until(() => api.cluster.find(LEASES, LEASE) !== undefined);
  await api.bell.until(() => api.requestsOf("list").length > 3);
  expect(await ask(one, "/healthz")).toBe("200 ok");
  expect(await ask(one, "/readyz")).toBe("503 not listed yet: widgets");
  expect(one.reconciled).toEqual([]);
  api.faults.clear();
  await one.bell.until(() => one.reconciled.length === 1);
  expect(await ask(one, "/readyz")).toBe("200 leader");
});

test("a standby is ready, reconciles nothing, and takes over with all keys when the leader ends", async () => {
  const api = await startServer();
  for (const name of ["a", "b"]) api.cluster.create(WIDGETS, widget(name));
  const one = startProcess(api, "one");
  await one.bell.until(() => one.reconciled.length === 2);
  const two = startProcess(api, "two");
  await api.bell.until(() => api.requests.some(({ user, verb }) => user === "two" && verb === "watch"));
  await api.bell.until(() => api.requests.some(({ user, plural }) => user === "two" && plural === "leases"));
  expect(await ask(two, "/readyz")).toBe("200 standby");
  expect(two.reconciled).toEqual([]);
  one.stop();
  await one.ended;
  await two.bell.until(() => two.reconciled.length === 2);
  expect(await ask(two, "/readyz")).toBe("200 leader");
  expect(one.reconciled.length).toBe(2);
});

test("a process that ends lets a running reconcile finish its writes before it gives the lease back", async () => {
  const api = await startServer();
  api.cluster.create(WIDGETS, widget("a"));
  const release = Promise.withResolvers<void>();
  const one = startProcess(api, "one", async (_key, { client }) => {
    await release.promise;
    await client.apply(WIDGETS, widget("a", { spec: { size: 7 } }), { fieldManager: "test" });
  });
  await one.bell.until(() => one.reconciled.length === 1);
  one.stop();
  const holder = (): string | undefined => api.cluster.find(LEASES, LEASE)?.spec?.holderIdentity;
  expect(holder()).toBeDefined();
  release.resolve();
  await one.ended;
  expect(api.cluster.find(WIDGETS, { namespace: "default", name: "a" })?.spec).toEqual({ size: 7 });
  expect(holder()).toBeUndefined();
});

test("a reconcile of a leader that was deposed is told to end, and can write nothing more", async () => {
  const api = await startServer();
  api.cluster.create(WIDGETS, widget("a"));
  const outcome = Promise.withResolvers<unknown>();
  const one = startProcess(api, "one", async (_key, { client, signal, assertCurrent }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    expect(assertCurrent).toThrow(expect.objectContaining({ code: "LEADERSHIP_LOST" }));
    const write = client.apply(WIDGETS, widget("a", { spec: { size: 9 } }), { fieldManager: "test" });
    await write.then(outcome.resolve, outcome.resolve);
  });
  await one.bell.until(() => one.reconciled.length === 1);
  const lease = api.cluster.find(LEASES, LEASE);
  api.cluster.replace(LEASES, { ...lease, spec: { ...lease?.spec, holderIdentity: "another" } });
  expect(await outcome.promise).toMatchObject({ code: "LEADERSHIP_LOST" });
  expect(api.cluster.find(WIDGETS, { namespace: "default", name: "a" })?.spec).toBeUndefined();
});

test("a reference that moved concerns the object that it pointed to before, and the one that it points to now", async () => {
  const api = await startServer();
  const client = new KubeClient({ kubeConfig: api.kubeConfig() });
  const reflector = new Reflector<Widget>({ client, type: WIDGETS, log: recordLog().log });
  onTestFinished(async () => {
    await reflector.stop();
    await client.close();
  });
  const keys: string[] = [];
  const source = sourceOf(reflector, ({ spec }) => (spec?.color === undefined ? [] : [spec.color]));
  const disconnect = source.connect((key) => {
    keys.push(key);
    api.bell.ring();
  });
  api.cluster.create(WIDGETS, widget("a", { spec: { color: "red" } }));
  reflector.start();
  await reflector.whenSynced();
  api.cluster.replace(WIDGETS, widget("a", { spec: { color: "blue" } }));
  await api.bell.until(() => keys.includes("blue"));
  expect(keys.toSorted()).toEqual(["blue", "red", "red"]);
  disconnect();
});

test("a status is no news to a source that asks for the spec alone", async () => {
  const api = await startServer();
  const client = new KubeClient({ kubeConfig: api.kubeConfig() });
  const reflector = new Reflector<Widget>({ client, type: WIDGETS, log: recordLog().log });
  onTestFinished(async () => {
    await reflector.stop();
    await client.close();
  });
  const specKeys: string[] = [];
  const allKeys: string[] = [];
  sourceOf(reflector, undefined, hasSpecNews).connect((key) => specKeys.push(key));
  sourceOf(reflector).connect((key) => {
    allKeys.push(key);
    api.bell.ring();
  });
  const created = api.cluster.create(WIDGETS, widget("a", { spec: { color: "red" } }));
  reflector.start();
  await reflector.whenSynced();
  const metadata = { name: "a", namespace: "default", uid: String(created.metadata?.uid) };
  await client.apply(
    WIDGETS,
    { metadata, status: { ready: 1 } },
    { fieldManager: "test", subresource: "status" },
  );
  await api.bell.until(() => allKeys.length === 2);
  expect(specKeys).toEqual(["default/a"]);
  api.cluster.replace(WIDGETS, widget("a", { spec: { color: "blue" } }));
  await api.bell.until(() => allKeys.length === 3);
  expect(specKeys).toEqual(["default/a", "default/a"]);
  await client.delete(WIDGETS, { name: "a", namespace: "default" });
  await api.bell.until(() => allKeys.length === 4);
  expect(specKeys).toHaveLength(3);
});

test("a health port that is taken ends the run with its error", async () => {
  const api = await startServer();
  const one = startProcess(api, "one");
  const port = await one.runtime.healthPort;
  const client = new KubeClient({ kubeConfig: api.kubeConfig("two") });
  onTestFinished(() => client.close());
  const runtime = new OperatorRuntime({
    controllers: [],
    client,
    log: recordLog().log,
    election: { kubeConfig: api.kubeConfig("two"), lease: LEASE, name: "two" },
    health: { host: "127.0.0.1", port },
  });
  await expect(runtime.run(new AbortController().signal)).rejects.toMatchObject({
    code: "HEALTH_PORT",
    port,
  });
});
