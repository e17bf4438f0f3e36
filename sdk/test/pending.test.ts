/**
 * Starts that reserve a workflow id, and runs that are kept for good.
 */
import { DuplicateJobError, MemFlow, OptionError, WorkflowNotFoundError } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";

const QUEUE = "pending";

async function echo(value: unknown): Promise<unknown> {
  const search = await MemFlow.workflow.search();
  return [value, await search.get("seeded")];
}

const children: string[] = [];
async function parent(): Promise<void> {
  children.push(
    await MemFlow.workflow.startChild({ workflowName: "echo", args: ["child"] }),
    await MemFlow.workflow.startChild({ workflowName: "echo", args: ["short"], expire: 60 }),
  );
}

async function reserves(): Promise<unknown> {
  return await MemFlow.workflow.execChild({ workflowName: "echo", pending: 5 });
}

async function served() {
  const store = await setup();
  await store.worker({ taskQueue: QUEUE, workflow: { echo, parent, reserves } });
  const start = (workflowName: string, more = {}) =>
    store.client.workflow.start({ taskQueue: QUEUE, workflowName, ...more });
  return { ...store, start };
}

test("a pending run keeps its id and does nothing until it is resumed, whatever workers register", async () => {
  const { client, start, query, worker } = await served();
  const reserved = await start("echo", {
    args: ["later"],
    workflowId: "reserved",
    pending: 3_600,
    search: { data: { seeded: "yes" } },
  });
  await worker({ taskQueue: QUEUE, workflow: { echo }, options: { maxConcurrentRuns: 7 } });
  expect(await reserved.describe()).toMatchObject({ status: "running", problem: { code: "PENDING" } });
  expect(await reserved.status()).toBe(1);
  await expect(start("echo", { workflowId: "reserved" })).rejects.toBeInstanceOf(DuplicateJobError);
  await expect(start("echo", { workflowId: "reserved", pending: 1 })).rejects.toBeInstanceOf(
    DuplicateJobError,
  );
  expect(await query("select 1 from runs where epoch > 0 and workflow_id = 'reserved'")).toEqual([]);
  const handle = await client.workflow.getHandle("reserved");
  expect(await handle.resume()).toBe(true);
  expect(await reserved.result()).toEqual(["later", "yes"]);
  expect(await handle.resume()).toBe(false);
});

test("a reservation that nobody resumes gives its id up and goes with the next prune", async () => {
  const { start, query } = await served();
  const reserved = await start("echo", { workflowId: "lapsed", pending: 3_600 });
  await query(
    "update runs set expires_at = clock_timestamp() - interval '1 second' where workflow_id = 'lapsed'",
  );
  expect(await reserved.resume()).toBe(false);
  const next = await start("echo", { args: [2], workflowId: "lapsed" });
  expect(await next.result()).toEqual([2, ""]);
  await eventually("the lapsed run to go", async () => {
    await query("select * from prune(100)");
    return (await query("select 1 from runs where run_id = $1", [reserved.runId])).length === 0;
  });
  await expect(reserved.result()).rejects.toBeInstanceOf(WorkflowNotFoundError);
  expect(await next.describe()).toMatchObject({ status: "completed" });
});

test("a pending run can be interrupted instead", async () => {
  const { start } = await served();
  const reserved = await start("echo", { pending: 3_600 });
  await reserved.interrupt();
  await expect(reserved.result()).rejects.toMatchObject({ code: 410 });
  expect(await reserved.resume()).toBe(false);
});

test("a persistent run is kept for good; children keep what their parent keeps, unless they say otherwise", async () => {
  const { client, start, query } = await served();
  const keptSeconds = async (workflowIds: readonly string[]): Promise<number[]> => {
    const rows = await query<{ retention_seconds: number }>(
      `select r.retention_seconds from unnest($1::text[]) with ordinality as wanted (id, place)
       join runs r on r.workflow_id = wanted.id order by wanted.place`,
      [workflowIds],
    );
    return rows.map(({ retention_seconds: seconds }) => seconds);
  };
  await (await start("parent", { workflowId: "kept", persistent: true })).result();
  const [child = "", short = ""] = children.splice(0);
  for (const id of [child, short]) await (await client.workflow.getHandle(id)).result();
  expect(await keptSeconds(["kept", child, short])).toEqual([2_147_483_647, 2_147_483_647, 60]);
  await (await start("parent", { workflowId: "brief", expire: 90 })).result();
  expect(await keptSeconds(["brief", ...children])).toEqual([90, 90, 60]);
  children.length = 0;
});

test("options that contradict each other are refused by name", async () => {
  const { start } = await served();
  for (const [field, options] of [
    ["pending", { pending: 0 }],
    ["pending", { pending: "5" }],
    ["pending", { pending: Number.NaN }],
    ["startDelay", { pending: 5, startDelay: "1s" }],
    ["persistent", { persistent: "yes" }],
    ["expire", { persistent: true, expire: 5 }],
    ["expire", { expire: -1 }],
  ] as const) {
    await expect(start("echo", options)).rejects.toBeInstanceOf(OptionError);
    await expect(start("echo", options)).rejects.toMatchObject({ field });
  }
  const config = { maximumAttempts: 1 };
  await expect((await start("reserves", { config })).result()).rejects.toMatchObject({ field: "pending" });
});

test("an interrupt says how long the ended run is kept, and with which code it ended", async () => {
  const { start, query } = await served();
  const handle = await start("echo", { pending: 3_600 });
  const stack = "InterruptedError: by hand\n    at a place of mine";
  await handle.interrupt({ code: 418, reason: "by hand", expire: 77, stack });
  await expect(handle.result()).rejects.toMatchObject({
    code: 418,
    message: "by hand",
    job_id: handle.workflowId,
    stack,
  });
  expect(
    await query(
      "select extract(epoch from expires_at - closed_at)::integer as kept from runs where run_id = $1",
      [handle.runId],
    ),
  ).toEqual([{ kept: 77 }]);
});
