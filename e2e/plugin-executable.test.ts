/** The plugin as one executable: it needs nothing beside it, starts at once, and its krew manifest names what was built. */
import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parse } from "yaml";

const PROJECT = fileURLToPath(new URL("..", import.meta.url));
const PLATFORM = `${process.platform}-${process.arch}`;
const BUILD_LIMIT_MS = 180_000;
const STARTS = 5;
const run = promisify(execFile);

let output = "";
let executable = "";

beforeAll(async () => {
  output = await mkdtemp(path.join(tmpdir(), "memflow-executable-"));
  const script = path.join(PROJECT, "scripts", "build-plugin.ts");
  execFileSync(process.execPath, [script, "--output", output], { stdio: "pipe" });
  executable = path.join(output, PLATFORM, "kubectl-memflow");
}, BUILD_LIMIT_MS);
afterAll(() => rm(output, { recursive: true, force: true }));

/** Runs it where there is neither Node nor a package nor a kubeconfig. */
async function plugin(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const options = { cwd: output, env: { HOME: output } };
  try {
    const { stdout, stderr } = await run(executable, args, options);
    return { code: 0, out: stdout, err: stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as {
      readonly code: number;
      readonly stdout: string;
      readonly stderr: string;
    };
    return { code, out: stdout, err: stderr };
  }
}

test("--help starts at once and names every command", async () => {
  const tookMs: number[] = [];
  for (let count = 0; count < STARTS; count += 1) {
    const startedMs = performance.now();
    const { code, out } = await plugin("--help");
    tookMs.push(performance.now() - startedMs);
    expect(code).toBe(0);
    expect(out).toContain("Usage: kubectl memflow [options] [command]");
    expect(out).toContain("execute [options] <workflow>");
  }
  console.log(`figure: kubectl memflow --help ${Math.round(Math.min(...tookMs))} ms`);
});

test("it reaches for gateways and clusters without a package beside it", async () => {
  expect(await plugin("list", "--server", "http://127.0.0.1:1")).toMatchObject({
    code: 1,
    err: expect.stringContaining("ECONNREFUSED") as string,
  });
  expect(await plugin("list")).toMatchObject({
    code: 2,
    err: expect.stringContaining("no kubeconfig") as string,
  });
  expect(await plugin("dev", "-f", ".")).toMatchObject({
    code: 1,
    err: expect.stringContaining("npx") as string,
  });
});

test("its krew manifest has the hash of the archive that was built", async () => {
  const manifest = parse(await readFile(path.join(output, "memflow.yaml"), "utf8")) as {
    readonly spec: { readonly platforms: readonly { readonly uri: string; readonly sha256: string }[] };
  };
  const [platform] = manifest.spec.platforms;
  const archive = path.join(output, path.basename(platform?.uri ?? ""));
  const sha256 = createHash("sha256")
    .update(await readFile(archive))
    .digest("hex");
  expect(platform?.sha256).toBe(sha256);
});
