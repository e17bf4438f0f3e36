/**
 * schemathesis, which makes up requests from an OpenAPI document: brought from PyPI into the cache, run as a process.
 */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { cached, isCached } from "../cluster/cache.ts";
import type { CacheEntry } from "../cluster/cache.ts";

const run = promisify(execFile);

const VERSION = "4.32.5";
const INSTALL_TIMEOUT_MS = 300_000;
const OUTPUT_BYTES_MAX = 32 * 1024 * 1024;

/** What a run is told. */
export interface SchemathesisOptions {
  readonly url: string;
  /** Folder for its configuration and data. */
  readonly folder: string;
  /** Values that parameters have, by their names: what is made up would seldom be there. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly maxSeconds: number;
}

/** What it found. */
export interface SchemathesisOutcome {
  readonly passed: boolean;
  readonly output: string;
}

/**
 * Finds Python and brings the tool.
 *
 * @returns What runs it; a text that says why it can't be had here.
 */
export async function findSchemathesis(): Promise<
  ((options: SchemathesisOptions) => Promise<SchemathesisOutcome>) | string
> {
  let version: string;
  try {
    version = (await run("python3", ["-c", "import sys; print(sys.version.split()[0])"])).stdout.trim();
  } catch {
    return "python3 is not installed";
  }
  const entry = entryOf(version);
  try {
    const packages = await cached(entry);
    return (options) => runIn(packages, options);
  } catch (error) {
    if (await isCached(entry)) throw error;
    return `pip could not bring schemathesis ${VERSION}: ${String(error).slice(0, 300)}`;
  }
}

function entryOf(pythonVersion: string): CacheEntry {
  return {
    name: "schemathesis",
    inputs: [VERSION, pythonVersion],
    build: async (folder) => {
      const args = ["-m", "pip", "install", "--quiet", "--target", folder, `schemathesis==${VERSION}`];
      await run("python3", args, { timeout: INSTALL_TIMEOUT_MS });
    },
  };
}

const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
  "unsupported_method",
];
const SEED = 20_261_123;

async function runIn(packages: string, options: SchemathesisOptions): Promise<SchemathesisOutcome> {
  const configuration = join(options.folder, "schemathesis.toml");
  const parameters = Object.entries(options.parameters).map(
    ([name, value]) => `${JSON.stringify(name)} = ${JSON.stringify(value)}\n`,
  );
  await writeFile(configuration, `[parameters]\n${parameters.join("")}`);
  const args = [
    "-c",
    "from schemathesis.cli import schemathesis; schemathesis()",
    `--config-file=${configuration}`,
    "run",
    `${options.url}/openapi.json`,
    `--checks=${CHECKS.join(",")}`,
    "--phases=examples,coverage,fuzzing",
    `--max-time=${options.maxSeconds}`,
    "--max-examples=30",
    "--continue-on-failure",
    "--suppress-health-check=all",
    "--warnings=off",
    // Its threads share what Python parses, which Python 3.11 does not always survive.
    "--workers=1",
    `--seed=${SEED}`,
    "--no-color",
    ...Object.entries(options.headers).map(([name, value]) => `--header=${name}:${value}`),
  ];
  const env = { ...process.env, PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: "1" };
  try {
    const { stdout } = await run("python3", args, { cwd: options.folder, env, maxBuffer: OUTPUT_BYTES_MAX });
    return { passed: true, output: stdout };
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { readonly stdout?: string; readonly stderr?: string };
    return { passed: false, output: `${stdout}${stderr}` };
  }
}
