/** How a process begins, what it serves, and how it ends. */
import { expect, onTestFinished, test } from "vitest";
import { TASK_QUEUES } from "./api/index.ts";
import { readConfig } from "./config.ts";
import type { ControllerParts } from "./controllers.ts";
import { CUSTOM_RESOURCE_DEFINITIONS, NAMESPACES, sourceOf } from "./kube/index.ts";
import { runOperator } from "./operator.ts";
import type { OperatorOptions, OperatorPorts } from "./operator.ts";
import { recordLog } from "./testing/log-recorder.ts";
import type { LogEntry } from "./testing/log-recorder.ts";
import type { MockApiServer } from "./testing/mock-api/mock-api-server.ts";
import { definitions, startOperatorCluster } from "./testing/operator-cluster.ts";

interface ProcessUnderTest {
  readonly ports: OperatorPorts;
  readonly entries: readonly LogEntry[];
  get(path: string, port?: number): Promise<{ readonly status: number; readonly text: string }>;
  /** Resolves once `/readyz` answers with the text. */
  says(text: string): Promise<void>;
  stop(): Promise<void>;
}

async function startCluster(...args: Parameters<typeof startOperatorCluster>): Promise<MockApiServer> {
  const api = await startOperatorCluster(...args);
  onTestFinished(() => api.close());
  return api;
}

async function startProcess(
  api: MockApiServer,
  environment: Record<string, string> = {},
  options: Partial<OperatorOptions> = {},
): Promise<ProcessUnderTest> {
  const { log, entries } = recordLog();
  const config = readConfig(
    {
      MEMFLOW_OPERATOR_NAMESPACE: "memflow",
      MEMFLOW_OPERATOR_PORT: "0",
      MEMFLOW_OPERATOR_HOST: "127.0.0.1",
      MEMFLOW_OPERATOR_RETRY_PERIOD: "20ms",
      ...environment,
    },
    { hostName: "operator-0", version: "1.2.3" },
  );
  const stopping = new AbortController();
  const listening = Promise.withResolvers<OperatorPorts>();
  const ended = runOperator(
    {
      config,
      kubeConfig: api.kubeConfig(),
      log,
      controllers: () => [],
      lookMs: 5,
      onListening: listening.resolve,
      ...options,
    },
    stopping.signal,
  );
  ended.catch(listening.reject);
  const stop = async (): Promise<void> => {
    stopping.abort();
    await ended;
  };
  onTestFinished(() => stop().catch(() => {}));
  const ports = await listening.promise;
  const get: ProcessUnderTest["get"] = async (path, port = ports.health) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, text: await response.text() };
  };
  const says = async (text: string): Promise<void> => {
    await expect.poll(async () => (await get("/readyz")).text, { timeout: 20_000 }).toContain(text);
  };
  return { ports, entries, get, says, stop };
}

test("a process that found everything leads, and gives the lease back at its end", async () => {
  const api = await startCluster();
  const one = await startProcess(api);
  await one.says("leader");
  expect(await one.get("/healthz")).toEqual({ status: 200, text: "ok\n" });
  await one.stop();
  const two = await startProcess(api);
  await two.says("leader");
  expect(one.entries.filter(({ level }) => level === "error")).toEqual([]);
});

test("at its end nothing waits for a process whose own namespace is being deleted, and at any other end all does", async () => {
  const api = await startCluster();
  const held = { namespace: "shop", name: "orders" };
  const finalizers = ["memflow.io/drain", "example.com/of-another"];
  api.cluster.create(TASK_QUEUES, { metadata: { ...held, finalizers } });
  const finalizersOf = (): unknown => api.cluster.find(TASK_QUEUES, held)?.metadata?.finalizers;
  api.cluster.create(NAMESPACES, { metadata: { name: "memflow", finalizers: ["kubernetes"] } });
  const one = await startProcess(api);
  await one.says("leader");
  await one.stop();
  expect(finalizersOf()).toEqual(finalizers);

  const two = await startProcess(api);
  await two.says("leader");
  api.cluster.delete(NAMESPACES, { name: "memflow" });
  await two.stop();
  expect(finalizersOf()).toEqual(["example.com/of-another"]);
});

