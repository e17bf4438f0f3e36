/** Every command against a real gateway on a real Postgres, with a worker in this process: what it prints where, and its exit code. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { MemFlow } from "@memflow/sdk";
import { NAMESPACE, startTestGateway } from "@memflow/gateway/testing";
import type { TestGateway } from "@memflow/gateway/testing";
import { expect, test } from "vitest";
import { EXIT_CODES } from "../exit-codes.ts";
import { CliUser } from "../testing/cli-user.ts";

const UUID = "[0-9a-f]{8}-[0-9a-f-]{27}";

const activities = MemFlow.workflow.proxyActivities<{ weigh: typeof weigh }>({ activities: { weigh } });

async function weigh(thing: string): Promise<number> {
  return thing.length;
}

async function pack(thing: string): Promise<string> {
  return `${thing} (${await activities.weigh(thing)} g)`;
}

async function order(input: { readonly thing: string }): Promise<{ readonly parcel: string }> {
  const memory = await MemFlow.workflow.entity();
  await memory.set({ thing: input.thing, status: "packing" });
  const parcel = await MemFlow.workflow.execChild<string>({
    workflowName: "pack",
    taskQueue: "queue",
    args: [input.thing],
  });
  await memory.merge({ status: "done" });
  return { parcel };
}

async function wait(): Promise<unknown> {
  return MemFlow.workflow.waitFor("go");
}

async function fail(): Promise<never> {
  throw new Error("out of boxes");
}

const WORKFLOWS = [
  {
    name: "order",
    taskQueue: "queue",
    inputSchema: { type: "object", required: ["thing"], properties: { thing: { type: "string" }, note: {} } },
  },
  { name: "pack", taskQueue: "queue" },
  { name: "wait", taskQueue: "queue" },
  {
    name: "fail",
    taskQueue: "queue",
    retry: { maximumAttempts: 1, backoffCoefficient: 1, initialIntervalMs: 1, maximumIntervalMs: 1 },
  },
];

async function setup(): Promise<{ readonly gateway: TestGateway; readonly root: CliUser }> {
  const gateway = await startTestGateway({
    workflows: WORKFLOWS,
    queues: [{ name: "packers", taskQueue: "queue", scaling: { desired: 1, limitedBy: "Min" } }],
    rights: {
      clerk: [
        "create workflows/runs order",
        "get workflows/runs order",
        "signal workflows/runs wait",
        "get workflows/runs wait",
      ],
    },
  });
  await gateway.work({ order, pack, wait, fail });
  return { gateway, root: await CliUser.withToken(gateway.url(), "root", NAMESPACE) };
}

/** Starts a run that waits for the signal `go`; its id. */
async function startWaiting(user: CliUser): Promise<string> {
  const { out } = await user.run("start", "wait", "-o", "jsonpath={.runId}");
  return out.trim();
}

test("execute shows each step on stderr, those of children too, and the result alone on stdout", async () => {
  const { root } = await setup();
  await writeFile(path.join(root.folder, "order.json"), '{"thing":"cup"}');
  const { code, out, err } = await root.run("execute", "order", "--input", "@order.json");
  expect(code).toBe(EXIT_CODES.done);
  expect(JSON.parse(out)).toEqual({ parcel: "cup (3 g)" });
  expect(err).toMatch(new RegExp(`^run/${UUID} started \\(order, id \\S+\\)$`, "mu"));
  expect(err).toMatch(/^ +\d+\.\d\d s {2}order {2}child pack started$/mu);
  expect(err).toMatch(/ s {2}pack {3}activity weigh$/mu);
  expect(err).toMatch(/ s {2}order {2}child pack completed$/mu);
});

test("execute --quiet says nothing but the result, as YAML or by a path", async () => {
  const { root } = await setup();
  const yaml = await root.pipe('{"thing":"box"}', "execute", "order", "-i", "@-", "--quiet", "-o", "yaml");
  expect(yaml).toEqual({ code: EXIT_CODES.done, out: "parcel: box (3 g)\n", err: "" });
  const chosen = await root.run(
    "execute",
    "order",
    "-i",
    '{"thing":"box"}',
    "-q",
    "-o",
    "jsonpath={.parcel}",
  );
  expect(chosen).toEqual({ code: EXIT_CODES.done, out: "box (3 g)\n", err: "" });
});

