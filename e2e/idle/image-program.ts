/**
 * The operator as its image starts it: what was built of this checkout, with the flags of the Dockerfile's entry point.
 *
 * The share of the container's memory that they give to Node's heap is taken of the chart's limit, since a process of this machine
 * has no container.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { runCommand } from "../cluster/command.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const IMAGE_ROOT = "/opt/memflow/";
const HEAP_SHARE = /^--max-old-space-size-percentage=(\d+)$/u;

/** What Node is started with, after a build of whatever changed. */
export async function imageProgram(): Promise<readonly string[]> {
  await runCommand(`${ROOT}node_modules/.bin/tsc`, ["-b", "operator"], { cwd: ROOT });
  const limitMib = await memoryLimitMib();
  return (await entryPoint()).map((word) => {
    const [, percent] = HEAP_SHARE.exec(word) ?? [];
    if (percent !== undefined)
      return `--max-old-space-size=${Math.floor((limitMib * Number(percent)) / 100)}`;
    return word.startsWith(IMAGE_ROOT) ? ROOT + word.slice(IMAGE_ROOT.length) : word;
  });
}

/** Words after `node`. */
async function entryPoint(): Promise<readonly string[]> {
  const text = await readFile(`${ROOT}operator/Dockerfile`, "utf8");
  const [, words = "[]"] = /^ENTRYPOINT (\[.*\])$/mu.exec(text) ?? [];
  const [program, ...rest] = JSON.parse(words) as readonly string[];
  if (program !== "node") throw new Error(`operator/Dockerfile: ENTRYPOINT starts "${program}", not "node"`);
  return rest;
}

async function memoryLimitMib(): Promise<number> {
  const values = parse(await readFile(`${ROOT}charts/memflow/values.yaml`, "utf8")) as {
    readonly operator: { readonly resources: { readonly limits: { readonly memory: string } } };
  };
  const { memory } = values.operator.resources.limits;
  const [, mebibytes] = /^(\d+)Mi$/u.exec(memory) ?? [];
  if (mebibytes === undefined) throw new Error(`charts/memflow/values.yaml: "${memory}" is not in Mi`);
  return Number(mebibytes);
}