test("a lacking definition is named with the command that installs it, and waited for", async () => {
  const api = await startCluster();
  const name = "stores.memflow.io";
  api.cluster.delete(CUSTOM_RESOURCE_DEFINITIONS, { name, namespace: undefined });
  const process = await startProcess(api);
  await process.says(`the definition "${name}" is not installed`);
  expect((await process.get("/readyz")).status).toBe(503);
  expect((await process.get("/readyz")).text).toContain("helm upgrade --install memflow-crds");
  expect((await process.get("/healthz")).status).toBe(200);
  expect(api.requestsOf("create", "leases")).toEqual([]);
  for (const definition of definitions()) {
    if (definition.metadata?.name === name) api.cluster.create(CUSTOM_RESOURCE_DEFINITIONS, definition);
  }
  await process.says("leader");
});

test("an older definition is named with a field that it lacks; a newer one is taken", async () => {
  const api = await startCluster();
  const name = "taskqueues.memflow.io";
  const ours = definitions().find(({ metadata }) => metadata?.name === name);
  const schema = ours?.spec.versions[0]?.schema?.openAPIV3Schema?.properties?.["spec"]?.properties;
  if (!ours?.metadata || !schema) throw new Error("the definition has no spec");
  const { scaling, ...older } = schema;
  const install = (properties: object): void => {
    const changed = structuredClone(ours);
    changed.metadata = { name, annotations: { "memflow.io/schema-hash": "of-another-version" } };
    const spec = changed.spec.versions[0]?.schema?.openAPIV3Schema?.properties?.["spec"];
    Object.assign(spec ?? {}, { properties });
    api.cluster.delete(CUSTOM_RESOURCE_DEFINITIONS, { name, namespace: undefined });
    api.cluster.create(CUSTOM_RESOURCE_DEFINITIONS, changed);
  };
  install(older);
  const process = await startProcess(api);
  await process.says(`"${name}" is of another version and lacks spec.scaling`);
  expect((await process.get("/readyz")).status).toBe(503);
  install({ ...older, scaling, added: { type: "string" } });
  await process.says("leader");
});

test("who may not read definitions is told so, and goes on", async () => {
  const api = await startCluster();
  api.faults.inject(
    { kind: "refuse", status: 403, reason: "Forbidden" },
    { plural: "customresourcedefinitions" },
  );
  const process = await startProcess(api);
  await process.says("leader");
  expect(process.entries.map(({ message }) => message)).toContain(
    "the role may not read the definitions of our kinds: their version is not checked",
  );
});

test("an API server that does not answer is waited for", async () => {
  const api = await startCluster();
  api.faults.inject({ kind: "refuse", status: 401, reason: "Unauthorized" }, { verbs: ["get"] });
  const process = await startProcess(api);
  await process.says("leader");
  expect(process.entries.map(({ message }) => message)).toContain(
    "the API server can't be asked, trying again",
  );
});

test("a role that may not list Secrets costs a warning; one that may not follow TaskQueues an error that names them", async () => {
  const refused = ["secrets", "taskqueues"];
  const api = await startCluster({ mayAccess: ({ resource }) => !refused.includes(resource) });
  let parts: ControllerParts | undefined;
  const process = await startProcess(
    api,
    {},
    {
      controllers: (given) => {
        parts = given;
        return [];
      },
    },
  );
  await process.says("leader");
  expect(parts?.followed.secrets).toBeUndefined();
  expect(parts?.followed.configMaps?.state.synced).toBe(true);
  const noted = process.entries.map(({ level, fields }) => [
    level,
    fields["resource"] ?? fields["resources"],
  ]);
  expect(noted).toContainEqual(["error", "taskqueues"]);
  expect(noted).toContainEqual(["warn", ["secrets"]]);
});