test("a run that fails has an exit code of its own, its reason and the next command on stderr", async () => {
  const { root } = await setup();
  const { code, out, err } = await root.run("execute", "fail");
  expect({ code, out }).toEqual({ code: EXIT_CODES.runFailed, out: "" });
  expect(err).toMatch(/the run failed: out of boxes/u);
  expect(err).toMatch(new RegExp(`next: kubectl memflow history ${UUID} -n shop --server http`, "u"));
});

test("start prints the run in every form, and the same key starts it once", async () => {
  const { root } = await setup();
  const args = ["start", "wait", "--id", "parcel-1", "--idempotency-key", "k1"];
  const first = await root.run(...args);
  expect(first.out).toMatch(new RegExp(`^run/${UUID} started\n$`, "u"));
  expect((await root.run(...args)).out).toMatch(/ was started before\n$/u);
  expect((await root.run(...args, "-o", "name")).out).toBe(first.out.replace(" started", ""));
  expect(JSON.parse((await root.run(...args, "-o", "json")).out)).toMatchObject({
    workflowId: "parcel-1",
    store: "main",
  });
  const open = await root.run("start", "wait", "--id", "parcel-1");
  expect(open.code).toBe(EXIT_CODES.failure);
  expect(open.err).toMatch(new RegExp(`next: kubectl memflow describe ${UUID}`, "u"));
});

test("an input that its Workflow does not take is a usage error that names the field", async () => {
  const { root } = await setup();
  const { code, err } = await root.run("start", "order", "-i", '{"thing":7}');
  expect(code).toBe(EXIT_CODES.usage);
  expect(err).toMatch(/body\.input\.thing: /u);
});

