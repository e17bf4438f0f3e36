/**
 * A Postgres in the namespace of a scenario, as a user would bring one, and a way to ask it from the test.
 *
 * It goes with the namespace, and its data with it. The Secret of its name has its address under `uri`.
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { V1Pod, V1Service } from "@kubernetes/client-node";
import { namespaced } from "@memflow/operator/kube";
import type { Wire } from "@memflow/operator/kube";
import pg from "pg";
import { baseImageArchive, BASE_IMAGE_TAGS } from "../base-images.ts";
import type { ScenarioBench } from "./scenario-bench.ts";

/** A database of a scenario. */
export interface ScenarioDatabase {
  /** For pods of the cluster. */
  readonly uri: string;
  /** For this process. */
  readonly hostUri: string;
  /** Runs SQL as the owner of the database, over a pool that ends with the scenario. */
  query(text: string, values?: readonly unknown[]): Promise<pg.QueryResult<Record<string, unknown>>>;
}

/** A database that can be away for a while. */
export interface InterruptibleDatabase extends ScenarioDatabase {
  /** Stops all its processes where they are: connections stay open, and nobody answers. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Takes its pod away, so that nobody listens any more. */
  takeAway(): Promise<void>;
  /** Puts a new pod onto the same data, and waits until it answers. */
  bringBack(): Promise<void>;
}

const PODS = namespaced<Wire<V1Pod>>("v1", "Pod", "pods");
const SERVICES = namespaced<Wire<V1Service>>("v1", "Service", "services");
const USER = "memflow";
const PASSWORD = "memflow";
const PORT = 5432;
const CONNECTIONS_MAX = 3;
const SERVER_CONNECTIONS_MAX = 300;

/** Starts Postgres as pod, Service and Secret of one name (default `postgres`) and waits until it answers. */
export async function startPostgres(bench: ScenarioBench, name = "postgres"): Promise<ScenarioDatabase> {
  return start(bench, { name, data: { emptyDir: {} } });
}

/** The same, with its data on a volume of the cluster. Only where pods are reached by their addresses. */
export async function startInterruptiblePostgres(
  bench: ScenarioBench,
  name = "postgres",
): Promise<InterruptibleDatabase> {
  const form = { name, data: { persistentVolumeClaim: { claimName: name } } };
  await bench.apply(claimOf(name));
  const database = await start(bench, form);
  const pod = `pod/${name}`;
  // The first process of the pod's namespace is not Postgres, so that signals reach all of Postgres.
  const signal = (signalName: string): Promise<string> =>
    bench.kubectl(["exec", pod, "--", "sh", "-c", `kill -${signalName} -1`]);
  return {
    ...database,
    freeze: async () => void (await signal("STOP")),
    thaw: async () => void (await signal("CONT")),
    takeAway: async () => void (await bench.kubectl(["delete", pod, "--grace-period", "1"])),
    async bringBack() {
      await bench.apply(podOf(form));
      await untilReady(bench, name);
    },
  };
}

/** A database by its name, and where its data is. */
interface DatabaseForm {
  readonly name: string;
  readonly data: object;
}

async function start(bench: ScenarioBench, form: DatabaseForm): Promise<ScenarioDatabase> {
  const { name } = form;
  await bench.cluster.loadImages([await baseImageArchive("postgres")]);
  const uri = addressOf(`${name}.${bench.namespace}.svc.cluster.local`, PORT);
  await bench.apply([...addressObjects(name, uri), podOf(form)]);
  await untilReady(bench, name);
  return reachPostgres(bench, { pod: name, service: name, uri });
}

/**
 * Reaches a Postgres that runs in a pod of the namespace, with the credentials and the database of its own address; by its Service,
 * where one is named, which stays when the pod goes.
 */
