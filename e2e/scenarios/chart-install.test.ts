/** The chart on a cluster with nodes: its images run as the strictest Pod Security wants them, and an uninstall leaves nothing. */
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { CHART } from "../charts/rendered-chart.ts";
import { baseImageArchive, BASE_IMAGE_TAGS } from "../cluster/base-images.ts";
import { PRODUCT_IMAGES, productImagesArchive } from "../cluster/product-images.ts";
import { useCluster } from "../cluster/testing/index.ts";
import type { ScenarioBench } from "../cluster/testing/index.ts";

const { scenario } = useCluster();
const MANIFESTS = fileURLToPath(new URL("../../crds/manifests", import.meta.url));
/** Of the image that is made here; that of the public one is the chart's default. */
const POSTGRES_UID = "10001";
const INSTALL_LIMIT_MS = 400_000;
const OURS = "app.kubernetes.io/part-of=memflow,helm.sh/chart";
const NAMESPACED =
  "all,secrets,configmaps,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets,leases";

/** Values that name an image which is loaded, and not pulled. */
function imageValues(value: string, image: string): readonly string[] {
  const colon = image.lastIndexOf(":");
  const set = { repository: image.slice(0, colon), tag: image.slice(colon + 1), pullPolicy: "Never" };
  return Object.entries(set).flatMap(([name, text]) => ["--set-string", `${value}.image.${name}=${text}`]);
}

async function install(bench: ScenarioBench, values: readonly string[]): Promise<string> {
  await bench.cluster.loadImages([await productImagesArchive(), await baseImageArchive("postgres")]);
  await bench.kubectl(["apply", "-f", MANIFESTS]);
  await bench.kubectl([
    "label",
    "namespace",
    bench.namespace,
    "pod-security.kubernetes.io/enforce=restricted",
  ]);
  return await bench.helm([
    "install",
    "memflow",
    CHART,
    "--wait",
    "--timeout=120s",
    ...imageValues("operator", PRODUCT_IMAGES.operator),
    ...imageValues("worker", PRODUCT_IMAGES.worker),
    ...imageValues("gateway", PRODUCT_IMAGES.gateway),
    ...imageValues("postgres", BASE_IMAGE_TAGS.postgres),
    "--set",
    `postgres.uid=${POSTGRES_UID}`,
    "--set",
    `watchNamespaces={${bench.namespace}}`,
    ...values,
  ]);
}

/** Names of the chart's objects that are there, in the namespace and of the cluster. */
async function objectsOfChart(bench: ScenarioBench): Promise<string> {
  const select = ["--selector", OURS, "--output", "name"];
  const here = await bench.kubectl(["get", NAMESPACED, ...select]);
  const cluster = await bench.cluster.kubectl(["get", "clusterroles,clusterrolebindings", ...select]);
  return [
    here,
    cluster
      .split("\n")
      .filter((name) => name.includes(bench.namespace))
      .join("\n"),
  ].join("");
}

scenario(
  "two processes of operator and gateway become ready, one operator leads, helm test passes, and an uninstall leaves nothing",
  async (bench) => {
    await install(bench, []);
    const lease = ["get", "lease", "memflow-operator", "--output", "jsonpath={.spec.holderIdentity}"];
    expect(await bench.kubectl(lease)).toMatch(/^memflow-operator-/u);
    expect(await bench.helm(["test", "memflow", "--timeout=120s"])).toMatch(/Phase:\s+Succeeded/u);
    expect(await objectsOfChart(bench)).toContain("deployment.apps/memflow-operator");

    await bench.helm(["uninstall", "memflow", "--wait", "--timeout=120s"]);
    expect(await objectsOfChart(bench)).toBe("");
  },
  INSTALL_LIMIT_MS,
);

scenario(
  "the evaluation Postgres starts without a volume and takes the password of its Secret",
  async (bench) => {
    const notes = await install(bench, ["--set", "postgres.enabled=true,postgres.persistence.enabled=false"]);
    expect(notes).toContain("EVALUATION ONLY");
    const uri = await bench.kubectl(["get", "secret", "memflow-postgres", "-o", "jsonpath={.data.uri}"]);
    const password = new URL(Buffer.from(uri, "base64").toString()).password;
    const version = await bench.kubectl([
      "exec",
      "memflow-postgres-0",
      "--",
      "env",
      `PGPASSWORD=${password}`,
      "psql",
      "--host=memflow-postgres",
      "--username=memflow",
      "--no-psqlrc",
      "--tuples-only",
      "--command=show max_connections",
    ]);
    expect(version.trim()).toBe("200");
    await bench.helm(["uninstall", "memflow", "--wait", "--timeout=120s"]);
  },
  INSTALL_LIMIT_MS,
);
