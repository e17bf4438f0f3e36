/**
 * The images that do not come from our Dockerfiles, made of Debian packages, the Node of this workspace and our programs.
 *
 * No container registry and no container engine takes part. Each is an entry of the cache that holds `image.tar`.
 */
import { chmod, copyFile, glob, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cached, entryFolder, isCached } from "./cache.ts";
import type { CacheEntry } from "./cache.ts";
import { runCommand } from "./command.ts";
import { writeImageArchive, writeLayer } from "./image-archive.ts";
import type { ImageSource } from "./image-archive.ts";
import { programEntry, programPath } from "./programs.ts";

/**
 * - `base`: `localhost/memflow/base:1`, Debian's C++ libraries and Node, no shell: what our Dockerfiles build on.
 * - `postgres`: `localhost/memflow/postgres:15`, takes POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB and PGDATA as the
 *   well-known image does; runs as user 10001 under Pod Security `restricted`.
 * - `coredns` and `pause`: of the cluster itself.
 */
export type BaseImageName = "base" | "postgres" | "coredns" | "pause";

export const BASE_IMAGE_TAGS: Readonly<Record<BaseImageName, string>> = {
  base: "localhost/memflow/base:1",
  postgres: "localhost/memflow/postgres:15",
  coredns: "localhost/memflow/coredns:1",
  pause: "localhost/memflow/pause:1",
};

/** What `mmdebstrap` and these builds need. */
export const IMAGE_BUILD_PACKAGES: readonly string[] = ["mmdebstrap", "unzip"];

const DEBIAN = "bookworm";
const BASE_PACKAGES = "libc6,libstdc++6,libgcc-s1,ca-certificates";
const POSTGRES_PACKAGES = "postgresql-15,dash,coreutils,libc-bin,tzdata";
/** What no container of ours looks at. */
const LEFT_OUT: readonly string[] = [
  "dev/*",
  "usr/share/{doc,i18n,info,locale,man,perl*}",
  "var/{cache,log}",
  "var/lib/{apt,dpkg}",
];
/** JIT, Perl and what administers a server. */
const POSTGRES_LEFT_OUT: readonly string[] = [
  "usr/bin/perl*",
  "usr/lib/*-linux-gnu/{libLLVM*,libclang*,libz3*,libperl*,perl*,libdb-*}",
  "usr/lib/llvm*",
  "usr/lib/postgresql/15/lib/{bitcode,llvmjit*}",
  "usr/lib/python3*",
  "usr/share/postgresql/15/man",
];
const POSTGRES_USER_ID = 10_001;
const NODE_USER_ID = 1000;

/** The archive of an image, which is built first when it is not in the cache. */
export async function baseImageArchive(name: BaseImageName): Promise<string> {
  return join(await cached(await imageEntry(name)), "image.tar");
}

/** Those of the images that would have to be built. */
export async function unbuiltBaseImages(names: readonly BaseImageName[]): Promise<readonly BaseImageName[]> {
  const built = await Promise.all(names.map(async (name) => isCached(await imageEntry(name))));
  return names.filter((_, index) => built[index] === false);
}

async function imageEntry(name: BaseImageName): Promise<CacheEntry> {
  switch (name) {
    case "base":
      return nodeImage();
    case "postgres":
      return postgresImage();
    case "coredns":
    case "pause":
      return programImage(name);
    default:
      return name satisfies never;
  }
}

/** An image that holds one static program and nothing else. */
async function programImage(name: "coredns" | "pause"): Promise<CacheEntry> {
  const program = await programEntry(name);
  return {
    name: `image-${name}`,
    inputs: [entryFolder(program), BASE_IMAGE_TAGS[name]],
    async build(out) {
      const tree = join(out, "tree");
      await mkdir(tree);
      await copyFile(await programPath(name), join(tree, name));
      await writeLayer(tree, join(out, "layer.tar"));
      const entrypoint = [`/${name}`];
      await finish(out, { name: BASE_IMAGE_TAGS[name], layers: [join(out, "layer.tar")], entrypoint });
    },
  };
}