test("Ctrl-C while waiting, or the end of the time, leaves the run and says how to go on", async () => {
  const { root } = await setup();
  const running = root.begin(["execute", "wait", "--id", "patient"]);
  await running.printed(/started \(wait/u);
  running.interrupt();
  const { code, out, err } = await running.ended;
  expect({ code, out }).toEqual({ code: EXIT_CODES.interrupted, out: "" });
  expect(err).toMatch(
    new RegExp(`run ${UUID} goes on\nnext: kubectl memflow result ${UUID} -n shop --server`, "u"),
  );
  const timed = await root.run("result", "wait/patient", "--timeout", "50ms");
  expect(timed.code).toBe(EXIT_CODES.timedOut);
  expect(timed.err).toContain("no result within 50ms");
  await root.run("signal", "patient", "go", "--data", '{"by":"test"}');
  const { out: result } = await root.run("result", "patient");
  expect(JSON.parse(result)).toEqual({ by: "test" });
});

test("list looks as kubectl does, is filtered, and counts", async () => {
  const { root } = await setup();
  await root.run("execute", "order", "-q", "-i", '{"thing":"cup"}', "--id", "o-1", "--search", "city=Ulm");
  await root.run("start", "wait", "--id", "w-1");
  const { out } = await root.run("list");
  expect(out).toMatch(/^RUN ID +WORKFLOW +WORKFLOW ID +STATUS +AGE +TOOK\n/u);
  expect(out).toMatch(new RegExp(`^${UUID} +wait +w-1 +running +\\d+s +<none>$`, "mu"));
  expect((await root.run("list", "--no-headers", "-l", "city=Ulm")).out).toMatch(
    /^\S+ +order +o-1 +completed +\d+s +\d+s\n$/u,
  );
  expect((await root.run("list", "-o", "jsonpath={.items[?(@.status=='running')].workflowId}")).out).toBe(
    "w-1\n",
  );
  expect((await root.run("list", "-o", "wide", "--status", "running")).out).toContain("QUEUE");
  expect((await root.run("list", "--limit", "1", "-o", "name")).out).toMatch(
    new RegExp(`^run/${UUID}\n$`, "u"),
  );
  expect(await root.run("count", "--workflow", "wait")).toMatchObject({ code: 0, out: "1\n" });
  const none = await root.run("list", "--id-prefix", "zzz");
  expect(none.err).toBe("no runs found\n");
});

test("get, describe and query find a run by its id, by WORKFLOW/ID and by its workflow id", async () => {
  const { root } = await setup();
  await root.run("execute", "order", "-q", "-i", '{"thing":"cup"}', "--id", "o-1", "--search", "city=Ulm");
  const runId = (await root.run("get", "o-1", "-o", "jsonpath={.runId}")).out.trim();
  for (const reference of [runId, `run/${runId}`, "order/o-1", "o-1"]) {
    expect((await root.run("get", reference, "-o", "name")).out).toBe(`run/${runId}\n`);
  }
  const { out } = await root.run("describe", "o-1");
  expect(out).toMatch(/^Status: {7}completed$/mu);
  expect(out).toMatch(/^Result: {7}\{"parcel":"cup \(3 g\)"\}$/mu);
  expect(out).toMatch(/^ {2}city: Ulm$/mu);
  expect(out).toMatch(/^ {2}EVENT +AGE +KIND +DETAIL$/mu);
  expect(JSON.parse((await root.run("entity", "o-1")).out)).toEqual({ thing: "cup", status: "done" });
  expect(JSON.parse((await root.run("query", "o-1")).out)).toMatchObject({ done: true });
  expect(JSON.parse((await root.run("query", "o-1", "search-data")).out)).toEqual({ city: "Ulm" });
});

test("history prints the events, and with --follow goes on to the end, also over a restart of the gateway", async () => {
  const { root, gateway } = await setup();
  const runId = await startWaiting(root);
  const first = await root.run("signal", runId, "go-on", "-d", "1");
  expect(first.code).toBe(EXIT_CODES.done);
  const following = root.begin(["history", runId, "-f", "-o", "json"]);
  await following.printed(/signal_received/u);
  await gateway.restart();
  await root.run("signal", runId, "go", "-d", "1");
  const { code, out, err } = await following.ended;
  expect(code).toBe(EXIT_CODES.done);
  const told = out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { readonly kind: string; readonly name: string });
  expect(told.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
    "signal_received go-on",
    "signal_received go",
  ]);
  expect(err).toBe("the run is completed\n");
  expect((await root.run("history", runId)).out).toMatch(
    /^EVENT +TIME +KIND +NAME +DETAIL\n1 +\S+ +signal_received +go-on +signal go-on received\n2 /u,
  );
});

test("cancel, interrupt and terminate end runs and say so", async () => {
  const { root } = await setup();
  const [one, two, three] = [await startWaiting(root), await startWaiting(root), await startWaiting(root)];
  expect((await root.run("cancel", one, "--reason", "enough")).out).toBe(`run/${one} canceled\n`);
  expect((await root.run("terminate", two)).out).toBe(`run/${two} terminated\n`);
  expect(await root.run("interrupt", three, "--code", "409")).toMatchObject({ code: EXIT_CODES.done });
  const again = await root.run("cancel", one);
  expect(again.code).toBe(EXIT_CODES.failure);
  expect((await root.run("result", one)).code).toBe(EXIT_CODES.runFailed);
});

test("a watch of a run prints it as it changes, and ends with it", async () => {
  const { root } = await setup();
  const runId = await startWaiting(root);
  const watching = root.begin(["get", runId, "-w"]);
  await watching.printed(/running/u);
  await root.run("signal", runId, "go");
  const { code, out } = await watching.ended;
  expect(code).toBe(EXIT_CODES.done);
  expect(out).toMatch(/^RUN ID.*\n.* running .*\n(.*\n)*.* completed .*\n$/u);
});

test("trace draws the run with its children, and the link where traces are kept", async () => {
  const { root } = await setup();
  await root.run("execute", "order", "-q", "-i", '{"thing":"cup"}', "--id", "o-1");
  const { out } = await root.run("trace", "o-1", "--url", "https://traces.example/{runId}");
  expect(out).toMatch(
    /^order o-1 \(completed, \d+s\)\n└─ child pack \S+ \(completed, \d+s\)\n {3}└─ activity weigh\nhttps:\/\/traces\.example\/[0-9a-f-]{36}\n$/u,
  );
});

