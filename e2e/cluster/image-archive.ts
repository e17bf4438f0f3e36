/**
 * Writes a container image as an archive that `docker load` and containerd's import take, without any container engine.
 *
 * An image is a list of layers, each a tar of a file tree, and a configuration. Equal trees give equal images: owners, times and
 * order are fixed. There is no step that runs inside: what needs one is made by who makes the tree.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { runCommand } from "./command.ts";

/** What `docker load` reads first. */
interface Manifest {
  readonly Config: string;
  readonly RepoTags: readonly string[];
  readonly Layers: readonly string[];
}

/** The part of an image's configuration that a further layer changes. */
interface Configuration {
  readonly rootfs: { readonly type: string; readonly diff_ids: readonly string[] };
  readonly history?: readonly object[];
}

/** What an image is made of. */
export interface ImageSource {
  /** As in `localhost/memflow/base:1`. */
  readonly name: string;
  /** Tar files, the lowest first. */
  readonly layers: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: readonly string[];
  /** As in `10001:10001` (default: root). */
  readonly user?: string;
  /** What ends it (default: SIGTERM). */
  readonly stopSignal?: string;
}

const EPOCH = "1970-01-01T00:00:00Z";
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

/** Tars a folder as a layer, all of it owned by root. */
export async function writeLayer(folder: string, layer: string): Promise<void> {
  const fixed = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", `--mtime=${EPOCH}`];
  await runCommand("tar", [...fixed, "-C", folder, "-cf", layer, "."]);
}

/** Writes the archive of an image; `folder` is emptied and used meanwhile. */
export async function writeImageArchive(
  source: ImageSource,
  { archive, folder }: { readonly archive: string; readonly folder: string },
): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const digests = await Promise.all(source.layers.map(digestOfFile));
  await Promise.all(
    source.layers.map((layer, index) => runCommand("ln", [layer, join(folder, `${digests[index]}.tar`)])),
  );
  const configuration = JSON.stringify({
    architecture: ARCHITECTURES[process.arch] ?? process.arch,
    os: "linux",
    created: EPOCH,
    config: {
      Entrypoint: source.entrypoint,
      Cmd: source.command,
      Env: [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ...(source.environment ?? []),
      ],
      User: source.user ?? "",
      StopSignal: source.stopSignal,
      WorkingDir: "/",
    },
    rootfs: { type: "layers", diff_ids: digests.map((digest) => `sha256:${digest}`) },
    history: digests.map(() => ({ created: EPOCH })),
  });
  await packImage(folder, archive, {
    name: source.name,
    configuration,
    layers: digests.map((digest) => `${digest}.tar`),
  });
}

/** Writes the archive of an image that is another one and a layer above, as a Dockerfile's FROM and COPY would. */
export async function extendImage(
  base: { readonly archive: string; readonly name: string },
  { name, layer, archive }: { readonly name: string; readonly layer: string; readonly archive: string },
): Promise<void> {
  const folder = `${archive}.parts`;
  await mkdir(folder, { recursive: true });
  await runCommand("tar", ["-C", folder, "-xf", base.archive]);
  const manifests = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8")) as Manifest[];
  const found = manifests.find(({ RepoTags }) => RepoTags.includes(base.name));
  if (found === undefined) throw new Error(`image "${base.name}" is not in "${base.archive}"`);
  const configuration = JSON.parse(await readFile(join(folder, found.Config), "utf8")) as Configuration;
  const digest = await digestOfFile(layer);
  await rename(layer, join(folder, `${digest}.tar`));
  const extended = JSON.stringify({
    ...configuration,
    rootfs: { type: "layers", diff_ids: [...configuration.rootfs.diff_ids, `sha256:${digest}`] },
    history: [...(configuration.history ?? []), { created: EPOCH }],
  });
  await packImage(folder, archive, {
    name,
    configuration: extended,
    layers: [...found.Layers, `${digest}.tar`],
  });
}

/** `layers` are paths in the folder, which is removed. */
async function packImage(
  folder: string,
  archive: string,
  image: { readonly name: string; readonly configuration: string; readonly layers: readonly string[] },
): Promise<void> {
  const configurationName = `${createHash("sha256").update(image.configuration).digest("hex")}.json`;
  await writeFile(join(folder, configurationName), image.configuration);
  const manifest: Manifest = { Config: configurationName, RepoTags: [image.name], Layers: image.layers };
  await writeFile(join(folder, "manifest.json"), JSON.stringify([manifest]));
  const files = ["manifest.json", configurationName, ...new Set(image.layers)];
  // Docker writes a layer that two images share once, and a link for the other.
  await runCommand("tar", ["-C", folder, "--dereference", "-cf", archive, ...files]);
  await rm(folder, { recursive: true });
}

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
