/**
 * Code that a replay could not repeat is found, named with its place, parked with its history untouched, and goes on when
 * the right code returns.
 */
import { readFileSync } from "node:fs";
import { MemFlow } from "@memflow/sdk";
import type { RunDescription, WorkflowFunction, WorkflowHandle } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually, setup } from "./setup.ts";
import type { TestStore } from "./setup.ts";

const FILE = import.meta.filename;
const QUEUE = "determinism";

const { charge, ship, refund } = MemFlow.workflow.proxyActivities<{
  charge(): string;
  ship(): string;
  refund(): string;
}>({ activities: { charge: () => "charged", ship: () => "shipped", refund: () => "refunded" } });

/** The line of this file that bears the mark, as a place without its column. */
function marked(mark: string): string {
  const lines = readFileSync(FILE, "utf8").split("\n");
  return `${FILE}:${lines.findIndex((line) => line.includes(`// <- ${mark}`)) + 1}`;
}

async function parked(handle: WorkflowHandle): Promise<NonNullable<RunDescription["problem"]>> {
  return await eventually("the run is parked", async () => (await handle.describe()).problem ?? undefined);
}

function lineOf(problem: NonNullable<RunDescription["problem"]>): string {
  return String(problem["place"]).replace(/:\d+$/, "");
}

/**
 * Starts `order` with the first code, stops its worker while it waits, and lets another take over with the second code:
 * when the signal comes, since before there is nothing to do.
 */
async function takenOver(
  first: WorkflowFunction,
  second: WorkflowFunction,
): Promise<{ store: TestStore; handle: WorkflowHandle }> {
  const store = await setup();
  const before = await store.engine({ taskQueue: QUEUE, workflows: { order: first } });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "order" });
  await eventually("it waits", async () => (await store.query("select from waits")).length === 1);
  before.crash();
  await store.bury(before.status.workerId);
  await handle.signal("approved", "yes");
  await store.engine({ taskQueue: QUEUE, workflows: { order: second } });
  return { store, handle };
}

async function original(): Promise<string[]> {
  const steps = [await charge()];
  steps.push(await MemFlow.workflow.waitFor<string>("approved"));
  steps.push(await ship());
  return steps;
}

test("code that asks for another activity is found with its line; the run goes on when the right code returns", async () => {
  let triedCount = 0;
  const { store, handle } = await takenOver(original, async () => {
    triedCount += 1;
    const steps = [await refund()]; // <- changed
    steps.push(await MemFlow.workflow.waitFor<string>("approved"));
    return steps;
  });
  const problem = await parked(handle);
  expect(problem).toMatchObject({
    name: "HistoryMismatchError",
    code: "HISTORY_MISMATCH",
    position: 0,
    expected: 'activity "charge"',
    actual: 'activity "refund"',
  });
  expect(lineOf(problem)).toBe(marked("changed"));
  expect(problem.message).toContain(String(problem["place"]));
  expect((await handle.history()).map(({ kind, name }) => [kind, name])).toEqual([
    ["activity_completed", "charge"],
  ]);
  // A signal to a parked run waits with it.
  await handle.signal("more", "kept");
  const foundFaulty = triedCount;
  await store.engine({ taskQueue: QUEUE, workflows: { order: original } });
  expect(await handle.result()).toEqual(["charged", "yes", "shipped"]);
  expect((await handle.describe()).problem).toBeNull();
  // The worker with the other code lives on, and leaves the run alone.
  expect(triedCount).toBe(foundFaulty);
});

test("a parked run is not tried again by the build whose code did not match, but by the next one", async () => {
  const store = await setup();
  const workerOf = (buildId: string, order: WorkflowFunction): ReturnType<TestStore["engine"]> =>
    store.engine({ taskQueue: QUEUE, workflows: { order }, tuning: { buildId } });
  const right = await workerOf("one", original);
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "order" });
  await eventually("it waits", async () => (await store.query("select from waits")).length === 1);
  right.crash();
  await store.bury(right.status.workerId);
  await handle.signal("approved", "yes");
  let triedCount = 0;
  const faulty = async (): Promise<string> => {
    triedCount += 1;
    return await refund();
  };
  await workerOf("two", faulty);
  await parked(handle);
  const foundFaulty = triedCount;
  await workerOf("two", faulty);
  const states = await store.query<{ ready_at: unknown }>("select ready_at from runs");
  expect(states).toEqual([{ ready_at: Number.POSITIVE_INFINITY }]);
  await workerOf("three", original);
  expect(await handle.result()).toEqual(["charged", "yes", "shipped"]);
  expect(triedCount).toBe(foundFaulty);
});

test("code that asks for nothing where history goes on is found at its last call", async () => {
  const twoSteps = async (): Promise<string> => {
    await charge();
    await ship();
    return await MemFlow.workflow.waitFor<string>("approved");
  };
  const { handle } = await takenOver(twoSteps, async () => {
    return await charge(); // <- shortened
  });
  const problem = await parked(handle);
  expect(problem).toMatchObject({
    code: "HISTORY_MISMATCH",
    position: 1,
    expected: 'activity "ship"',
    actual: "nothing more",
  });
  expect(lineOf(problem)).toBe(marked("shortened"));
});