export async function reachPostgres(
  bench: ScenarioBench,
  { pod, service, uri }: { readonly pod: string; readonly service?: string; readonly uri: string },
): Promise<ScenarioDatabase> {
  const address = new URL(uri);
  address.host = bench.cluster.podsReachable
    ? await directHost(bench, { pod, service })
    : await forwardedHost(bench, pod);
  const hostUri = address.href;
  const pool = new pg.Pool({ connectionString: hostUri, max: CONNECTIONS_MAX });
  // A connection of the pool that is lost while idle is made anew by the next query.
  pool.on("error", () => {});
  bench.afterwards(() => pool.end());
  return {
    uri,
    hostUri,
    query: (text, values) => pool.query(text, values === undefined ? undefined : [...values]),
  };
}

async function untilReady(bench: ScenarioBench, name: string): Promise<void> {
  await bench.waitFor({
    type: PODS,
    name,
    until: (pod) =>
      pod?.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true,
  });
}

function addressOf(host: string, port: number): string {
  return `postgres://${USER}:${PASSWORD}@${host}:${port}/${USER}`;
}

async function directHost(
  { client, namespace }: ScenarioBench,
  { pod, service }: { readonly pod: string; readonly service: string | undefined },
): Promise<string> {
  const host =
    service === undefined
      ? (await client.get(PODS, { name: pod, namespace })).status?.podIP
      : (await client.get(SERVICES, { name: service, namespace })).spec?.clusterIP;
  if (host === undefined) throw new Error(`pod "${pod}" is ready and has no address`);
  return `${host}:${PORT}`;
}

async function forwardedHost(bench: ScenarioBench, name: string): Promise<string> {
  const { kubectlProgram, kubeconfig } = bench.cluster;
  const target = ["port-forward", `pod/${name}`, `:${PORT}`, "--address", "127.0.0.1"];
  const child = spawn(kubectlProgram, ["--kubeconfig", kubeconfig, "-n", bench.namespace, ...target], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  bench.afterwards(async () => void child.kill());
  for await (const line of createInterface({ input: child.stdout })) {
    const [, port] = /127\.0\.0\.1:(\d+)/u.exec(line) ?? [];
    if (port !== undefined) return `127.0.0.1:${port}`;
  }
  throw new Error(`kubectl port-forward to pod "${name}" ended before it listened`);
}

function addressObjects(name: string, uri: string): readonly object[] {
  return [
    { apiVersion: "v1", kind: "Secret", metadata: { name }, stringData: { uri } },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name },
      spec: { selector: { "app.kubernetes.io/name": name }, ports: [{ port: PORT }] },
    },
  ];
}

function claimOf(name: string): object {
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
  };
}

function podOf({ name, data }: DatabaseForm): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { "app.kubernetes.io/name": name } },
    spec: {
      terminationGracePeriodSeconds: 5,
      shareProcessNamespace: true,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 10_001,
        fsGroup: 10_001,
        seccompProfile: { type: "RuntimeDefault" },
      },
      containers: [
        {
          name: "postgres",
          image: BASE_IMAGE_TAGS.postgres,
          imagePullPolicy: "Never",
          // Twenty workers and an operator have more than the default of 100.
          args: ["-c", `max_connections=${SERVER_CONNECTIONS_MAX}`],
          env: [
            { name: "POSTGRES_USER", value: USER },
            { name: "POSTGRES_PASSWORD", value: PASSWORD },
            { name: "PGDATA", value: "/var/lib/postgresql/data/server" },
          ],
          ports: [{ containerPort: PORT }],
          // Asked only until it is there: each answer costs a process, and on a busy machine one may come late.
          startupProbe: {
            exec: { command: ["pg_isready", "-q", "-h", "127.0.0.1"] },
            periodSeconds: 1,
            timeoutSeconds: 10,
            failureThreshold: 120,
          },
          securityContext: {
            allowPrivilegeEscalation: false,
            capabilities: { drop: ["ALL"] },
            readOnlyRootFilesystem: true,
          },
          volumeMounts: [{ name: "data", mountPath: "/var/lib/postgresql/data" }],
        },
      ],
      volumes: [{ name: "data", ...data }],
    },
  };
}
