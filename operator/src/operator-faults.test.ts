/** The whole process against an API server that fails in many ways: it comes to the end that it comes to without. */
import { API_VERSION } from "@memflow/crds";
import { quoteIdentifier } from "@memflow/engine/provision";
import { expect, onTestFinished, test } from "vitest";
import { SCHEDULES, STORES, TASK_QUEUES, WORKFLOWS } from "./api/index.ts";
import type { CustomObject } from "./api/index.ts";
import { readConfig } from "./config.ts";
import { CONTROLLER_REVISIONS, DEPLOYMENTS, SECRETS } from "./kube/index.ts";
import type { KubeObject, ResourceType } from "./kube/index.ts";
import { runOperator } from "./operator.ts";
import { adminSession, databaseUrl, uniqueName } from "./stores/testing/operated-store.ts";
import { recordLog } from "./testing/log-recorder.ts";
import type { Fault, FaultTarget } from "./testing/mock-api/faults.ts";
import type { MockApiServer } from "./testing/mock-api/mock-api-server.ts";
import { startOperatorCluster } from "./testing/operator-cluster.ts";

const FAULTS_TIMEOUT_MS = 180_000;
const NAMESPACE = "shop";
const WRITES: FaultTarget = { verbs: ["create", "patch", "update"] };
const WATCHES: FaultTarget = { verbs: ["watch"] };

/** Each is met at least once; a fault of a watch is met when that begins anew. */
const FAULTS: readonly (readonly [Fault, FaultTarget, times: number])[] = [
  [{ kind: "refuse", status: 410, reason: "Expired" }, WATCHES, 3],
  [{ kind: "break-watch", afterCount: 1, by: { status: 410, reason: "Expired" } }, WATCHES, 3],
  [{ kind: "break-watch", afterCount: 1, by: "reset" }, WATCHES, 3],
  [{ kind: "break-watch", afterCount: 0, by: "garbled-line" }, WATCHES, 3],
  [{ kind: "replay", count: 3 }, WATCHES, 3],
  [{ kind: "refuse", status: 429, reason: "TooManyRequests", retryAfterSeconds: 1 }, { verbs: ["list"] }, 3],
  [{ kind: "refuse", status: 500, reason: "InternalError" }, { verbs: ["list", "get"] }, 3],
  [{ kind: "reset" }, WRITES, 4],
  [{ kind: "lose-answer" }, WRITES, 4],
  [{ kind: "refuse", status: 500, reason: "InternalError" }, WRITES, 4],
  [{ kind: "refuse", status: 429, reason: "TooManyRequests", retryAfterSeconds: 1 }, WRITES, 2],
  [{ kind: "cut-body" }, WRITES, 2],
  [{ kind: "silence" }, WRITES, 1],
];

interface Living {
  readonly api: MockApiServer;
  readonly schema: string;
}

async function start(faults: typeof FAULTS): Promise<Living> {
  const api = await startOperatorCluster();
  const admin = adminSession();
  const schema = uniqueName("faults");
  const stopping = new AbortController();
  for (const [fault, target, times] of faults) api.faults.inject(fault, target, times);
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
      lookMs: 5,
    },
    stopping.signal,
  );
  onTestFinished(async () => {
    api.faults.clear();
    stopping.abort();
    await ended;
    await api.close();
    await admin.query({ text: `drop schema if exists ${quoteIdentifier(schema)} cascade` });
  });
  return { api, schema };
}

function apply({ api }: Living, type: ResourceType<CustomObject>, name: string, spec: object): void {
  const known = api.cluster.find(type, { namespace: NAMESPACE, name });
  const metadata = { name, namespace: NAMESPACE };
  if (known !== undefined) api.cluster.replace(type, { ...known, spec });
  else api.cluster.create(type, { apiVersion: API_VERSION, kind: type.kind, metadata, spec });
}

function applyQueue(living: Living, image: string): void {
  apply(living, TASK_QUEUES, "orders", {
    storeRef: { name: "main" },
    workers: { source: { image: { ref: image } } },
  });
}

function applyAll(living: Living): void {
  const { api, schema } = living;
  const uri = Buffer.from(databaseUrl()).toString("base64");
  api.cluster.create(SECRETS, { metadata: { name: "database", namespace: NAMESPACE }, data: { uri } });
  const connection = { secretRef: { name: "database" }, tls: { mode: "disable" } };
  apply(living, STORES, "main", { connection, schema, provisioning: { roles: "Shared" } });
  applyQueue(living, "shop/orders:1");
  apply(living, WORKFLOWS, "report", { taskQueueRef: { name: "orders" } });
  apply(living, SCHEDULES, "nightly", { workflowRef: { name: "report" }, when: { cron: ["0 3 * * *"] } });
}

/** What of the end must not depend on the way. */
function picture({ api }: Living): unknown {
  const list = <T extends KubeObject>(type: ResourceType<T>): readonly T[] => api.cluster.list(type);
  const conditions = [STORES, TASK_QUEUES, WORKFLOWS, SCHEDULES].flatMap((type: ResourceType<CustomObject>) =>
    list(type).flatMap(({ status }) =>
      (
        (status as { conditions?: { type: string; status: string; reason: string }[] } | undefined)
          ?.conditions ?? []
      )
        .map((condition) => `${type.plural} ${condition.type} ${condition.status} ${condition.reason}`)
        .toSorted(),
    ),
  );
  const queue = list(TASK_QUEUES)[0]?.status;
  return {
    conditions,
    builds: queue?.versions?.map(({ phase }) => phase),
    deployments: list(DEPLOYMENTS).map(({ metadata, spec }) => [metadata?.name, spec?.replicas]),
    revisions: list(CONTROLLER_REVISIONS).map(({ metadata }) => metadata?.name),
  };
}

async function untilReady(living: Living): Promise<void> {
  await expect
    .poll(() => JSON.stringify(picture(living)), { timeout: FAULTS_TIMEOUT_MS / 2 })
    .toMatch(/schedules Ready True.*"deployments":\[\[/u);
}

test(
  "every fault of the API server, met by all controllers at once, changes nothing about the end",
  async () => {
    const quiet = await start([]);
    const harmed = await start(FAULTS);
    for (const living of [quiet, harmed]) applyAll(living);
    for (const living of [quiet, harmed]) await untilReady(living);
    // A watch may say nothing but bookmarks; and what is written for a new build meets all of it again.
    harmed.api.sendBookmarks();
    for (const [fault, target, times] of FAULTS) harmed.api.faults.inject(fault, target, times);
    for (const living of [quiet, harmed]) applyQueue(living, "shop/orders:2");
    await expect.poll(() => JSON.stringify(picture(quiet)), { timeout: 60_000 }).toMatch(/"Pending".*,1\]/u);
    await expect.poll(() => picture(harmed), { timeout: FAULTS_TIMEOUT_MS / 2 }).toEqual(picture(quiet));
    expect(harmed.api.faults.metCount).toBeGreaterThan(FAULTS.length);
  },
  FAULTS_TIMEOUT_MS,
);
