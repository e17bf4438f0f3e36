/**
 * `kubectl memflow` on a real cluster, as users have it: beside kubectl, with a kubeconfig that has a client certificate only, or a
 * token, through the API server to the chart's gateway.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { KubeConfig } from "@kubernetes/client-node";
import { holds, STORES, TASK_QUEUES, WORKFLOWS } from "@memflow/operator/api";
import { expect } from "vitest";
import { parseAllDocuments } from "yaml";
import { programPath } from "../cluster/programs.ts";
import {
  clusterCertificate,
  letImpersonate,
  installEvaluation,
  PRODUCT_IMAGES,
  useCluster,
} from "../cluster/testing/index.ts";
import type { ScenarioBench } from "../cluster/testing/index.ts";

const { scenario } = useCluster({ form: "node" });
const LIMIT_MS = 240_000;
const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const MAIN = join(PROJECT, "kubectl-memflow", "src", "main.ts");
const RBAC = "rbac.authorization.k8s.io";
const QUEUES = ["research", "analysis", "notifications"] as const;
const USERS = ["ada", "bob", "eve"] as const;

/** How a command ended. */
interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Somebody with a kubeconfig. */
type Person = (...args: readonly string[]) => Promise<Ended>;

scenario(
  "kubectl memflow executes the agent for a user with a certificate only and for one with a token, and refuses one without the right",
  async (bench) => {
    const startedMs = performance.now();
    await installEvaluation(bench, {
      "gateway.enabled": true,
      "gateway.replicas": 1,
      "operator.replicas": 1,
    });
    await applyAgent(bench);
    await applyRights(bench);
    const folder = await pluginFolder(bench);
    const [ada, bob, eve] = await Promise.all(
      USERS.map(async (user) => {
        const { cert, key } = await clusterCertificate(bench, user);
        const credentials = {
          "client-certificate-data": Buffer.from(cert).toString("base64"),
          "client-key-data": Buffer.from(key).toString("base64"),
        };
        return person(bench, { folder, name: user, credentials });
      }),
    );
    const token = await bench.kubectl(["create", "token", "grace"]);
    const grace = await person(bench, { folder, name: "grace", credentials: { token } });
    if (ada === undefined || bob === undefined || eve === undefined) throw new Error("a user is missing");
    await untilServed(bench);
    figure("everything installed", startedMs);
    await writeFile(
      join(folder, "q.json"),
      JSON.stringify({ question: "Is a step lost or done twice when its worker is killed?", paceMs: 0 }),
    );

    // By a certificate alone, with live progress.
    const executedMs = performance.now();
    const executed = await ada("execute", "research-agent", "--input", "@q.json");
    figure("kubectl memflow execute research-agent", executedMs);
    if (executed.code !== 0) throw new Error(`execute ended with ${executed.code}: ${executed.err}`);
    expect(JSON.parse(executed.out)).toMatchObject({
      question: "Is a step lost or done twice when its worker is killed?",
    });
    expect(executed.err).toMatch(/^run\/\S+ started \(researchAgent, /mu);
    expect(executed.err).toMatch(/ s {2}researchAgent +activity surveyCorpus$/mu);
    expect(executed.err).toMatch(/ s {2}researchAgent +child detailedAnalysis completed$/mu);
    expect((await ada("whoami")).out).toMatch(/^user {5}ada\n(.*\n)*known by certificate\n/u);

    // By a token.
    const byToken = await grace(
      "execute",
      "research-agent",
      "--input",
      "@q.json",
      "--quiet",
      "-o",
      "jsonpath={.question}",
    );
    expect(byToken).toEqual({
      code: 0,
      out: "Is a step lost or done twice when its worker is killed?\n",
      err: "",
    });

    // Without the right, and without that to terminate.
    const refused = await eve("execute", "research-agent", "--input", "@q.json");
    expect(refused).toMatchObject({ code: 4, out: "" });
    expect(refused.err).toContain('user "eve" may not create');
    expect(refused.err).toContain("next: ");
    const slow = JSON.stringify({ question: "Who writes history?", paceMs: 10_000 });
    const started = await ada("start", "research-agent", "--input", slow, "-o", "jsonpath={.runId}");
    const runId = started.out.trim();
    const terminated = await ada("terminate", runId);
    expect(terminated.code).toBe(4);
    expect(terminated.err).toContain(
      'user "ada" may not terminate workflows/runs.memflow.io "research-agent"',
    );

    // As another, by who may.
    expect((await bob("get", runId)).code).toBe(4);
    expect(await bob("get", runId, "--as", "ada", "-o", "name")).toMatchObject({
      code: 0,
      out: `run/${runId}\n`,
    });
    const usurped = await eve("get", runId, "--as", "ada");
    expect(usurped.code).toBe(4);
    expect(usurped.err).toContain('user "eve" may not impersonate users "ada"');

    // What only a cluster has.
    expect((await grace("queues", "research", "-o", "jsonpath={.scaling.desired}")).out).toMatch(/^\d+\n$/u);
    expect((await grace("terminate", runId)).code).toBe(0);
    figure("whole scenario", startedMs);
  },
  LIMIT_MS,
);

/** The example as it is written, on the evaluation Postgres and with this checkout's image; all queues served from the beginning. */
async function applyAgent(bench: ScenarioBench): Promise<void> {
  const folder = join(PROJECT, "examples", "research-agent");
  const documents = ["store", "task-queue", "workflow"].flatMap((name) =>
    parseAllDocuments(readFileSync(join(folder, `${name}.yaml`), "utf8")).map(
      (document) => document.toJS() as { readonly kind: string; readonly spec: Record<string, unknown> },
    ),
  );
  const changed = documents
    .filter(({ kind }) => kind !== "Secret")
    .map((object) => {
      const { kind, spec } = object;
      if (kind === "Store") {
        const connection = { secretRef: { name: "memflow-postgres" }, tls: { mode: "disable" } };
        return { ...object, spec: { ...spec, connection } };
      }
      if (kind !== "TaskQueue") return object;
      const image = { ref: PRODUCT_IMAGES.researchAgent, pullPolicy: "Never" };
      const scaling = { minReplicas: 1, maxReplicas: 1 };
      const resources = { requests: { cpu: "10m", memory: "96Mi" }, limits: { memory: "384Mi" } };
      return { ...object, spec: { ...spec, scaling, workers: { source: { image }, resources } } };
    });
  await bench.apply(changed);
}

/** Everybody may reach the gateway; ada may start the agent and read runs, grace all, bob act as ada, and eve nothing. */
async function applyRights(bench: ScenarioBench): Promise<void> {
  const { namespace } = bench;
  const user = (name: string): object => ({ kind: "User", name, apiGroup: RBAC });
  const grace = { kind: "ServiceAccount", name: "grace", namespace };
  const role = (name: string, rules: readonly object[]): object => ({
    apiVersion: `${RBAC}/v1`,
    kind: "Role",
    metadata: { name },
    rules,
  });
  const bind = (name: string, roleRef: object, subjects: readonly object[]): object => ({
    apiVersion: `${RBAC}/v1`,
    kind: "RoleBinding",
    metadata: { name },
    roleRef: { apiGroup: RBAC, ...roleRef },
    subjects,
  });
  const runs = { apiGroups: ["memflow.io"], resources: ["workflows/runs"] };
  await bench.apply([
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "grace" } },
    role("reach-gateway", [
      { apiGroups: [""], resources: ["services", "configmaps"], verbs: ["get"] },
      { apiGroups: [""], resources: ["pods"], verbs: ["list"] },
      { apiGroups: [""], resources: ["pods/portforward"], verbs: ["get", "create"] },
    ]),
    role("agent-starter", [
      { ...runs, resourceNames: ["research-agent"], verbs: ["create"] },
      { ...runs, verbs: ["get", "list"] },
    ]),
    bind("reach-gateway", { kind: "Role", name: "reach-gateway" }, [...USERS.map(user), grace]),
    bind("agent-starter", { kind: "Role", name: "agent-starter" }, [user("ada")]),
    role("agent-owner", [
      { ...runs, verbs: ["create", "get", "list", "terminate"] },
      { apiGroups: ["memflow.io"], resources: ["taskqueues"], verbs: ["get"] },
    ]),
    bind("agent-owner", { kind: "Role", name: "agent-owner" }, [grace]),
  ]);
  await letImpersonate(bench, "bob", "ada");
}

