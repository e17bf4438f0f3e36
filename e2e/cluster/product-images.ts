/**
 * Our own images, built from this checkout: `operator`, `worker`, `gateway` and the example, and worker images with a test's code.
 *
 * `scripts/build-images.sh` builds them with Docker on `localhost/memflow/base:1`; the archive is kept in the cache under the hash of
 * the sources, so that clusters without Docker load it, and that an unchanged checkout builds nothing.
 */
import { createHash } from "node:crypto";
import { globSync, readFileSync, statSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { BASE_IMAGE_TAGS, baseImageArchive } from "./base-images.ts";
import { cached, digestOf } from "./cache.ts";
import type { CacheEntry } from "./cache.ts";
import { runCommand } from "./command.ts";
import { withDocker } from "./docker.ts";
import { extendImage, writeLayer } from "./image-archive.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** What decides what is in the images; tests beside the sources do not. */
const SOURCES: readonly string[] = [
  "package-lock.json",
  "tsconfig*.json",
  "scripts/build-images.sh",
  "scripts/stage-image.ts",
  "scripts/images/**/*.ts",
  "{crds,engine,gateway,migrations,operator,sdk,worker-runtime,examples/*}/{Dockerfile,*.json,*.ts}",
  "{crds,engine,gateway,migrations,operator,sdk,worker-runtime}/{src,sql}/**/*",
];
const REGISTRY = "localhost/memflow";
const TAG = "e2e";

/** Names of our images in clusters. */
export const PRODUCT_IMAGES: Readonly<Record<"operator" | "worker" | "gateway" | "researchAgent", string>> = {
  operator: `${REGISTRY}/operator:${TAG}`,
  worker: `${REGISTRY}/worker:${TAG}`,
  gateway: `${REGISTRY}/gateway:${TAG}`,
  researchAgent: `${REGISTRY}/research-agent:${TAG}`,
};

/** The code of an image: paths below `/app` and their contents. */
export type WorkerFiles = Readonly<Record<string, string>>;

/** The archive with all our images as this checkout makes them, built first when it is not in the cache. */
export async function productImagesArchive(): Promise<string> {
  return join(await cached(productImages()), "images.tar");
}

/**
 * The archive of a worker image with code of a test: what `FROM` our worker image and `COPY` make. Built in a second or two.
 *
 * @param tag - Lower case, as in `orders:v2`; the image is called `localhost/memflow/` and that.
 */
export async function workerImageArchive(tag: string, files: WorkerFiles): Promise<string> {
  const products = await productImagesArchive();
  const folder = await cached({
    name: `image-${tag.replaceAll(/[^a-z0-9]/gu, "-")}`,
    inputs: [products, tag, ...Object.entries(files).flat()],
    async build(out) {
      const tree = join(out, "tree");
      for (const [path, content] of Object.entries(files)) {
        const file = join(tree, "app", path);
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, content);
      }
      const layer = join(out, "layer.tar");
      await writeLayer(tree, layer);
      const base = { archive: products, name: PRODUCT_IMAGES.worker };
      await extendImage(base, { name: `${REGISTRY}/${tag}`, layer, archive: join(out, "image.tar") });
      await rm(tree, { recursive: true });
    },
  });
  return join(folder, "image.tar");
}

function productImages(): CacheEntry {
  return {
    name: "images-product",
    inputs: [digestOfSources(), BASE_IMAGE_TAGS.base, process.version, process.arch],
    build: buildProductImages,
  };
}

async function buildProductImages(out: string): Promise<void> {
  const base = await baseImageArchive("base");
  const images = Object.values(PRODUCT_IMAGES);
  await withDocker(async ({ env }) => {
    await runCommand("docker", ["load", "--quiet", "--input", base], { env });
    const args = ["--base", BASE_IMAGE_TAGS.base, "--prefix", REGISTRY, "--tag", TAG];
    await runCommand(join(ROOT, "scripts/build-images.sh"), args, { cwd: ROOT, env });
    await runCommand("docker", ["save", "--output", join(out, "images.tar"), ...images], { env });
  });
}

function digestOfSources(): string {
  const files = globSync([...SOURCES], {
    cwd: ROOT,
    exclude: (path) => /(?:^|\/)(?:node_modules|dist|testing)$|\.test\.ts$/u.test(path),
  });
  const contents = files
    .toSorted()
    .filter((file) => statSync(join(ROOT, file)).isFile())
    .map(
      (file) =>
        `${file} ${createHash("sha256")
          .update(readFileSync(join(ROOT, file)))
          .digest("hex")}`,
    );
  return digestOf(contents);
}
