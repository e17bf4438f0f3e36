/** `memflow dev` with its gateway: found by the plugin in its folder, scaled by the operator's decision, reloaded as files change. */
import { chmod, cp, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { CliUser } from "../testing/cli-user.ts";
import { DevProcess, LEDGER_APP } from "./testing/dev-process.ts";

/** Each test starts several processes and a database; a busy machine takes its time. */
vi.setConfig({ testTimeout: 180_000 });

let folder = "";
let dev: DevProcess | undefined;
let user: CliUser;

beforeEach(async () => {
  user = await CliUser.make([]);
  folder = user.folder;
  if (process.geteuid?.() === 0) await chmod(folder, 0o711);
  await cp(LEDGER_APP, path.join(folder, "app"), { recursive: true });
});

afterEach(async () => {
  await dev?.killTree().catch(() => undefined);
  dev = undefined;
});

/** Starts it on the copy of the app. */
function start(...args: readonly string[]): DevProcess {
  const place = { dataDir: path.join(folder, ".memflow"), ledgerFile: path.join(folder, "ledger") };
  dev = new DevProcess(place, ["-f", path.join(folder, "app"), ...args]);
  return dev;
}

async function change(file: string, from: string | RegExp, to: string): Promise<void> {
  const place = path.join(folder, "app", file);
  const text = await readFile(place, "utf8");
  expect(text).toMatch(from);
  await writeFile(place, text.replace(from, to));
}

test("the plugin finds it by its folder, starts and watches runs there, and finds nothing once it has ended", async () => {
  const running = start();
  await running.untilPrinted(/gateway +http:\/\/127\.0\.0\.1:\d+/u);
  await running.untilPrinted(/the workers go on/u);
  const executed = await user.run("execute", "steps", "--input", '{"stepCount":2,"paceMs":1}');
  expect({ code: executed.code, result: JSON.parse(executed.out) as unknown }).toEqual({
    code: 0,
    result: { taken: [1, 2] },
  });
  expect(executed.err).toMatch(/takeSteps {2}activity takeStep/u);
  expect((await user.run("whoami")).out).toMatch(/^user {5}loopback\n(.*\n)*gateway {2}memflow dev at http/u);
  expect((await user.run("queues", "-o", "jsonpath={.items[0].scaling.desired}")).out).toBe("1\n");
  expect((await user.run("workflows", "-o", "name")).out).toContain("workflow/steps\n");
  const refused = await user.run("list", "--as", "ada");
  expect(refused.code).toBe(4);
  running.signal("SIGINT");
  expect(await running.end()).toBe(0);
  expect((await user.run("list", "--kubeconfig", "none")).code).toBe(2);
  expect((await user.run("list")).err).not.toContain("memflow dev");
});

test("a queue that is behind gets more workers by the operator's decision, up to its maximum", async () => {
  await change("memflow.yaml", "minReplicas: 1", "minReplicas: 1\n    maxReplicas: 2");
  await change("memflow.yaml", "    drain:", "    concurrency:\n      activities: 2\n    drain:");
  const running = start("--input", JSON.stringify({ stepCount: 1, paceMs: 1 }));
  await running.untilPrinted(/the workers go on/u);
  const starts = Array.from({ length: 20 }, () =>
    user.run("start", "steps", "--input", '{"stepCount":40,"paceMs":100}'),
  );
  for (const { code } of await Promise.all(starts)) expect(code).toBe(0);
  await running.untilPrinted(/queue ledger: /u);
  expect((await user.run("queues", "-o", "jsonpath={.items[0].scaling.desired}")).out).toBe("2\n");
});

test("changed code takes over a run whose history it matches, and parks one that it does not, with the difference", async () => {
  const running = start("--input", JSON.stringify({ stepCount: 200, paceMs: 50 }));
  await running.untilPrinted(/(activity takeStep[^]*){3}/u);
  const runId = (await user.run("list", "-o", "jsonpath={.items[0].runId}")).out.trim();
  await change("workflows.ts", "return { taken };", "return { taken: [...taken, 0] };");
  await running.untilPrinted(/queue ledger: new code \(workflows\.ts\); the workers hand over/u);
  const { eventCount: before } = JSON.parse((await user.run("get", runId, "-o", "json")).out) as {
    readonly eventCount: number;
  };
  await running.untilPrinted(new RegExp(`(activity takeStep[^]*){${before + 3}}`, "u"));
  await change(
    "workflows.ts",
    "const taken: number[] = [];",
    "const taken: number[] = [];\n  await MemFlow.workflow.sleepFor('1 ms');",
  );
  await running.untilPrinted(/parked until the code fits again: /u);
  expect((await user.run("get", runId)).out).toContain("running (parked: HISTORY_MISMATCH)");
  await change("workflows.ts", "\n  await MemFlow.workflow.sleepFor('1 ms');", "");
  const parked = running.output.length;
  await running.untilPrinted(/parked until[^]*activity takeStep/u);
  expect(running.output.slice(parked)).toContain("activity takeStep");
  await user.run("terminate", runId);
});

test("code and manifests that are broken are told of, and the next change mends them", async () => {
  const running = start("--input", JSON.stringify({ stepCount: 1, paceMs: 1 }));
  await running.untilPrinted(/the workers go on/u);
  await change("workflows.ts", "const taken: number[] = [];", "const taken: = [];");
  await running.untilPrinted(/worker ledger-1 waits for the code to change: /u);
  await change("memflow.yaml", "minReplicas: 1", "minReplicas: -1");
  await running.untilPrinted(/not reloaded, the last state goes on: .*minReplicas: got -1/u);
  await change("memflow.yaml", "minReplicas: -1", "minReplicas: 1");
  await change("workflows.ts", "const taken: = [];", "const taken: number[] = [];");
  const { out } = await user.run("execute", "steps", "-q", "--input", '{"stepCount":1,"paceMs":1}');
  expect(JSON.parse(out)).toEqual({ taken: [1] });
});
