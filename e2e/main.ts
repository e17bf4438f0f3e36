/**
 * `npm run e2e`: makes clusters ready and runs the scenarios on them.
 *
 * npm run e2e -- [--prepare] [--provider local|kind] [--long] [VITEST-ARGUMENTS...]
 *
 * Without `--prepare` the scenarios run, and a missing cluster is a failure; what lacks is installed and built first. With it
 * that is all that happens. Other arguments are vitest's: names of files, `-t` and a name.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { PROVIDERS, providerNamed } from "./cluster/providers.ts";
import type { ClusterProvider } from "./cluster/provider.ts";

const OPTIONS = {
  prepare: { type: "boolean", default: false },
  provider: { type: "string", multiple: true },
  long: { type: "boolean", default: false },
} as const;

const { values, passed } = readArguments(process.argv.slice(2));
const providers = values.provider?.map(providerNamed) ?? PROVIDERS;
process.exitCode = values.prepare ? await prepare(providers) : await runScenarios(providers);

async function prepare(wanted: readonly ClusterProvider[]): Promise<number> {
  let failureCount = 0;
  for (const provider of wanted) {
    const reasons = await provider.missing();
    for (const reason of reasons) console.error(`${provider.name}: ${reason}`);
    failureCount += reasons.length;
    if (reasons.length > 0) continue;
    const startMs = performance.now();
    await provider.prepare();
    console.log(`${provider.name}: ready after ${Math.round((performance.now() - startMs) / 1000)} s`);
  }
  return failureCount === 0 ? 0 : 1;
}

async function runScenarios(wanted: readonly ClusterProvider[]): Promise<number> {
  const projects = wanted.flatMap(({ name }) => ["--project", name]);
  const child = spawn("vitest", ["run", ...projects, ...passed], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    env: { ...process.env, E2E: "required", ...(values.long ? { MEMFLOW_E2E_LONG: "1" } : {}) },
    stdio: "inherit",
  });
  const [status] = (await once(child, "exit")) as [number | null];
  return status ?? 1;
}

/** What is not an option of ours is vitest's, in its order. */
function readArguments(args: string[]) {
  const { values: read, tokens } = parseArgs({ args, options: OPTIONS, strict: false, tokens: true });
  const own = new Set(
    tokens.flatMap((token) =>
      token.kind === "option" && token.name in OPTIONS
        ? token.value !== undefined && !token.inlineValue
          ? [token.index, token.index + 1]
          : [token.index]
        : [],
    ),
  );
  return {
    values: read as { prepare: boolean; provider?: string[]; long: boolean },
    passed: args.filter((_, index) => !own.has(index)),
  };
}
