/**
 * Parity with HotMesh's `collision`, `fatal`, `retry`, `retry-policy` and `unknown`: what fails, how often it is tried, and
 * what the caller gets. `maximumAttempts` counts executions here; HotMesh executes once more.
 */
import { DuplicateJobError, FatalError, MemFlow } from "@memflow/sdk";
import type { WorkflowHandle } from "@memflow/sdk";
import { expect, test } from "vitest";
import { eventually } from "../setup.ts";
import { AT_ONCE, serving } from "./serving.ts";

/** Executions of activities by name. */
const executions = new Map<string, number>();

function execute(name: string): number {
  const number = (executions.get(name) ?? 0) + 1;
  executions.set(name, number);
  return number;
}

/** An activity that fails until the execution of that number. */
function failingUntil(name: string, succeedsAt: number): () => string {
  return () => {
    const number = execute(name);
    if (number < succeedsAt) throw new Error(`${name} failed at ${number}`);
    return `${name} succeeded at ${number}`;
  };
}

const { fatal } = MemFlow.workflow.proxyActivities({
  activities: {
    fatal: (): never => {
      execute("fatal");
      throw new FatalError("stop and never retry");
    },
  },
  retryPolicy: { maximumAttempts: 5, ...AT_ONCE },
});
const { third } = MemFlow.workflow.proxyActivities({
  activities: { third: failingUntil("third", 3) },
  retryPolicy: { maximumAttempts: 3, backoffCoefficient: 1, initialInterval: 1 },
});
const { tooLate } = MemFlow.workflow.proxyActivities({
  activities: { tooLate: failingUntil("tooLate", 3) },
  retryPolicy: { maximumAttempts: 2, backoffCoefficient: 1, initialInterval: 1 },
});
const { doubling } = MemFlow.workflow.proxyActivities({
  activities: { doubling: failingUntil("doubling", 3) },
  retryPolicy: { maximumAttempts: 3, backoffCoefficient: 2, initialInterval: 1 },
});
const { patient } = MemFlow.workflow.proxyActivities({
  activities: { patient: failingUntil("patient", 4) },
  taskQueue: "parity-patient",
  retryPolicy: { maximumAttempts: 4, ...AT_ONCE },
});
const { hasty } = MemFlow.workflow.proxyActivities({
  activities: { hasty: failingUntil("hasty", 2) },
  taskQueue: "parity-hasty",
  retryPolicy: { maximumAttempts: 1, throwOnError: false },
});

const workflow = {
  waits: async () => await MemFlow.workflow.waitFor("go"),
  /** Asks for a taken id first, for one of its own after the retry. */
  collides: async () => {
    const { attempt } = MemFlow.workflow.workflowInfo();
    const workflowId = attempt === 1 ? "taken" : "free";
    return await MemFlow.workflow.execChild({ workflowName: "echo", workflowId, args: [attempt] });
  },
  echo: async (value: unknown) => await Promise.resolve(value),
  fatal: async () => {
    try {
      return await fatal();
    } catch (error) {
      if (MemFlow.didInterrupt(error)) return "taken for an interruption";
      throw error;
    }
  },
  third: async () => await third(),
  tooLate: async () => await tooLate(),
  doubling: async () => await doubling(),
  queues: async () => await Promise.all([patient(), hasty()]),
  unknown: async (succeedsAt: number) => {
    const { attempt } = MemFlow.workflow.workflowInfo();
    if (attempt < succeedsAt) throw new Error(`nobody knows ${attempt}`);
    return await Promise.resolve(attempt);
  },
};

/** Executions of a workflow function that has ended: one more than its recorded failed attempts. */
async function attemptsOf(handle: WorkflowHandle): Promise<number> {
  const events = await handle.history();
  return events.filter(({ kind }) => kind === "attempt_failed").length + 1;
}

