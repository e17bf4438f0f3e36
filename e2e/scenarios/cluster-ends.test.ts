/** A local cluster leaves nothing on the machine: not when it is stopped, and not when its owner or its supervisor is killed. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { useCluster } from "../cluster/testing/index.ts";
import type { ScenarioBench } from "../cluster/testing/index.ts";

const { scenario } = useCluster({ form: "control-plane" });
const OWNER = fileURLToPath(new URL("../cluster/testing/start-and-wait.ts", import.meta.url));

/** Another process that has started a cluster of its own. */
interface Owner {
  readonly process: ChildProcess;
  /** The folder of its cluster. */
  readonly run: string;
  readonly link: string;
  readonly cgroup: string;
  /** Its process id. */
  readonly supervisor: number;
}

async function startOwner(bench: ScenarioBench): Promise<Owner> {
  const child = spawn(process.execPath, ["-C", "source", OWNER], { stdio: ["pipe", "pipe", "inherit"] });
  bench.afterwards(async () => void child.kill("SIGKILL"));
  const [kubeconfig] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  const run = dirname(dirname(kubeconfig));
  const setting = (name: string): string =>
    new RegExp(`^${name}=(.*)$`, "mu").exec(readFileSync(join(run, "settings"), "utf8"))?.[1] ?? "";
  return {
    process: child,
    run,
    link: setting("LINK"),
    cgroup: setting("CGROUP"),
    supervisor: Number(setting("SUPERVISOR")),
  };
}

/** What is left of a cluster on the machine. */
function traces({ run, link, cgroup }: Owner): string[] {
  const hierarchies = [
    "/sys/fs/cgroup",
    ...readdirSync("/sys/fs/cgroup").map((name) => `/sys/fs/cgroup/${name}`),
  ];
  const paths = [run, `/sys/class/net/${link}`, ...hierarchies.map((folder) => join(folder, cgroup))];
  return paths.filter((path) => existsSync(path));
}

/** The supervisor is told by the end of a pipe, which nobody else hears of: so its end is looked for. */
async function waitUntilGone(pid: number): Promise<void> {
  await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 30_000 }).toBe(false);
}

scenario("a cluster ends with the process that started it, also when that is killed", async (bench) => {
  const owner = await startOwner(bench);
  expect(traces(owner)).toContain(owner.run);
  owner.process.kill("SIGKILL");
  await waitUntilGone(owner.supervisor);
  expect(traces(owner)).toEqual([]);
});

scenario("two clusters run beside each other, each with a network of its own", async (bench) => {
  const owner = await startOwner(bench);
  const other = await startOwner(bench);
  expect(other.link).not.toBe(owner.link);
  for (const { process: child, run } of [owner, other]) {
    expect(await bench.cluster.kubectl(["get", "--raw", "/readyz"])).toBe("ok");
    child.stdin?.end();
    await once(child, "exit");
    expect(existsSync(run)).toBe(false);
  }
});

scenario("what a killed supervisor leaves is removed by the next start", async (bench) => {
  const owner = await startOwner(bench);
  process.kill(owner.supervisor, "SIGKILL");
  await waitUntilGone(owner.supervisor);
  expect(traces(owner)).toContain(owner.run);
  const next = await startOwner(bench);
  expect(existsSync(owner.run)).toBe(false);
  next.process.stdin?.end();
  await once(next.process, "exit");
  expect(traces(next)).toEqual([]);
});
