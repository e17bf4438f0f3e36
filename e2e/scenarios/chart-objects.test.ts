/**
 * The chart on a real API server without nodes: what it renders is taken, its pods pass the strictest Pod Security, and its
 * rights are those that are written down.
 */
import { readFileSync, readdirSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { loadBaseObjects } from "@memflow/crds/testing";
import { expect } from "vitest";
import { CHART, podsOf, readObjects, readRights, rightsOf } from "../charts/rendered-chart.ts";
import type { RenderedObject } from "../charts/rendered-chart.ts";
import { CommandError, runCommand } from "../cluster/command.ts";
import { useCluster } from "../cluster/testing/index.ts";
import type { ScenarioBench } from "../cluster/testing/index.ts";

const { scenario } = useCluster({ form: "control-plane" });
const VALUE_FILES = readdirSync(join(CHART, "ci")).toSorted();
const WATCHED = ["team-a", "team-b"];
const SECURITY_PAGE = readFileSync(new URL("../../docs/security.md", import.meta.url), "utf8");

async function render(bench: ScenarioBench, args: readonly string[]): Promise<readonly RenderedObject[]> {
  return readObjects(await bench.helm(["template", "memflow", CHART, ...args]));
}

const valuesOf = (file: string): string[] => ["--values", join(CHART, "ci", file)];

async function establish(bench: ScenarioBench): Promise<void> {
  const manifests = new URL("../../crds/manifests", import.meta.url).pathname;
  await bench.kubectl(["apply", "-f", manifests]);
  await bench.kubectl(["wait", "crd", "--all", "--for", "condition=Established", "--timeout", "30s"]);
  for (const name of WATCHED) await bench.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
}

async function refusal(attempt: Promise<unknown>): Promise<string | undefined> {
  try {
    await attempt;
    return undefined;
  } catch (error) {
    if (error instanceof CommandError) return error.output;
    throw error;
  }
}

/** Whether the operator's service account may do it. */
async function operatorMay(bench: ScenarioBench, ...what: readonly string[]): Promise<boolean> {
  const as = `system:serviceaccount:${bench.namespace}:memflow-operator`;
  // An answer of "no" is status 1 as well.
  return (await refusal(bench.kubectl(["auth", "can-i", ...what, "--as", as]))) === undefined;
}

for (const file of VALUE_FILES) {
  scenario(
    `with ci/${file} the server takes every object, and its pods pass Pod Security "restricted"`,
    async (bench) => {
      await establish(bench);
      await bench.helm(["lint", CHART, "--strict", ...valuesOf(file)]);
      const objects = await render(bench, valuesOf(file));
      // The kinds of the Prometheus operator are not there; pods want a service account that is, and come below.
      const known = objects.filter(
        ({ apiVersion, kind }) => !apiVersion.startsWith("monitoring.coreos.com/") && kind !== "Pod",
      );
      const dryCreate = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
      await bench.cluster.kubectl(dryCreate, JSON.stringify(listOf(known)));

      const restricted = "pod-security.kubernetes.io/enforce=restricted";
      await bench.kubectl(["label", "namespace", bench.namespace, restricted]);
      const pods = podsOf(objects);
      expect(pods.length).toBeGreaterThan(0);
      for (const container of pods.flatMap(({ spec }) => spec.containers)) {
        expect(container.securityContext?.readOnlyRootFilesystem).toBe(true);
        expect(container.resources?.limits).toHaveProperty("memory");
        expect(container.image).toMatch(/[:@]\S+$/u);
      }
      await bench.kubectl(dryCreate, JSON.stringify(listOf(pods.map(withoutReferences))));
      expect(
        objects.filter(({ metadata }) => metadata.labels?.["app.kubernetes.io/part-of"] !== "memflow"),
      ).toEqual([]);
    },
  );
}

scenario("a value that the chart does not know, or of another kind, is refused by name", async (bench) => {
  const said = (set: string): Promise<string | undefined> => refusal(render(bench, ["--set", set]));
  expect(await said("operator.replica=3")).toMatch(/operator.*replica.* not allowed/su);
  expect(await said("operator.replicas=many")).toMatch(/operator\/replicas/u);
  expect(await said("watchNamespaces={Team_A}")).toMatch(/watchNamespaces/u);
  expect(await said("worker.image.digest=latest")).toMatch(/worker\/image\/digest/u);
});

scenario(
  "the operator's rights are those of docs/security.md, in a cluster and in namespaces",
  async (bench) => {
    const rulesOf = async (kind: string, name: string, args: readonly string[]) =>
      (await render(bench, args)).find(
        (object) => object.kind === kind && object.metadata.name.endsWith(name),
      )?.rules ?? [];
    const looked = readRights(SECURITY_PAGE, "Where it looks after objects");
    const cluster = readRights(SECURITY_PAGE, "In the cluster as a whole");
    expect(looked.length * cluster.length).toBeGreaterThan(0);

    expect(rightsOf(await rulesOf("ClusterRole", "memflow-operator", []))).toEqual(
      [...looked, ...cluster].toSorted(),
    );
    const namespaced = ["--set", `watchNamespaces={${WATCHED.join(",")}}`];
    expect(rightsOf(await rulesOf("ClusterRole", "memflow-operator", namespaced))).toEqual(cluster);
    expect(rightsOf(await rulesOf("Role", "memflow-operator", namespaced))).toEqual(looked);
    expect(rightsOf(await rulesOf("Role", "memflow-operator-leader", []))).toEqual(
      readRights(SECURITY_PAGE, "In its own namespace"),
    );
  },
);

scenario(
  "the gateway's rights are those of docs/security.md, in a cluster and in namespaces, and whose roles may what with runs",
  async (bench) => {
    const rulesOf = async (kind: string, name: string, args: readonly string[]) =>
      (await render(bench, args)).find(
        (object) => object.kind === kind && object.metadata.name.endsWith(name),
      )?.rules ?? [];
    const [served, own, cluster] = [
      "The gateway: where it serves Stores",
      "The gateway: in its own namespace",
      "The gateway: in the cluster as a whole",
    ].map((heading) => readRights(SECURITY_PAGE, heading));
    expect([served?.length, own?.length, cluster?.length]).toEqual([2, 2, 2]);
    const namespaced = ["--set", `watchNamespaces={${WATCHED.join(",")}}`];
    expect(rightsOf(await rulesOf("ClusterRole", "memflow-gateway", []))).toEqual(
      [...(served ?? []), ...(cluster ?? [])].toSorted(),
    );
    expect(rightsOf(await rulesOf("ClusterRole", "memflow-gateway", namespaced))).toEqual(cluster);
    expect(rightsOf(await rulesOf("Role", "memflow-gateway", namespaced))).toEqual(served);
    expect(rightsOf(await rulesOf("Role", "memflow-gateway-certificate", []))).toEqual(own);
    const given = ["--set", "gateway.tls.secretName=mine"];
    expect((await rulesOf("Role", "memflow-gateway-certificate", given)).length).toBe(1);

    const aggregated = async (args: readonly string[]): Promise<readonly string[]> =>
      (await render(bench, args)).flatMap(({ metadata: { name, labels = {} } }) =>
        Object.keys(labels)
          .filter((label) => name.includes("-run-") && label.includes("/aggregate-to-"))
          .map((label) => `${name.replace(/^.*-run-/u, "")} ${label.replace(/^.*aggregate-to-/u, "")}`),
      );
    expect(await aggregated([])).toEqual(["starter edit", "viewer edit", "operator edit"]);
    expect(await aggregated(["--set", "rbac.viewersReadRuns=true"])).toContain("viewer view");
  },
);

scenario(
  "in namespace mode the operator may do nothing elsewhere, and lists no Secret anywhere",
  async (bench) => {
    await establish(bench);
    await bench.helm(["install", "memflow", CHART, "--set", `watchNamespaces={${WATCHED.join(",")}}`]);
    bench.afterwards(async () => void (await bench.helm(["uninstall", "memflow", "--no-hooks"])));
    for (const namespace of WATCHED) {
      expect(await operatorMay(bench, "watch", "taskqueues.memflow.io", "--namespace", namespace)).toBe(true);
      expect(await operatorMay(bench, "get", "secrets", "--namespace", namespace)).toBe(true);
      expect(await operatorMay(bench, "list", "secrets", "--namespace", namespace)).toBe(false);
      expect(await operatorMay(bench, "update", "taskqueues.memflow.io", "--namespace", namespace)).toBe(
        false,
      );
    }
    for (const what of [
      ["get", "secrets"],
      ["list", "pods"],
      ["list", "stores.memflow.io"],
      ["create", "deployments"],
    ]) {
      expect(await operatorMay(bench, ...what, "--namespace", "default")).toBe(false);
      expect(await operatorMay(bench, ...what, "--all-namespaces")).toBe(false);
    }
    expect(await operatorMay(bench, "get", "customresourcedefinitions/stores.memflow.io")).toBe(true);
    expect(await operatorMay(bench, "list", "customresourcedefinitions")).toBe(false);
  },
);

scenario(
  "whoever may edit a namespace may write the four kinds there, whoever may view it may read them",
  async (bench) => {
    await establish(bench);
    await bench.helm(["install", "memflow", CHART]);
    bench.afterwards(async () => void (await bench.helm(["uninstall", "memflow", "--no-hooks"])));
    for (const role of ["view", "edit", "admin"]) {
      await bench.kubectl(["create", "rolebinding", role, `--clusterrole=${role}`, `--user=${role}er`]);
    }
    const may = async (user: string, verb: string, resource: string): Promise<boolean> =>
      (await refusal(bench.kubectl(["auth", "can-i", verb, resource, "--as", user]))) === undefined;
    // Aggregation is a controller's work.
    for (const role of ["edit", "admin"]) {
      for (const rule of ['"stores/status")].verbs[0]}=get', '"taskqueues/scale")].verbs[0]}=update']) {
        const condition = `--for=jsonpath={.rules[?(@.resources[0]==${rule}`;
        await bench.kubectl(["wait", `clusterrole/${role}`, "--timeout=30s", condition]);
      }
    }
    for (const plural of ["stores", "taskqueues", "workflows", "schedules"]) {
      const resource = `${plural}.memflow.io`;
      expect([await may("viewer", "watch", resource), await may("viewer", "create", resource)]).toEqual([
        true,
        false,
      ]);
      expect([await may("editer", "watch", resource), await may("editer", "create", resource)]).toEqual([
        true,
        true,
      ]);
      expect([await may("adminer", "delete", resource), await may("nobody", "get", resource)]).toEqual([
        true,
        false,
      ]);
    }
  },
);

scenario("an upgrade keeps the password of the evaluation Postgres", async (bench) => {
  await establish(bench);
  const password = (): Promise<string> =>
    bench.kubectl(["get", "secret", "memflow-postgres", "-o", "jsonpath={.data.password}"]);
  await bench.helm(["install", "memflow", CHART, "--set", "postgres.enabled=true"]);
  bench.afterwards(async () => void (await bench.helm(["uninstall", "memflow", "--no-hooks"])));
  const first = await password();
  expect(Buffer.from(first, "base64").toString()).toMatch(/^[A-Za-z0-9]{32}$/u);
  await bench.helm([
    "upgrade",
    "memflow",
    CHART,
    "--set",
    "postgres.enabled=true",
    "--set",
    "operator.replicas=1",
  ]);
  expect(await password()).toBe(first);
});

scenario(
  "what runs after an uninstall takes MemFlow's finalizers off every object, with no more rights than it has",
  async (bench) => {
    await establish(bench);
    const objects = await render(bench, []);
    const mine = objects.filter(
      ({ kind, metadata }) =>
        metadata.annotations?.["helm.sh/hook"] === "post-delete" && !["Job", "ConfigMap"].includes(kind),
    );
    expect(mine.map(({ kind }) => kind).toSorted()).toEqual([
      "ClusterRole",
      "ClusterRoleBinding",
      "Role",
      "RoleBinding",
      "ServiceAccount",
    ]);
    await bench.apply(mine);
    bench.afterwards(
      async () => void (await bench.kubectl(["delete", "-f", "-"], JSON.stringify(listOf(mine)))),
    );
    const base = loadBaseObjects() as readonly { readonly metadata: object }[];
    const finalizers = ["memflow.io/cleanup", "example.com/of-another"];
    await bench.apply(base.map((object) => ({ ...object, metadata: { ...object.metadata, finalizers } })));

    const lease = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "memflow-operator" },
    };
    await bench.apply(lease);

    await releaseFinalizers(bench);

    expect(await bench.kubectl(["get", "leases", "-o", "name"])).toBe("");
    const left = JSON.parse(
      await bench.kubectl(["get", "stores,taskqueues,workflows,schedules", "-o", "json"]),
    ) as {
      readonly items: readonly { readonly metadata: { readonly finalizers?: readonly string[] } }[];
    };
    expect(left.items.map(({ metadata }) => metadata.finalizers)).toEqual(
      base.map(() => ["example.com/of-another"]),
    );
    await bench.apply(
      base.map((object) => ({ ...object, metadata: { ...object.metadata, finalizers: [] } })),
    );
  },
);