test("a step that was put before others is found, one that was put at the end is no difference", async () => {
  const { handle } = await takenOver(original, async () => {
    await MemFlow.workflow.sleepFor(1); // <- put before
    return await original();
  });
  const problem = await parked(handle);
  expect(problem).toMatchObject({
    code: "HISTORY_MISMATCH",
    position: 0,
    expected: 'activity "charge"',
    actual: "timer",
  });
  expect(lineOf(problem)).toBe(marked("put before"));

  const longer = await takenOver(original, async () => [...(await original()), await refund()]);
  expect(await longer.handle.result()).toEqual(["charged", "yes", "shipped", "refunded"]);
});

test("a person can resume a parked run, and it parks again while the code is wrong", async () => {
  const { handle } = await takenOver(original, async () => await refund());
  const { message } = await parked(handle);
  expect(await handle.resume()).toBe(true);
  expect((await parked(handle)).message).toBe(message);
  await handle.terminate("given up");
  await expect(handle.result()).rejects.toMatchObject({ code: "TERMINATED", message: "given up" });
});

/** Real I/O as a user would do it by mistake: through something that was opened elsewhere. */
const connection = {
  ask: (): Promise<string> => new Promise((resolve) => setImmediateOutside(() => resolve("answer"))),
};
const setImmediateOutside = setImmediate;

test("real I/O that is awaited is found at once, with its line", async () => {
  const store = await setup();
  await store.worker({
    taskQueue: QUEUE,
    workflow: async function asks() {
      await charge();
      return await lookUp();
    },
  });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "asks" });
  const problem = await parked(handle);
  expect(problem).toMatchObject({ name: "DeterminismViolation", code: "DETERMINISM_VIOLATION" });
  expect(lineOf(problem)).toBe(marked("real I/O"));
  expect(problem.message).toMatch(/^an await in "asks" after position 0 .* do it in an activity$/);
  await store.worker({
    taskQueue: QUEUE,
    workflow: async function asks() {
      return [await charge(), await ship()];
    },
  });
  expect(await handle.result()).toEqual(["charged", "shipped"]);
});

async function lookUp(): Promise<string> {
  return await connection.ask(); // <- real I/O
}

test("real I/O beside a durable call is found when it comes, before the durable call does", async () => {
  const store = await setup();
  await store.worker({
    taskQueue: QUEUE,
    workflow: async function races() {
      return await Promise.race([MemFlow.workflow.sleepFor("1 hour"), connection.ask()]); // <- race
    },
  });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "races" });
  const problem = await parked(handle);
  expect(problem).toMatchObject({ code: "DETERMINISM_VIOLATION" });
  expect(lineOf(problem)).toMatch(marked("race"));
});

test("a durable call after real I/O is refused with its line", async () => {
  const store = await setup();
  await store.worker({
    taskQueue: QUEUE,
    workflow: async function late() {
      const side = connection.ask().then(() => charge()); // <- late call
      await Promise.all([side, MemFlow.workflow.sleepFor("1 hour")]);
    },
  });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "late" });
  const problem = await parked(handle);
  expect(problem).toMatchObject({ code: "DETERMINISM_VIOLATION" });
  expect(problem.message).toContain('activity "charge"');
  expect(lineOf(problem)).toBe(marked("late call"));
});

test.each([
  ["fetch", async () => await fetch("http://localhost")],
  ["node:fs.readFileSync", async () => await Promise.resolve(readFileSync(FILE))],
  ["setInterval", async () => await Promise.resolve(setInterval(() => undefined, 1))],
  ["setImmediate", async () => await Promise.resolve(setImmediate(() => undefined))],
])("%s inside a workflow is refused with its place, though the code swallows it", async (call, forbidden) => {
  const store = await setup();
  await store.worker({
    taskQueue: QUEUE,
    workflow: async function swallows() {
      await forbidden().catch(() => undefined);
      return "swallowed";
    },
  });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "swallows" });
  const problem = await parked(handle);
  expect(problem).toMatchObject({ code: "DETERMINISM_VIOLATION" });
  expect(problem.message).toMatch(
    new RegExp(`^${call.replaceAll(".", "\\.")} is not deterministic .*; do it in an activity`),
  );
  expect(lineOf(problem)).toMatch(new RegExp(`^${FILE}:`));
});

test("a paranoid worker finds what no guard can: state that outlives its run", async () => {
  const store = await setup();
  let calls = 0;
  const counts = async (): Promise<unknown> => {
    calls += 1;
    return await pay(calls); // <- counts
  };
  const { pay } = MemFlow.workflow.proxyActivities({
    activities: { pay: (amount: number): number => amount },
  });
  await store.worker({ taskQueue: QUEUE, workflow: { counts, original }, options: { paranoid: true } });
  const handle = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "counts" });
  const problem = await parked(handle);
  expect(problem).toMatchObject({ code: "DETERMINISM_VIOLATION" });
  expect(lineOf(problem)).toBe(marked("counts"));
  expect(problem.message).toMatch(/"args":"\[1\]".* from scratch it is .*"args":"\[2\]"/);
  const good = await store.client.workflow.start({ taskQueue: QUEUE, workflowName: "original" });
  await good.signal("approved", "yes");
  expect(await good.result()).toEqual(["charged", "yes", "shipped"]);
});
