/**
 * Writes a container image as an archive that `docker load` and containerd's import take, without any container engine.
 *
 * An image is a list of layers, each a tar of a file tree, and a configuration. Equal trees give equal images: owners, times and
 * order are fixed. There is no step that runs inside: what needs one is made by who makes the tree.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { runCommand } from "./command.ts";

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
      WorkingDir: "/",
    },
    rootfs: { type: "layers", diff_ids: digests.map((digest) => `sha256:${digest}`) },
    history: digests.map(() => ({ created: EPOCH })),
  });
  const configurationName = `${createHash("sha256").update(configuration).digest("hex")}.json`;
  const layers = digests.map((digest) => `${digest}.tar`);
  await writeFile(join(folder, configurationName), configuration);
  await writeFile(
    join(folder, "manifest.json"),
    JSON.stringify([{ Config: configurationName, RepoTags: [source.name], Layers: layers }]),
  );
  await runCommand("tar", [
    "-C",
    folder,
    "-cf",
    archive,
    "manifest.json",
    configurationName,
    ...new Set(layers),
  ]);
  await rm(folder, { recursive: true });
}

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path), hash);
  return hash.digest("hex");
}
