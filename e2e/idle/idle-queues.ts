/**
 * Many TaskQueues that have nothing to do, in one Store, and an operator that looks after them.
 *
 * The operator has come to rest when it is given out: all queues are at zero, and it writes nothing any more but its Lease.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { holds, STORES, TASK_QUEUES } from "@memflow/operator/api";
import type { TaskQueueObject } from "@memflow/operator/api";
import { KubeClient, LEASES, namespaced, readKubeConfig, Reflector } from "@memflow/operator/kube";
import type { KubeObject } from "@memflow/operator/kube";
import { Bell } from "@memflow/operator/testing";
import type { AttachedCluster } from "../cluster/clusters.ts";
import { OperatorProcess } from "../cluster/testing/operator-process.ts";
import { imageProgram } from "./image-program.ts";

/** What is made. */
export interface IdleOptions {
  readonly cluster: AttachedCluster;
  /** Of an empty database; the role may create schemas and roles. */
  readonly databaseUrl: string;
  readonly queueCount: number;
  /** Has something undone at the end, the last first. */
  afterwards(cleanup: () => Promise<void>): void;
}

/** What it asked of the API server, by the method of HTTP. */
export type RequestCounts = Readonly<Record<"GET" | "PUT" | "POST" | "PATCH" | "DELETE", number>>;

/** Memory of a process, in MiB. */
export interface ResidentMemory {
  readonly nowMib: number;
  /** Since its start. */
  readonly mostMib: number;
}

/** @see startIdleOperator */
export interface IdleOperator {
  readonly pid: number;
  /** Waits until it has renewed its Lease so many times, and says what it has asked of the API server meanwhile. */
  renewals(count: number): Promise<RequestCounts>;
  residentMemory(): Promise<ResidentMemory>;
}

interface SecretObject extends KubeObject {
  readonly stringData: Readonly<Record<string, string>>;
}

const MANIFESTS = fileURLToPath(new URL("../../crds/manifests/", import.meta.url));
const SECRETS = namespaced<SecretObject>("v1", "Secret", "secrets");
const METHODS = ["GET", "PUT", "POST", "PATCH", "DELETE"] as const;
const REQUESTS_METRIC = "memflow_operator_api_requests_total";
const OPERATOR_NAMESPACE = "memflow-system";
const NAMESPACE = "idle";
const WRITERS = 8;
/** For so many renewals nothing was written: it rests. */
const REST_RENEWALS = 2;
const KIB_PER_MIB = 1_024;

/** The image has no cache of compiled code, which Node keeps in memory until it ends. */
const IMAGE_ENVIRONMENT = { NODE_DISABLE_COMPILE_CACHE: "1" };

/** Makes the queues in a fresh cluster, starts an operator as its image does, and waits until it rests. */
export async function startIdleOperator(options: IdleOptions): Promise<IdleOperator> {
  const { cluster, queueCount } = options;
  const { kubeconfig } = cluster;
  await cluster.kubectl(["apply", "-f", MANIFESTS]);
  await cluster.kubectl(["wait", "crd", "--all", "--for", "condition=Established", "--timeout", "60s"]);
  for (const name of [OPERATOR_NAMESPACE, NAMESPACE]) await cluster.kubectl(["create", "namespace", name]);
  const client = new KubeClient({ kubeConfig: readKubeConfig(kubeconfig) });
  options.afterwards(() => client.close());
  const place = { ...options, namespace: OPERATOR_NAMESPACE };
  const operator = new OperatorProcess(place, IMAGE_ENVIRONMENT, await imageProgram());
  await operator.line("listening");
  const idle: IdleOperator = {
    pid: operator.pid,
    renewals: (count) => watchRenewals(client, operator, count),
    residentMemory: () => readMemory(operator.pid),
  };
  await makeQueues(client, options);
  await untilSeen(client, TASK_QUEUES, (queues) => queues.filter(isAtRest).length === queueCount);
  let counts: RequestCounts;
  do counts = await idle.renewals(REST_RENEWALS);
  while (writesOf(counts) > 0);
  return idle;
}

