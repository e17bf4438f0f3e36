import { spawn } from "node:child_process";
import { once } from "node:events";
import { exit } from "node:process";
import { expect, test } from "vitest";
import { ProcessExitError } from "../core/errors.ts";
import { enterActivity, GuardedRun, RefusedCall } from "../testing/guarded-run.ts";

const WAYS_TO_END: Readonly<Record<string, () => unknown>> = {
  "process.exit": () => process.exit(0),
  "process.abort": () => process.abort(),
  "process.reallyExit": () => (process as unknown as { reallyExit(code: number): void }).reallyExit(0),
  "process.execve": () => (process as { execve?(file: string): void }).execve?.("/bin/true"),
};

const WAYS_TO_KILL: readonly (() => unknown)[] = [
  () => process.kill(process.pid),
  () => process.kill(process.pid, "SIGKILL"),
  () => process.kill(-process.pid, "SIGTERM"),
  () => process.kill(0, "SIGTERM"),
];

test.for(Object.entries(WAYS_TO_END))("%s is refused in a workflow and in an activity", ([call, end]) => {
  for (const enter of [enterActivity, (work: () => unknown) => new GuardedRun().enter(work)]) {
    expect(() => enter(end)).toThrow(ProcessExitError);
    expect(() => enter(end)).toThrow(expect.objectContaining({ code: "PROCESS_EXIT_REFUSED", call }));
  }
});

test("the imported exit is refused as well", () => {
  expect(() => enterActivity(() => exit(1))).toThrow(ProcessExitError);
});

test("a process.kill that hits this process is refused in a workflow and in an activity", () => {
  for (const kill of WAYS_TO_KILL) {
    expect(() => enterActivity(kill)).toThrow(ProcessExitError);
    expect(() => new GuardedRun().enter(kill)).toThrow(ProcessExitError);
  }
});

test("an activity may signal another process, a workflow may not", async () => {
  const child = spawn(process.execPath, ["--eval", "setInterval(() => {}, 60_000)"]);
  await once(child, "spawn");
  const pid = child.pid ?? 0;
  const run = new GuardedRun();
  expect(() => run.enter(() => process.kill(pid))).toThrow(RefusedCall);
  expect(run.refused).toEqual(["process.kill"]);
  enterActivity(() => process.kill(pid, "SIGKILL"));
  expect(await once(child, "exit")).toEqual([null, "SIGKILL"]);
});

test("whether this process exists may be asked", () => {
  expect(enterActivity(() => process.kill(process.pid, 0))).toBe(true);
  expect(new GuardedRun().enter(() => process.kill(process.pid, 0))).toBe(true);
});

test("outside user code the process ends as it should", async () => {
  const fixture = JSON.stringify(new URL("../testing/guarded-run.ts", import.meta.url).href);
  const script = `const { GuardedRun } = await import(${fixture}); new GuardedRun(); process.exit(7);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script]);
  expect(await once(child, "exit")).toEqual([7, null]);
});