/** What a pod names must be there, also for a dry run. */
function withoutReferences(pod: RenderedObject): object {
  const {
    serviceAccountName: _account,
    priorityClassName: _class,
    ...spec
  } = { ...pod.spec } as Readonly<Record<string, unknown>>;
  return { ...pod, spec };
}

const listOf = (items: readonly object[]): object => ({ apiVersion: "v1", kind: "List", items });

/** Runs the script of the hook's Job as its service account, from outside the cluster. */
async function releaseFinalizers(bench: ScenarioBench): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "memflow-hook-"));
  try {
    const kubeConfig = new KubeConfig();
    kubeConfig.loadFromFile(bench.cluster.kubeconfig);
    const server = kubeConfig.getCurrentCluster();
    const [token, authority] = [join(folder, "token"), join(folder, "ca.crt")];
    await writeFile(token, await bench.kubectl(["create", "token", "memflow-uninstall"]));
    await writeFile(
      authority,
      server?.caData === undefined
        ? readFileSync(server?.caFile ?? "")
        : Buffer.from(server.caData, "base64"),
    );
    await runCommand(process.execPath, [join(CHART, "files", "release-finalizers.mjs")], {
      env: {
        NODE_EXTRA_CA_CERTS: authority,
        MEMFLOW_API_SERVER: server?.server ?? "",
        MEMFLOW_TOKEN_FILE: token,
        OPERATOR_NAMESPACE: bench.namespace,
        OPERATOR_SELECTOR: "app.kubernetes.io/component=operator",
        LEASE: "memflow-operator",
        WATCH_NAMESPACES: "",
      },
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