test("with namespaces named, nothing is asked of the whole cluster", async () => {
  const asked: (string | undefined)[] = [];
  const api = await startCluster({
    mayAccess: ({ namespace }) => {
      asked.push(namespace);
      return true;
    },
  });
  const process = await startProcess(api, { MEMFLOW_OPERATOR_WATCH_NAMESPACES: "a,b" });
  await process.says("leader");
  expect(new Set(asked)).toEqual(new Set(["a", "b"]));
});

test("metrics tell of reconciles, queues, objects and requests, on the port that is asked for", async () => {
  const api = await startCluster();
  const reconciled = Promise.withResolvers<void>();
  api.cluster.create(TASK_QUEUES, {
    metadata: { name: "mail", namespace: "shop" },
    spec: { storeRef: { name: "main" } },
  });
  const process = await startProcess(
    api,
    { MEMFLOW_OPERATOR_METRICS_PORT: "0" },
    {
      controllers: ({ followed, scalingGauges }) => [
        {
          name: "probe",
          sources: [sourceOf(followed.taskQueues)],
          reconcile: async (key) => {
            expect(followed.taskQueues.store.find("store", "shop/main").length).toBe(1);
            scalingGauges.set(key, {
              backlog: 7,
              oldestAgeSeconds: 1.5,
              inFlight: 3,
              desiredReplicas: 2,
              readyReplicas: 1,
            });
            reconciled.resolve();
            return undefined;
          },
        },
      ],
    },
  );
  await reconciled.promise;
  expect(process.ports.metrics).not.toBe(process.ports.health);
  expect((await process.get("/metrics")).status).toBe(404);
  await expect
    .poll(async () => (await process.get("/metrics", process.ports.metrics)).text)
    .toContain('memflow_operator_reconciles_total{controller="probe",outcome="done"} 1');
  const { text } = await process.get("/metrics", process.ports.metrics);
  expect(text).toContain("memflow_operator_leader 1");
  expect(text).toContain('memflow_operator_work_queue_keys{controller="probe",state="failing"} 0');
  expect(text).toContain('memflow_operator_objects{resource="taskqueues"} 1');
  expect(text).toMatch(/memflow_operator_api_requests_total\{method="GET",code="200"\} \d+/u);
  expect(text).toContain('memflow_operator_reflector_failures{resource="taskqueues"} 0');
  expect(text).toContain('memflow_queue_depth{kubernetes_namespace="shop",task_queue="mail"} 7');
  expect(text).toContain(
    'memflow_queue_oldest_age_seconds{kubernetes_namespace="shop",task_queue="mail"} 1.5',
  );
});

test("writes of a reconcile are crash points, before and after", async () => {
  const api = await startCluster();
  api.cluster.create(TASK_QUEUES, { metadata: { name: "mail", namespace: "shop" } });
  const done = Promise.withResolvers<void>();
  const process = await startProcess(
    api,
    { MEMFLOW_OPERATOR_CRASH_AT: "record" },
    {
      controllers: ({ followed }) => [
        {
          name: "probe",
          sources: [sourceOf(followed.taskQueues)],
          reconcile: async (_key, { client }) => {
            const body = { metadata: { labels: { seen: "yes" } } };
            const name = { name: "mail", namespace: "shop" };
            await client.patch(TASK_QUEUES, name, { kind: "merge", body }, { fieldManager: "probe" });
            done.resolve();
            return undefined;
          },
        },
      ],
    },
  );
  await done.promise;
  const places = process.entries.filter(({ message }) => message === "passed a crash point");
  expect(places.map(({ fields }) => fields["place"])).toEqual([
    "probe.patch.taskqueues.before",
    "probe.patch.taskqueues.after",
  ]);
});

test("a port that is taken is refused", async () => {
  const api = await startCluster();
  const one = await startProcess(api);
  await expect(
    startProcess(api, { MEMFLOW_OPERATOR_PORT: one.ports.health.toString() }),
  ).rejects.toMatchObject({ code: "HEALTH_PORT" });
});
