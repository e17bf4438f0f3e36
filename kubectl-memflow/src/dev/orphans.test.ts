/** Workers that outlived their parent are ended; a process that only got the same number is not. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { WorkerRegister } from "./orphans.ts";
import { identifyProcess } from "./process-identity.ts";

let folder = "";
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "memflow-orphans-"));
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

/** A process that waits; `hears` says whether it minds SIGTERM. */
async function startProcess(hears: "hears" | "deaf"): Promise<{ pid: number; exited: Promise<unknown[]> }> {
  const deafness = hears === "deaf" ? "process.on('SIGTERM', () => {});" : "";
  const child = spawn(
    process.execPath,
    ["-e", `${deafness} console.log('up'); setInterval(() => {}, 1000)`],
    {
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  children.push(child);
  const exited = once(child, "exit");
  if (child.stdout !== null) await once(child.stdout, "data");
  return { pid: child.pid as number, exited };
}

test("a worker that was written down and still runs is ended", async () => {
  const worker = await startProcess("hears");
  await new WorkerRegister(folder).add(worker.pid);
  expect(await new WorkerRegister(folder).endOrphans()).toEqual({ endedCount: 1, gonePids: [worker.pid] });
  expect(await worker.exited).toEqual([null, "SIGTERM"]);
  expect(await new WorkerRegister(folder).endOrphans()).toEqual({ endedCount: 0, gonePids: [worker.pid] });
});

test("a worker that does not hear, or was stopped, is killed", async () => {
  const [deaf, stopped] = await Promise.all([startProcess("deaf"), startProcess("deaf")]);
  const register = new WorkerRegister(folder);
  await Promise.all([register.add(deaf.pid), register.add(stopped.pid)]);
  process.kill(stopped.pid, "SIGSTOP");
  expect((await new WorkerRegister(folder).endOrphans()).endedCount).toBe(2);
  expect(await deaf.exited).toEqual([null, "SIGKILL"]);
  expect(await stopped.exited).toEqual([null, "SIGKILL"]);
});

test("a process with the number of a dead worker is left alone", async () => {
  const stranger = await startProcess("hears");
  const identity = await identifyProcess(stranger.pid);
  const entry = { pid: stranger.pid, startedAt: `${identity?.startedAt ?? ""}0` };
  await writeFile(path.join(folder, "workers.json"), JSON.stringify([entry, { pid: "x" }, null]));
  expect((await new WorkerRegister(folder).endOrphans()).endedCount).toBe(0);
  expect(await identifyProcess(stranger.pid)).toEqual(identity);
});

test("a worker that ended in order is struck from the list", async () => {
  const register = new WorkerRegister(folder);
  const [one, two] = await Promise.all([startProcess("hears"), startProcess("hears")]);
  await Promise.all([register.add(one.pid), register.add(two.pid)]);
  await register.remove(one.pid);
  const left = JSON.parse(await readFile(path.join(folder, "workers.json"), "utf8")) as { pid: number }[];
  expect(left.map((entry) => entry.pid)).toEqual([two.pid]);
});
