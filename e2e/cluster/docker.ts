/**
 * A Docker daemon to build and run with: the one that answers, or one of our own.
 *
 * Our own is started where none answers and we are root. It runs in namespaces of its own, so that it changes neither firewall nor
 * routes of the machine, is shared by all processes of this cache and ends with the last of them. Its images stay in the cache.
 * It reaches no network: it builds and runs what is given to it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { cacheFolder } from "./cache.ts";
import { succeeds } from "./command.ts";
import { installPackages, missingPackages } from "./debian-packages.ts";
import { lockFile, withFileLock } from "./file-lock.ts";
import { SUPERVISOR } from "./local/supervisor.ts";

/** A daemon that stays for as long as it is held. */
export interface DockerDaemon {
  /** For programs that talk to it. */
  readonly env: Readonly<Record<string, string>>;
  /** Whether it is one of our own, without a network. */
  readonly isOwn: boolean;
  release(): Promise<void>;
}

const PACKAGES: readonly string[] = [
  "docker.io",
  "iproute2",
  "iptables",
  "jq",
  "procps",
  "runc",
  "util-linux",
];

/** Why there is no daemon and none can be started; empty when there is one or it can. */
export async function missingDocker(): Promise<readonly string[]> {
  if (await answers({})) return [];
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    return ["no Docker daemon answers: start Docker, or run as root on Linux, where one is started"];
  }
  if ((await missingPackages(PACKAGES)).length > 0 && !(await succeeds("apt-get", ["--version"]))) {
    return [`no Docker daemon answers, and starting one needs Debian's packages ${PACKAGES.join(", ")}`];
  }
  return [];
}

/** Whether `useDocker` would have to install something. */
export async function isDockerInstalled(): Promise<boolean> {
  return (await answers({})) || (await missingPackages(PACKAGES)).length === 0;
}

/** Holds a daemon until it is released. */
export async function useDocker(): Promise<DockerDaemon> {
  if (await answers({})) return { env: {}, isOwn: false, release: async () => {} };
  await installPackages(PACKAGES);
  const data = join(cacheFolder(), "docker-daemon");
  await mkdir(join(data, "data"), { recursive: true });
  const users = join(data, "users");
  const env = { DOCKER_HOST: `unix://${join(data, "docker.sock")}` };
  const held = await lockFile(users, "shared");
  try {
    await withFileLock(join(data, "starting"), async () => {
      if (!(await answers(env))) await startDaemon(data, users);
    });
  } catch (error) {
    await held.release();
    throw error;
  }
  return { env, isOwn: true, release: () => held.release() };
}

/** Does something with a daemon. */
export async function withDocker<T>(action: (daemon: DockerDaemon) => Promise<T>): Promise<T> {
  const daemon = await useDocker();
  try {
    return await action(daemon);
  } finally {
    await daemon.release();
  }
}

async function answers(env: Readonly<Record<string, string>>): Promise<boolean> {
  return succeeds("docker", ["version"], { env });
}

/** It outlives this process when others use it: its messages go to a file. */
async function startDaemon(data: string, users: string): Promise<void> {
  const log = await open(join(data, "supervisor.log"), "w");
  const child = spawn(SUPERVISOR, [join(cacheFolder(), "runs")], {
    detached: true,
    env: { ...process.env, FORM: "docker", DATA: data, USERS: users },
    stdio: ["ignore", "pipe", log.fd],
  });
  const closed = once(child, "close").then(() => "closed");
  const { stdout } = child;
  if (stdout === null) throw new Error("the supervisor has no standard output");
  const lines = createInterface({ input: stdout });
  const ready = new Promise<string>((resolve) => {
    lines.on("line", (line) => {
      if (line === "ready") resolve("ready");
    });
  });
  const end = await Promise.race([ready, closed]);
  await log.close();
  if (end === "closed")
    throw new Error(`no Docker daemon could be started; see ${join(data, "supervisor.log")}`);
  lines.close();
  stdout.destroy();
  child.unref();
}
