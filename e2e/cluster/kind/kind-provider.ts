/**
 * The provider `kind`: Kubernetes in Docker, as users have it.
 *
 * Takes the Docker daemon that answers, or starts one of its own (see `docker.ts`). Each cluster has one node, a name and a
 * kubeconfig of its own: the user's kubeconfig and other clusters stay as they are.
 */
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { baseImageArchive } from "../base-images.ts";
import { cacheFolder } from "../cache.ts";
import { attachCluster } from "../clusters.ts";
import { runCommand, succeeds } from "../command.ts";
import { installPackages, missingPackages } from "../debian-packages.ts";
import { isDockerInstalled, missingDocker, useDocker, withDocker } from "../docker.ts";
import type { DockerDaemon } from "../docker.ts";
import { programPath, unbuiltPrograms, unfitMachine } from "../programs.ts";
import type { Cluster, ClusterProvider, StartOptions } from "../provider.ts";
import { supervise } from "../supervise.ts";
import { COMPOSING_PACKAGES, isNodeImageComposed, provideNodeImage } from "./node-image.ts";

const SUPERVISOR = join(import.meta.dirname, "supervise.sh");
const VOLUMES = join(import.meta.dirname, "../local/volumes.sh");
/** The network of the composed image is written down in it. */
const COMPOSED_CONFIGURATION = {
  networking: {
    disableDefaultCNI: true,
    podSubnet: "10.245.0.0/16",
    serviceSubnet: "10.97.0.0/16",
    kubeProxyMode: "nftables",
  },
  kubeadmConfigPatches: ["{kind: KubeletConfiguration, failCgroupV1: false}"],
} as const;

/** Starts clusters in Docker. */
export const kindProvider: ClusterProvider = {
  name: "kind",
  forms: ["node"],
  async missing() {
    const reasons = unfitMachine();
    if (reasons.length > 0) return reasons;
    reasons.push(...(await missingDocker()));
    if ((await unbuiltPrograms(["kind"])).length > 0 && !(await succeeds("go", ["version"]))) {
      reasons.push("it needs Go 1.24 or newer on PATH to build kind");
    }
    return reasons;
  },
  async isPrepared() {
    const [docker, unbuilt, composed] = await Promise.all([
      isDockerInstalled(),
      unbuiltPrograms(["kind", "kubectl"]),
      isNodeImageComposed(),
    ]);
    return (
      docker && unbuilt.length === 0 && (composed || process.env["MEMFLOW_E2E_KIND_IMAGE"] !== undefined)
    );
  },
  async prepare() {
    await programPath("kubectl");
    await programPath("kind");
    if ((await missingPackages(COMPOSING_PACKAGES)).length > 0 && process.getuid?.() === 0) {
      await installPackages(COMPOSING_PACKAGES);
    }
    await withDocker(provideNodeImage);
    await baseImageArchive("base");
    await baseImageArchive("postgres");
  },
  start,
};

async function start({ form = "node" }: StartOptions = {}): Promise<Cluster> {
  if (form !== "node") throw new RangeError(`provider "kind" has no form "${form}"`);
  const daemon = await useDocker();
  try {
    return await startOn(daemon);
  } catch (error) {
    await daemon.release();
    throw error;
  }
}

async function startOn(daemon: DockerDaemon): Promise<Cluster> {
  const image = await provideNodeImage(daemon);
  const kind = await programPath("kind");
  const runs = join(cacheFolder(), "kind-runs");
  await mkdir(runs, { recursive: true });
  const run = await mkdtemp(join(runs, "run-"));
  const configuration = join(run, "cluster.json");
  const header = { kind: "Cluster", apiVersion: "kind.x-k8s.io/v1alpha4" };
  await writeFile(
    configuration,
    JSON.stringify({ ...header, ...(image.isComposed ? COMPOSED_CONFIGURATION : {}) }),
  );
  const kubeconfig = join(run, "kubeconfig");
  const supervisor = await supervise({
    what: "kind cluster",
    script: SUPERVISOR,
    args: [kind, configuration, kubeconfig, ...(image.name === undefined ? [] : [image.name])],
    env: daemon.env,
  });
  const stop = async (): Promise<void> => {
    await supervisor.stop();
    await daemon.release();
  };
  try {
    const name = supervisor.value("name");
    if (daemon.isOwn) await addressDirectly({ kubeconfig, node: `${name}-control-plane`, daemon });
    const cluster = attachCluster({
      provider: "kind",
      form: "node",
      kubeconfig,
      kubectlProgram: await programPath("kubectl"),
      nodes: [`${name}-control-plane`],
      loader: { kind, name, ...daemon.env },
      podsReachable: false,
    });
    if (image.isComposed) await complete({ ...cluster, stop }, daemon);
    return { ...cluster, stop };
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
}

/** A daemon of our own publishes its ports in its own network: the node is reached by its address. */
async function addressDirectly({
  kubeconfig,
  node,
  daemon,
}: {
  readonly kubeconfig: string;
  readonly node: string;
  readonly daemon: DockerDaemon;
}): Promise<void> {
  const form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
  const address = (
    await runCommand("docker", ["inspect", "--format", form, node], { env: daemon.env })
  ).trim();
  const text = await readFile(kubeconfig, "utf8");
  await writeFile(kubeconfig, text.replace(/server: .*/u, `server: https://${address}:6443`));
}

/** What the public image brings and the composed one does not: volumes, and a DNS that does not wait for its network. */
async function complete(cluster: Cluster, { env }: DockerDaemon): Promise<void> {
  const [node = ""] = cluster.nodes;
  const folders = "mkdir -p /var/lib/memflow-volumes/{1..20} && chmod 777 /var/lib/memflow-volumes/*";
  await runCommand("docker", ["exec", node, "bash", "-c", folders], { env });
  await cluster.kubectl(["apply", "-f", "-"], await runCommand(VOLUMES, [node]));
  await cluster.kubectl(["wait", "node", "--all", "--for", "condition=Ready", "--timeout", "90s"]);
  const system = ["--namespace", "kube-system"];
  await cluster.kubectl([...system, "rollout", "status", "daemonset/kube-proxy", "--timeout", "90s"]);
  // Pods that began before the rules for Services were written hang in a connection for half a minute.
  await cluster.kubectl([
    ...system,
    "delete",
    "pod",
    "-l",
    "k8s-app=kube-dns",
    "--force",
    "--grace-period",
    "0",
  ]);
  await cluster.kubectl([...system, "rollout", "status", "deployment/coredns", "--timeout", "90s"]);
}
