/**
 * The provider `local`: etcd, API server, kubelet, containerd and runc in Linux namespaces of their own, without Docker.
 *
 * A cluster is one process tree below `supervise.sh`, which lives as long as this process holds its pipe. Several run at
 * once, each with a network of its own. Needs root on Linux, and tools from Debian packages.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  BASE_IMAGE_TAGS,
  baseImageArchive,
  IMAGE_BUILD_PACKAGES,
  unbuiltBaseImages,
} from "../base-images.ts";
import type { BaseImageName } from "../base-images.ts";
import { cacheFolder } from "../cache.ts";
import { attachCluster } from "../clusters.ts";
import { succeeds } from "../command.ts";
import { installPackages, missingPackages } from "../debian-packages.ts";
import { isDockerInstalled, missingDocker, withDocker } from "../docker.ts";
import { applyFakeNodes } from "../fake-nodes.ts";
import { productImagesArchive } from "../product-images.ts";
import { programPath, unbuiltPrograms, unfitMachine } from "../programs.ts";
import type { ProgramName } from "../programs.ts";
import type { Cluster, ClusterForm, ClusterProvider, StartOptions } from "../provider.ts";
import { supervise } from "../supervise.ts";
import type { Supervisor } from "../supervise.ts";
import { SUPERVISOR } from "./supervisor.ts";

const PACKAGES: readonly string[] = [
  "conntrack",
  "containerd",
  "containernetworking-plugins",
  "ethtool",
  "iproute2",
  "iptables",
  "jq",
  "nftables",
  "openssl",
  "procps",
  "runc",
  "socat",
  "util-linux",
  ...IMAGE_BUILD_PACKAGES,
];
const PROGRAMS: readonly ProgramName[] = ["kubectl", "pause", "kube", "coredns", "kwok"];
/** Loaded when a node starts. */
const IMAGES: readonly BaseImageName[] = ["pause", "coredns"];
const FAKE_NODE_COUNT = 10;

/** Starts clusters of this machine's own processes. */
export const localProvider: ClusterProvider = {
  name: "local",
  forms: ["node", "control-plane", "fake-nodes"],
  missing,
  async isPrepared() {
    const [docker, packages, programs, images] = await Promise.all([
      isDockerInstalled(),
      missingPackages(PACKAGES),
      unbuiltPrograms(PROGRAMS),
      unbuiltBaseImages(Object.keys(BASE_IMAGE_TAGS) as BaseImageName[]),
    ]);
    return docker && packages.length + programs.length + images.length === 0;
  },
  async prepare() {
    await installPackages(PACKAGES);
    // Clusters do without it: it builds our images, now and when their sources have changed.
    await withDocker(async () => {});
    for (const name of PROGRAMS) await programPath(name);
    for (const name of Object.keys(BASE_IMAGE_TAGS) as BaseImageName[]) await baseImageArchive(name);
    await productImagesArchive();
  },
  start,
};

async function missing(): Promise<readonly string[]> {
  const reasons = unfitMachine();
  if (reasons.length > 0) return reasons;
  if (process.getuid?.() !== 0) reasons.push("it needs root: run as root, or use --provider kind");
  if (!existsSync("/sys/fs/cgroup/cgroup.controllers") && !existsSync("/sys/fs/cgroup/cpuset")) {
    reasons.push("it needs cgroups at /sys/fs/cgroup");
  }
  if (!(await succeeds("apt-get", ["--version"])) && (await missingPackages(PACKAGES)).length > 0) {
    reasons.push(`it needs Debian's packages ${PACKAGES.join(", ")}`);
  }
  const unbuilt = (await unbuiltPrograms(PROGRAMS)).filter((name) => name !== "kubectl");
  if (unbuilt.length > 0 && !(await succeeds("go", ["version"]))) {
    reasons.push(`it needs Go 1.24 or newer on PATH to build ${unbuilt.join(", ")}`);
  }
  return [...reasons, ...(await missingDocker())];
}

async function start(options: StartOptions = {}): Promise<Cluster> {
  const form = options.form ?? "node";
  const kube = await programPath("kube");
  const images = form === "node" ? await Promise.all(IMAGES.map(baseImageArchive)) : [];
  const supervisor = await supervise({
    what: "local cluster",
    script: SUPERVISOR,
    args: [join(cacheFolder(), "runs")],
    env: {
      FORM: form === "node" ? "node" : "control-plane",
      KUBE: kube,
      KWOK: form === "fake-nodes" ? await programPath("kwok") : "",
      IMAGES: images.join("\n"),
    },
  });
  const cluster = await clusterOf(supervisor, form);
  try {
    if (form === "fake-nodes") await applyFakeNodes(cluster, options.fakeNodeCount ?? FAKE_NODE_COUNT);
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

async function clusterOf(supervisor: Supervisor, form: ClusterForm): Promise<Cluster> {
  const attached = attachCluster({
    provider: "local",
    form,
    kubeconfig: supervisor.value("kubeconfig"),
    kubectlProgram: await programPath("kubectl"),
    nodes: form === "node" ? ["memflow-node"] : [],
    loader: { pid: supervisor.value("pid") },
    podsReachable: form === "node",
  });
  return { ...attached, stop: () => supervisor.stop() };
}
