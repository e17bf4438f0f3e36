/**
 * Who may what through the gateway of a real cluster: a user with a client certificate only, one with a token, one without the
 * right, one who acts as another; and what the audit log says of it.
 */
import { holds, STORES, WORKFLOWS } from "@memflow/operator/api";
import { expect } from "vitest";
import {
  clusterCertificate,
  installEvaluation,
  letImpersonate,
  reachGateway,
  useCluster,
} from "../cluster/testing/index.ts";
import type { GatewayAnswer, ScenarioBench } from "../cluster/testing/index.ts";

const { scenario } = useCluster({ form: "node" });
const LIMIT_MS = 240_000;
const RBAC = "rbac.authorization.k8s.io";

/** What the audit log has of a request. */
interface AuditLine {
  readonly log: string;
  readonly user: string;
  readonly impersonatedBy?: string;
  readonly verb: string;
  readonly name?: string;
  readonly runId?: string;
  readonly requestId: string;
  readonly outcome: string;
}

scenario(
  "users act by their own rights and are named in the audit log: by certificate, by token, as another, or not at all",
  async (bench) => {
    const startedMs = performance.now();
    await installEvaluation(bench, { "gateway.enabled": true, "operator.replicas": 1 });
    figure("chart with gateway installed", startedMs);
    await applyObjects(bench);
    const [ada, bob, eve] = await Promise.all([
      clusterCertificate(bench, "ada", ["team"]),
      clusterCertificate(bench, "bob"),
      clusterCertificate(bench, "eve"),
      untilStartable(bench),
    ]);
    const [token, kubeToken] = await Promise.all([
      bench.kubectl(["create", "token", "grace", "--audience", "memflow"]),
      bench.kubectl(["create", "token", "grace"]),
    ]);
    const vaultToken = await bench.kubectl(["create", "token", "grace", "--audience", "vault"]);
    const gateway = await reachGateway(bench);
    const grace = `system:serviceaccount:${bench.namespace}:grace`;

    // By a certificate alone: starts and signals, and no more.
    const started = await gateway.ask({ path: "/runs", certificate: ada, body: { workflow: "order" } });
    expect(started.status).toBe(201);
    const runId = String(started.body["runId"]);
    const signal = { path: `/runs/${runId}/signals/paid`, body: { data: 1 } };
    const signaled = await gateway.ask({ ...signal, certificate: ada });
    expect(signaled.status).toBe(201);
    const terminate = { path: `/runs/${runId}:terminate`, body: {} };
    const refused = await gateway.ask({ ...terminate, certificate: ada });
    expect(refused.status).toBe(403);
    expect(refused.body["detail"]).toContain(
      `user "ada" may not terminate workflows/runs.memflow.io "order" in namespace "${bench.namespace}"`,
    );
    // Of another Workflow not even that, whatever the request says.
    const elsewhere = await gateway.ask({ path: "/runs", certificate: ada, body: { workflow: "other" } });
    expect(elsewhere.status).toBe(403);

    // Without the right, and without anybody.
    const stranger = await gateway.ask({ ...signal, certificate: eve });
    expect([stranger.status, stranger.body["code"]]).toEqual([403, "Forbidden"]);
    expect(stranger.body["detail"]).toContain('user "eve" may not signal');
    expect((await gateway.ask(signal)).status).toBe(401);
    expect((await gateway.ask({ ...signal, headers: { "x-remote-user": "ada" } })).status).toBe(401);
    expect((await gateway.ask({ ...signal, token: vaultToken })).status).toBe(401);

    // As another, by those who may.
    const asAda = { "impersonate-user": "ada" };
    const acted = await gateway.ask({ ...signal, certificate: bob, headers: asAda });
    expect(acted.status).toBe(201);
    expect((await gateway.ask({ ...signal, certificate: bob })).status).toBe(403);
    expect((await gateway.ask({ ...terminate, certificate: bob, headers: asAda })).status).toBe(403);
    const usurped = await gateway.ask({ ...signal, certificate: eve, headers: asAda });
    expect([usurped.status, usurped.body["detail"]]).toEqual([
      403,
      expect.stringContaining('user "eve" may not impersonate users "ada"'),
    ]);

    // By a token: one for the gateway, and one as a kubeconfig has it.
    expect((await gateway.ask({ path: `/runs/${runId}`, token: kubeToken })).body["status"]).toBe("running");
    const ended = await gateway.ask({ ...terminate, token });
    expect([ended.status, ended.body["status"]]).toEqual([200, "terminated"]);

    const lines = await auditLines(bench);
    const lineOf = ({ requestId }: GatewayAnswer): AuditLine | undefined =>
      lines.find((line) => line.requestId === requestId);
    expect(lineOf(signaled)).toMatchObject({
      user: "ada",
      verb: "signal",
      name: "order",
      runId,
      outcome: "allowed",
    });
    expect(lineOf(refused)).toMatchObject({
      user: "ada",
      verb: "terminate",
      name: "order",
      runId,
      outcome: "denied",
    });
    expect(lineOf(acted)).toMatchObject({
      user: "ada",
      impersonatedBy: "bob",
      verb: "signal",
      outcome: "allowed",
    });
    expect(lineOf(usurped)).toMatchObject({
      user: "eve",
      verb: "impersonate",
      name: "ada",
      outcome: "denied",
    });
    expect(lineOf(ended)).toMatchObject({
      user: grace,
      verb: "terminate",
      name: "order",
      outcome: "allowed",
    });
    // Never the account by which the gateway itself asks, and no credential.
    expect([...new Set(lines.map(({ user }) => user))].toSorted()).toEqual(["ada", "bob", "eve", grace]);
    expect(JSON.stringify(lines)).not.toContain(token);
    figure("whole scenario", startedMs);
  },
  LIMIT_MS,
);