test("collision: a child whose id is taken is refused; the parent's retry chooses another and succeeds", async () => {
  const { start } = await serving(workflow);
  await start("waits", [], { workflowId: "taken" });
  const once = await start("collides", [], { config: { maximumAttempts: 1 } });
  await expect(once.result()).rejects.toMatchObject({ message: "Duplicate job: taken" });
  await expect(once.result()).rejects.toBeInstanceOf(DuplicateJobError);
  const twice = await start("collides", [], { config: { maximumAttempts: 2, ...AT_ONCE } });
  expect(await twice.result()).toBe(2);
});

test("fatal: a fatal error of an activity is not retried, and rejects the result with 598 and its message", async () => {
  const { start } = await serving(workflow);
  const handle = await start("fatal", [], { config: { maximumAttempts: 5, ...AT_ONCE } });
  await expect(handle.result()).rejects.toMatchObject({ code: 598, message: "stop and never retry" });
  await expect(handle.result()).rejects.toBeInstanceOf(FatalError);
  expect(executions.get("fatal")).toBe(1);
  expect(await attemptsOf(handle)).toBe(1);
});

test("retry: an activity with maximumAttempts 3 and coefficient 1 succeeds on its third execution", async () => {
  const { start } = await serving(workflow);
  expect(await (await start("third")).result()).toBe("third succeeded at 3");
});

test("retry: maximumAttempts counts executions, so with 2 there is no third", async () => {
  const { start } = await serving(workflow);
  const handle = await start("tooLate", [], { config: { maximumAttempts: 1 } });
  await expect(handle.result()).rejects.toMatchObject({ code: 598, message: "tooLate failed at 2" });
  expect(executions.get("tooLate")).toBe(2);
});

test("retry-policy: an activity that fails twice succeeds with coefficient 2", async () => {
  const { start } = await serving(workflow);
  expect(await (await start("doubling")).result()).toBe("doubling succeeded at 3");
});

test("retry-policy: proxies of two queues each follow their own policy, side by side", async () => {
  const { start, worker } = await serving(workflow);
  await worker({ taskQueue: "parity-patient", workflow: { echo: workflow.echo } });
  await worker({ taskQueue: "parity-hasty", workflow: { echo: workflow.echo } });
  const [last, failure] = await (await start("queues")).result<[string, object]>();
  expect(last).toBe("patient succeeded at 4");
  expect(failure).toMatchObject({ message: "hasty failed at 1" });
});

test("retry-policy: the config of a start retries the workflow", async () => {
  const { start } = await serving(workflow);
  const handle = await start("unknown", [3], { config: { maximumAttempts: 3, ...AT_ONCE } });
  expect(await handle.result()).toBe(3);
  expect(await attemptsOf(handle)).toBe(3);
});

test("retry-policy: the policy of a queued attempt can be read in its row", async () => {
  const { start, query } = await serving(workflow);
  const { runId } = await start("queues");
  const rows = await eventually("both attempts are queued", async () => {
    const found = await query<{ name: string; policy: object }>(
      "select name, policy from activities where run_id = $1 order by name",
      [runId],
    );
    return found.length === 2 ? found : undefined;
  });
  expect(rows).toMatchObject([
    { name: "hasty", policy: { maximumAttempts: 1 } },
    { name: "patient", policy: { maximumAttempts: 4, backoffCoefficient: 1 } },
  ]);
});

test("unknown: a plain error is retried until the workflow succeeds", async () => {
  const { start } = await serving(workflow);
  const handle = await start("unknown", [2], { config: { maximumAttempts: 2, ...AT_ONCE } });
  expect(await handle.result()).toBe(2);
});

test("unknown: with too few attempts the result rejects with the workflow's own message and stack", async () => {
  const { start } = await serving(workflow);
  const handle = await start("unknown", [9], { config: { maximumAttempts: 2, ...AT_ONCE } });
  const error = await handle.result().catch((thrown: unknown) => thrown as Error);
  expect(error).toMatchObject({
    message: "nobody knows 2",
    stack: expect.stringContaining("failures.test.ts") as string,
  });
  expect(error).toBeInstanceOf(Error);
  expect(await attemptsOf(handle)).toBe(2);
});