async function untilServed(bench: ScenarioBench): Promise<void> {
  await Promise.all([
    bench.waitFor({
      type: STORES,
      name: "research",
      until: (store) => store !== undefined && holds(store, "Ready"),
    }),
    bench.waitFor({
      type: WORKFLOWS,
      name: "research-agent",
      until: (workflow) => workflow?.status !== undefined,
    }),
    ...QUEUES.map((name) =>
      bench.waitFor({ type: TASK_QUEUES, name, until: (queue) => queue?.status?.readyReplicas === 1 }),
    ),
  ]);
}

/** A folder with the plugin under the name by which kubectl finds it. */
async function pluginFolder(bench: ScenarioBench): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "memflow-plugin-"));
  bench.afterwards(() => rm(folder, { recursive: true, force: true }));
  const plugin = join(folder, "kubectl-memflow");
  await writeFile(plugin, `#!/bin/sh\nexec "${process.execPath}" -C source "${MAIN}" "$@"\n`);
  await chmod(plugin, 0o755);
  return folder;
}

/** Runs `kubectl memflow` with a kubeconfig of its own. */
async function person(
  bench: ScenarioBench,
  {
    folder,
    name,
    credentials,
  }: {
    readonly folder: string;
    readonly name: string;
    readonly credentials: Readonly<Record<string, string>>;
  },
): Promise<Person> {
  const administrator = new KubeConfig();
  administrator.loadFromFile(bench.cluster.kubeconfig);
  const cluster = administrator.getCurrentCluster();
  if (cluster === null) throw new Error("the cluster's kubeconfig names no cluster");
  const kubeconfig = join(folder, `${name}.kubeconfig`);
  const { namespace } = bench;
  const document = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name, cluster: { server: cluster.server, "certificate-authority-data": cluster.caData } }],
    users: [{ name, user: credentials }],
    contexts: [{ name, context: { cluster: name, user: name, namespace } }],
    "current-context": name,
  };
  await writeFile(kubeconfig, JSON.stringify(document), { mode: 0o600 });
  const kubectl = await programPath("kubectl");
  const searched = [folder, dirname(kubectl), process.env["PATH"] ?? ""].join(delimiter);
  return async (...args) => {
    const child = spawn(kubectl, ["memflow", ...args, "--gateway-namespace", namespace], {
      cwd: folder,
      env: { ...process.env, PATH: searched, KUBECONFIG: kubeconfig },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
    return { code: child.exitCode, out, err };
  };
}

function figure(name: string, sinceMs: number): void {
  console.log(`figure: ${name} ${Math.round(performance.now() - sinceMs)} ms`);
}
