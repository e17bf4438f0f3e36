/**
 * Uses a cluster that runs, by its description: also from another process than the one that started it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream, existsSync } from "node:fs";
import { mkdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { digestOf } from "./cache.ts";
import { CommandError, runCommand } from "./command.ts";
import { withFileLock } from "./file-lock.ts";
import type { Cluster, ClusterDescription } from "./provider.ts";

/** A cluster that somebody else stops. */
export type AttachedCluster = Omit<Cluster, "stop">;

/** Makes the functions of a running cluster from its description. */
export function attachCluster(description: ClusterDescription): AttachedCluster {
  return {
    ...description,
    kubectl: (args, input) =>
      runCommand(
        description.kubectlProgram,
        ["--kubeconfig", description.kubeconfig, ...args],
        input === undefined ? {} : { input },
      ),
    async loadImages(archives) {
      for (const archive of archives) await loadOnce(description, archive);
    },
  };
}

type Loader = ClusterDescription["loader"];

/** An archive that this cluster has already is not loaded again; marks beside the kubeconfig tell other processes so. */
async function loadOnce(description: ClusterDescription, archive: string): Promise<void> {
  const { mtimeMs, size } = await stat(archive);
  const folder = `${description.kubeconfig}.loaded`;
  const mark = join(folder, digestOf([archive, String(mtimeMs), String(size)]));
  await withFileLock(`${folder}.lock`, async () => {
    if (existsSync(mark)) return;
    if (description.provider === "local") await importIntoNode(description.loader, archive);
    else await loadIntoKind(description.loader, archive);
    await mkdir(folder, { recursive: true });
    await writeFile(mark, "");
  });
}

/** `pid` is process 1 of the node's namespaces. */
async function importIntoNode({ pid = "" }: Loader, archive: string): Promise<void> {
  const enter = ["--target", pid, "--mount", "--pid", "--net"];
  const child = spawn("nsenter", [...enter, "ctr", "--namespace", "k8s.io", "images", "import", "-"], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += String(data)));
  const closed = once(child, "close");
  await pipeline(createReadStream(archive), child.stdin);
  const [status] = (await closed) as [number | null];
  if (status !== 0) throw new CommandError(`ctr images import ${archive}`, status ?? undefined, output);
}

/** `kind` is the program, `name` that of the cluster; the rest is environment. */
async function loadIntoKind({ kind = "", name = "", ...env }: Loader, archive: string): Promise<void> {
  await runCommand(kind, ["load", "image-archive", archive, "--name", name], { env });
}