test("export gives what a replay takes, and nothing of value with --no-values", async () => {
  const { root } = await setup();
  await root.run("execute", "order", "-q", "-i", '{"thing":"cup"}', "--id", "o-1");
  expect(JSON.parse((await root.run("export", "o-1")).out)).toMatchObject({ format: "memflow-export/1" });
  expect((await root.run("export", "o-1", "--no-values")).out).not.toContain("cup");
});

test("queues and workflows show what manifests and decisions say", async () => {
  const { root } = await setup();
  expect((await root.run("queues")).out).toMatch(
    /^NAME +QUEUE +READY +IN FLIGHT +WORKERS +DESIRED +OLDEST\npackers +queue +0 +0 +1 +1 +<none>\n$/u,
  );
  expect((await root.run("workflows", "order")).out).toMatch(/order +order +queue +false +thing,note\?\n$/u);
  expect((await root.run("workflows", "-o", "name")).out).toBe(
    "workflow/order\nworkflow/pack\nworkflow/wait\nworkflow/fail\n",
  );
  expect((await root.run("schedules")).err).toBe("no schedules found\n");
});

test("what is not there is not found, with the command that lists what is", async () => {
  const { root } = await setup();
  for (const [args, next] of [
    [["get", "00000000-0000-4000-8000-000000000000"], "next: kubectl memflow list"],
    [["describe", "nobody"], ""],
    [["queues", "none"], "next: kubectl memflow queues"],
    [["workflows", "none"], "next: kubectl memflow workflows"],
    [["schedules", "none"], "next: kubectl memflow schedules"],
  ] as const) {
    const { code, out, err } = await root.run(...args);
    expect({ args, code, out }).toEqual({ args, code: EXIT_CODES.notFound, out: "" });
    expect(err).toContain(next);
  }
});

test("who may not is told what, on what and where, and who is not known is told so", async () => {
  const { root, gateway } = await setup();
  const runId = await startWaiting(root);
  const clerk = await CliUser.withToken(gateway.url(), "clerk", NAMESPACE);
  const refused = await clerk.run("terminate", runId);
  expect(refused.code).toBe(EXIT_CODES.forbidden);
  expect(refused.err).toMatch(/user "clerk" may not terminate .*workflows\/runs.* in namespace "shop"/u);
  expect((await clerk.run("signal", runId, "go")).code).toBe(EXIT_CODES.done);
  const stranger = await CliUser.make(["--server", gateway.url(), "-n", NAMESPACE]);
  expect((await stranger.run("list")).code).toBe(EXIT_CODES.forbidden);
  expect((await clerk.run("whoami")).out).toMatch(
    /^user {5}clerk\ngroups {3}testers\nknown by token\ngateway {2}http/u,
  );
});

test("a report holds queues, Workflows and a run's story, and neither tokens nor values", async () => {
  const { root } = await setup();
  await root.run("execute", "order", "-q", "-i", '{"thing":"hunter2"}', "--id", "o-1");
  const { code, err } = await root.run("report", "--run", "o-1", "-f", "report.json");
  expect(code).toBe(EXIT_CODES.done);
  expect(err).toContain("read it before you send it");
  const { out } = await root.run("report", "--run", "o-1");
  expect(JSON.parse(out)).toMatchObject({ format: "memflow-report/1", queues: [{ name: "packers" }] });
  expect(out).toContain("child_started");
  expect(out).not.toContain("hunter2");
});

test("names are completed from the gateway, and its version is told", async () => {
  const { root, gateway } = await setup();
  await writeFile(path.join(root.folder, "token"), "root");
  const place = ["--server", gateway.url(), "--token-file", "token", "-n", NAMESPACE];
  const bare = await CliUser.make([]);
  await writeFile(path.join(bare.folder, "token"), "root");
  expect((await bare.run("__complete", ...place, "start", "or")).out).toBe("order\torder\n:4\n");
  expect((await root.run("version")).out).toMatch(/^client .*\ngateway {2}\S+\n$/u);
});