async function nodeImage(): Promise<CacheEntry> {
  return {
    name: "image-base",
    inputs: [DEBIAN, BASE_PACKAGES, ...LEFT_OUT, process.version, process.arch, BASE_IMAGE_TAGS.base],
    async build(out) {
      const tree = await makeSystem(out, BASE_PACKAGES, LEFT_OUT);
      await addProgram(tree, { source: process.execPath, name: "node" });
      await addUser(tree, { name: "node", id: NODE_USER_ID });
      await writeLayer(tree, join(out, "layer.tar"));
      const layers = [join(out, "layer.tar")];
      await finish(out, { name: BASE_IMAGE_TAGS.base, layers, command: ["node"] });
    },
  };
}

async function postgresImage(): Promise<CacheEntry> {
  const entrypoint = join(import.meta.dirname, "images/postgres-entrypoint.sh");
  const left = [...LEFT_OUT, ...POSTGRES_LEFT_OUT];
  return {
    name: "image-postgres",
    inputs: [
      DEBIAN,
      POSTGRES_PACKAGES,
      ...left,
      process.arch,
      BASE_IMAGE_TAGS.postgres,
      await readFile(entrypoint, "utf8"),
    ],
    async build(out) {
      const tree = await makeSystem(out, POSTGRES_PACKAGES, left);
      await addProgram(tree, { source: entrypoint, name: "postgres-entrypoint" });
      await addUser(tree, { name: "postgres", id: POSTGRES_USER_ID });
      await mkdir(join(tree, "var/lib/postgresql"), { recursive: true });
      await chmod(join(tree, "var/lib/postgresql"), 0o1777);
      await writeLayer(tree, join(out, "layer.tar"));
      await finish(out, {
        name: BASE_IMAGE_TAGS.postgres,
        layers: [join(out, "layer.tar")],
        entrypoint: ["/usr/local/bin/postgres-entrypoint"],
        environment: [
          "PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin",
          "PGDATA=/var/lib/postgresql/data",
          "PGHOST=127.0.0.1",
          "LANG=C.UTF-8",
        ],
        user: `${POSTGRES_USER_ID}:${POSTGRES_USER_ID}`,
      });
    },
  };
}

/** Unpacks packages and what they depend on into a tree, runs none of their scripts, and takes some paths away again. */
async function makeSystem(out: string, packages: string, leftOut: readonly string[]): Promise<string> {
  const tree = join(out, "tree");
  const options = ["--variant=extract", "--format=directory", `--include=${packages}`];
  const merged = "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr";
  await runCommand("nice", ["-n", "10", "mmdebstrap", ...options, merged, DEBIAN, tree]);
  for await (const path of glob([...leftOut], { cwd: tree })) {
    await rm(join(tree, path), { recursive: true });
  }
  return tree;
}

async function addProgram(
  tree: string,
  { source, name }: { readonly source: string; readonly name: string },
): Promise<void> {
  const program = join(tree, "usr/local/bin", name);
  await mkdir(join(tree, "usr/local/bin"), { recursive: true });
  await copyFile(source, program);
  await chmod(program, 0o755);
}

async function addUser(
  tree: string,
  { name, id }: { readonly name: string; readonly id: number },
): Promise<void> {
  await mkdir(join(tree, "etc"), { recursive: true });
  await writeFile(
    join(tree, "etc/passwd"),
    `root:x:0:0:root:/root:/bin/sh\n${name}:x:${id}:${id}::/tmp:/bin/sh\n`,
  );
  await writeFile(join(tree, "etc/group"), `root:x:0:\n${name}:x:${id}:\n`);
  await mkdir(join(tree, "tmp"), { recursive: true });
  await chmod(join(tree, "tmp"), 0o1777);
}

async function finish(out: string, source: ImageSource): Promise<void> {
  await writeImageArchive(source, { archive: join(out, "image.tar"), folder: join(out, "image") });
  await Promise.all(source.layers.map((layer) => rm(layer)));
  await rm(join(out, "tree"), { recursive: true });
}