/** Writes to objects; that of a Lease is a PUT. */
export function writesOf({ POST, PATCH, DELETE }: RequestCounts): number {
  return POST + PATCH + DELETE;
}

async function makeQueues(client: KubeClient, { databaseUrl, queueCount }: IdleOptions): Promise<void> {
  const fieldManager = "idle-queues";
  const place = { namespace: NAMESPACE };
  const secret = { metadata: { ...place, name: "postgres" }, stringData: { uri: databaseUrl } };
  await client.create(SECRETS, secret, { fieldManager });
  const spec = {
    connection: { secretRef: { name: "postgres" }, tls: { mode: "disable" } },
    schema: "idle",
  };
  await client.create(STORES, { metadata: { ...place, name: "main" }, spec }, { fieldManager });
  await untilSeen(client, STORES, (stores) => stores.some((store) => holds(store, "Ready")));
  const names = Array.from({ length: queueCount }, (_, index) => `queue-${index}`).values();
  const write = async (): Promise<void> => {
    for (const name of names) {
      const workers = { source: { image: { ref: "example.com/workers:1" } } };
      const queue = { metadata: { ...place, name }, spec: { storeRef: { name: "main" }, workers } };
      await client.create(TASK_QUEUES, queue, { fieldManager });
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, write));
}

function isAtRest({ status }: TaskQueueObject): boolean {
  return status?.scaling?.desired === 0 && status.currentBuildId !== undefined;
}

async function untilSeen<T extends KubeObject>(
  client: KubeClient,
  type: ConstructorParameters<typeof Reflector<T>>[0]["type"],
  isSeen: (objects: readonly T[]) => boolean,
): Promise<void> {
  const reflector = new Reflector({ client, type, selection: { namespace: NAMESPACE }, log: () => {} });
  const bell = new Bell();
  reflector.onChange(() => bell.ring());
  reflector.start();
  try {
    await bell.until(() => isSeen(reflector.store.list()));
  } finally {
    await reflector.stop();
  }
}

async function watchRenewals(
  client: KubeClient,
  operator: OperatorProcess,
  count: number,
): Promise<RequestCounts> {
  const bell = new Bell();
  const selection = { namespace: OPERATOR_NAMESPACE };
  const reflector = new Reflector({ client, type: LEASES, selection, log: () => {} });
  let renewed = 0;
  reflector.start();
  try {
    await reflector.whenSynced();
    const before = await readRequests(operator);
    reflector.onChange(({ type }) => {
      if (type === "updated") renewed++;
      bell.ring();
    });
    await bell.until(() => renewed >= count);
    const after = await readRequests(operator);
    return Object.fromEntries(
      METHODS.map((method) => [method, after[method] - before[method]]),
    ) as RequestCounts;
  } finally {
    await reflector.stop();
  }
}

async function readRequests(operator: OperatorProcess): Promise<RequestCounts> {
  const metrics = [...(await operator.metrics())].filter(([name]) => name.startsWith(REQUESTS_METRIC));
  const sum = (method: string): number =>
    metrics
      .filter(([name]) => name.includes(`method="${method}"`))
      .reduce((total, [, value]) => total + value, 0);
  return Object.fromEntries(METHODS.map((method) => [method, sum(method)])) as RequestCounts;
}

async function readMemory(pid: number): Promise<ResidentMemory> {
  const text = await readFile(`/proc/${pid}/status`, "utf8");
  const mibOf = (field: string): number => {
    const [, kib] = new RegExp(`^${field}:\\s+(\\d+) kB$`, "mu").exec(text) ?? [];
    return Number(kib) / KIB_PER_MIB;
  };
  return { nowMib: mibOf("VmRSS"), mostMib: mibOf("VmHWM") };
}