/** A Store in the evaluation Postgres, a queue that runs no pod, two Workflows, and everybody's rights. */
async function applyObjects(bench: ScenarioBench): Promise<void> {
  const ours = (kind: string, name: string, spec: object): object => ({
    apiVersion: "memflow.io/v1alpha1",
    kind,
    metadata: { name },
    spec,
  });
  const connection = { secretRef: { name: "memflow-postgres" }, tls: { mode: "disable" } };
  const workers = { source: { image: { ref: "example.com/none:1" } } };
  const user = (name: string): object => ({ kind: "User", name, apiGroup: RBAC });
  await bench.apply([
    ours("Store", "main", { connection }),
    ours("TaskQueue", "orders", {
      storeRef: { name: "main" },
      scaling: { mode: "Manual" },
      replicas: 0,
      workers,
    }),
    ours("Workflow", "order", { taskQueueRef: { name: "orders" } }),
    ours("Workflow", "other", { taskQueueRef: { name: "orders" } }),
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "grace" } },
    {
      apiVersion: `${RBAC}/v1`,
      kind: "Role",
      metadata: { name: "order-signaler" },
      rules: [
        {
          apiGroups: ["memflow.io"],
          resources: ["workflows/runs"],
          resourceNames: ["order"],
          verbs: ["create", "get", "signal"],
        },
        // So that a refusal may name the object.
        { apiGroups: ["memflow.io"], resources: ["workflows/runs"], verbs: ["list"] },
      ],
    },
    binding("ada", { kind: "Role", name: "order-signaler" }, user("ada")),
    binding(
      "grace",
      { kind: "ClusterRole", name: `${bench.namespace}-memflow-run-operator` },
      { kind: "ServiceAccount", name: "grace", namespace: bench.namespace },
    ),
  ]);
  await letImpersonate(bench, "bob", "ada");
}

function binding(name: string, role: object, subject: object): object {
  return {
    apiVersion: `${RBAC}/v1`,
    kind: "RoleBinding",
    metadata: { name },
    roleRef: { apiGroup: RBAC, ...role },
    subjects: [subject],
  };
}

async function untilStartable(bench: ScenarioBench): Promise<void> {
  await bench.waitFor({
    type: STORES,
    name: "main",
    until: (store) => store !== undefined && holds(store, "Ready"),
  });
  await bench.waitFor({
    type: WORKFLOWS,
    name: "order",
    until: (workflow) => workflow?.status !== undefined,
  });
}

/** Of all gateways. */
async function auditLines(bench: ScenarioBench): Promise<readonly AuditLine[]> {
  const logs = await bench.kubectl(["logs", "--selector=app.kubernetes.io/component=gateway", "--tail=-1"]);
  return logs
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as AuditLine)
    .filter(({ log }) => log === "audit");
}

function figure(name: string, sinceMs: number): void {
  console.log(`figure: ${name} ${Math.round(performance.now() - sinceMs)} ms`);
}
