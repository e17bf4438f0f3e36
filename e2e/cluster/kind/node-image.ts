/**
 * The image of kind's nodes: a public one, or one composed here where no container registry is reached.
 *
 * MEMFLOW_E2E_KIND_IMAGE decides: the name of an image, or `local` for the composed one. Without it kind's own default is taken
 * where it can be pulled, and the composed one elsewhere.
 */
import { mkdir, rm, symlink, copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { baseImageArchive } from "../base-images.ts";
import { cached, digestOf, entryFolder, isCached } from "../cache.ts";
import type { CacheEntry } from "../cache.ts";
import { runCommand, succeeds } from "../command.ts";
import type { DockerDaemon } from "../docker.ts";
import { writeImageArchive, writeLayer } from "../image-archive.ts";
import { KIND_MODULE, KUBERNETES_VERSION, programEntry, programPath } from "../programs.ts";

/** The image of a cluster's nodes. */
export interface NodeImage {
  /** Left out: kind's default. */
  readonly name?: string;
  readonly isComposed: boolean;
}

const SETTING = "MEMFLOW_E2E_KIND_IMAGE";
/** The default of the kind that we build. */
const PUBLIC_IMAGE =
  "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5";
const COMPOSED_NAME = "localhost/memflow/kind-node";
const SCRIPT = join(import.meta.dirname, "make-node-tree.sh");
const HELD = join(import.meta.dirname, "../local/runc-held-caps");

/** Packages that composing needs. */
export const COMPOSING_PACKAGES: readonly string[] = ["jq", "mmdebstrap", "unzip", "util-linux"];

/** Decides for an image, makes it if need be, and has the daemon hold it. */
export async function provideNodeImage({ env, isOwn }: DockerDaemon): Promise<NodeImage> {
  const setting = process.env[SETTING] ?? "";
  if (setting !== "" && setting !== "local") return { name: setting, isComposed: false };
  const has = (name: string): Promise<boolean> => succeeds("docker", ["image", "inspect", name], { env });
  if (setting === "" && !isOwn) {
    const isPublic =
      (await has(PUBLIC_IMAGE)) || (await succeeds("docker", ["pull", "--quiet", PUBLIC_IMAGE], { env }));
    if (isPublic) return { name: PUBLIC_IMAGE, isComposed: false };
  }
  const entry = await composedImage();
  const name = `${COMPOSED_NAME}:${digestOf(entry.inputs)}`;
  const folder = await cached(entry);
  if (!(await has(name))) {
    await runCommand("docker", ["load", "--quiet", "--input", join(folder, "image.tar")], { env });
  }
  return { name, isComposed: true };
}

/** Whether the composed image is in the cache. */
export async function isNodeImageComposed(): Promise<boolean> {
  return isCached(await composedImage());
}

async function composedImage(): Promise<CacheEntry> {
  const parts = await Promise.all((["kube", "coredns", "pause"] as const).map(programEntry));
  const scripts = await Promise.all([SCRIPT, HELD].map((path) => readFile(path, "utf8")));
  const entry = {
    name: "image-kind-node",
    inputs: [KIND_MODULE, ...parts.map(entryFolder), ...scripts],
  };
  return { ...entry, build: (out) => compose(out, `${COMPOSED_NAME}:${digestOf(entry.inputs)}`) };
}

async function compose(out: string, name: string): Promise<void> {
  const kube = await programPath("kube");
  const module = await runCommand("go", ["mod", "download", "-json", KIND_MODULE]);
  const { Dir: source } = JSON.parse(module) as { Dir: string };
  const files = join(source, "images/base/files");
  const archives = await controlPlaneArchives(
    out,
    kube,
    await readFile(join(files, "etc/containerd/config.toml"), "utf8"),
  );
  const tree = join(out, "tree");
  await runCommand("nice", ["-n", "10", SCRIPT, tree, files, kube, HELD, ...archives]);
  const layer = join(out, "layer.tar");
  await writeLayer(tree, layer);
  await rm(tree, { recursive: true });
  await Promise.all(archives.map((archive) => rm(archive)));
  await writeImageArchive(
    {
      name,
      layers: [layer],
      entrypoint: ["/usr/local/bin/entrypoint", "/sbin/init"],
      environment: ["container=docker"],
      stopSignal: "SIGRTMIN+3",
    },
    { archive: join(out, "image.tar"), folder: join(out, "image") },
  );
  await rm(layer);
}

/** An archive for each image that kubeadm asks for, under the names that it asks for. */
async function controlPlaneArchives(out: string, kube: string, containerd: string): Promise<string[]> {
  const list = await runCommand(kube, [
    "kubeadm",
    "config",
    "images",
    "list",
    "--kubernetes-version",
    KUBERNETES_VERSION,
  ]);
  const [, sandbox = ""] = /sandbox_image = "(.*)"/u.exec(containerd) ?? [];
  const programs = join(out, "programs.tar");
  await layerOfKube(join(out, "programs"), kube, programs);
  const tools = join(out, "tools");
  await runCommand("mmdebstrap", [
    "--quiet",
    "--variant=extract",
    "--format=directory",
    "--include=nftables",
    "bookworm",
    tools,
  ]);
  await rm(join(tools, "dev"), { recursive: true, force: true });
  await writeLayer(tools, join(out, "tools.tar"));
  await rm(tools, { recursive: true });
  const archives: string[] = [];
  for (const name of [...list.trim().split("\n"), sandbox]) {
    const archive = join(out, `${digestOf([name])}-part.tar`);
    const [program = ""] = name.slice(name.lastIndexOf("/") + 1).split(":");
    if (program === "pause" || program === "coredns") {
      await renameImage(await baseImageArchive(program), { name, archive, folder: join(out, "renamed") });
    } else {
      const layers = program === "kube-proxy" ? [join(out, "tools.tar"), programs] : [programs];
      await writeImageArchive({ name, layers }, { archive, folder: join(out, "image") });
    }
    archives.push(archive);
  }
  await Promise.all([programs, join(out, "tools.tar")].map((path) => rm(path)));
  return archives;
}

async function layerOfKube(tree: string, kube: string, layer: string): Promise<void> {
  const programs = join(tree, "usr/local/bin");
  await mkdir(programs, { recursive: true });
  await copyFile(kube, join(programs, "kube"));
  for (const name of ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"]) {
    await symlink("kube", join(programs, name));
  }
  await writeLayer(tree, layer);
  await rm(tree, { recursive: true });
}

/** The same image under another name. */
async function renameImage(
  source: string,
  { name, archive, folder }: { readonly name: string; readonly archive: string; readonly folder: string },
): Promise<void> {
  await mkdir(folder);
  await runCommand("tar", ["-C", folder, "-xf", source]);
  const manifest = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8")) as object[];
  const renamed = JSON.stringify(manifest.map((image) => ({ ...image, RepoTags: [name] })));
  await runCommand("tee", [join(folder, "manifest.json")], { input: renamed });
  await runCommand("sh", ["-c", 'tar -C "$1" -cf "$2" $(ls "$1")', "sh", folder, archive]);
  await rm(folder, { recursive: true });
}
