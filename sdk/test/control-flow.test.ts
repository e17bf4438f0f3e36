/**
 * Control flow around durable calls does what it does in plain JavaScript: live, and when the worker is replaced after
 * every single event.
 */
import { setImmediate as macrotask } from "node:timers/promises";
import { decodeFailure, encodeFailure } from "@memflow/engine";
import { MemFlow } from "@memflow/sdk";
import type { WorkflowHandle } from "@memflow/sdk";
import { beforeEach, expect, test } from "vitest";
import { CallError, PROGRAMS } from "./control-flow-programs.ts";
import type { Calls, Program } from "./control-flow-programs.ts";
import { eventually, setup } from "./setup.ts";
import type { TestStore } from "./setup.ts";

const QUEUE = "control-flow";
const NAMES = Object.keys(PROGRAMS);

/** What a program did: comparable between the two worlds. */
interface Story {
  readonly log: readonly string[];
  readonly result?: unknown;
  readonly error?: string;
}

async function tell(program: Program, calls: Calls): Promise<Story> {
  const log: string[] = [];
  try {
    const result = await program.run(calls, (line) => log.push(line));
    // What JSON leaves out of a result, it leaves out of both.
    return JSON.parse(JSON.stringify({ log: [...log], result })) as Story;
  } catch (error) {
    const { name, message, cause } = decodeFailure(encodeFailure(error));
    return { log: [...log], error: `${name}: ${message}, cause ${String(cause)}` };
  }
}

const valueOf = (name: string): string => `${name} done`;
const errorOf = (name: string): Error => new CallError(`${name} failed`);

/** Runs a program around plain promises that are settled step by step. */
async function tellPlainly(program: Program): Promise<Story> {
  const open = new Map<string, { resolve(value: string): void; reject(error: Error): void }>();
  const promise = (name: string): Promise<string> => {
    const { promise: made, ...settle } = Promise.withResolvers<string>();
    // A program may look at a failure late; the test's own process must not mind.
    made.catch(() => undefined);
    open.set(name, settle);
    return made;
  };
  const story = tell(program, {
    call: promise,
    wait: promise,
    pause: () => promise("pause"),
    timeout: () => promise("timeout"),
  });
  for (const name of program.steps) {
    await macrotask();
    const settle = open.get(name);
    if (name.startsWith("!")) settle?.reject(errorOf(name));
    else settle?.resolve(valueOf(name));
  }
  return await story;
}

/** Activities wait here until the test lets them go on, whichever worker runs them. */
const gates = new Map<string, PromiseWithResolvers<void>>();
beforeEach(() => gates.clear());

function gate(program: string, name: string): PromiseWithResolvers<void> {
  const key = `${program}/${name}`;
  const found = gates.get(key) ?? Promise.withResolvers<void>();
  gates.set(key, found);
  return found;
}

async function passGate(program: string, name: string): Promise<string> {
  await gate(program, name).promise;
  if (name.startsWith("!")) throw errorOf(name);
  return valueOf(name);
}

const activities = MemFlow.workflow.proxyActivities<{ passGate: typeof passGate }>({
  activities: { passGate },
  retryPolicy: { maximumAttempts: 3, nonRetryableErrorTypes: ["CallError"] },
});

/** The workflow: runs the program of a name around durable calls. */
async function runProgram(name: string): Promise<Story> {
  const program = PROGRAMS[name];
  if (program === undefined) throw new Error(`no program "${name}"`);
  return await tell(program, {
    call: (call) => activities.passGate(name, call),
    wait: (signalId) => MemFlow.workflow.waitFor(signalId),
    pause: () => MemFlow.workflow.sleepFor(1),
    timeout: () => new Promise((resolve) => setTimeout(resolve, 1)),
  });
}

interface Started {
  readonly name: string;
  readonly program: Program;
  readonly handle: WorkflowHandle;
}

async function startAll(store: TestStore): Promise<readonly Started[]> {
  return await Promise.all(
    Object.entries(PROGRAMS).map(async ([name, program]) => ({
      name,
      program,
      handle: await store.client.workflow.start({
        taskQueue: QUEUE,
        workflowName: "runProgram",
        args: [name],
        config: { maximumAttempts: 1 },
      }),
    })),
  );
}

/** Lets each program's step of this index happen, and waits until all are recorded. */
async function take(started: readonly Started[], index: number): Promise<void> {
  for (const { name, program, handle } of started) {
    const step = program.steps[index];
    if (step === undefined || step === "pause" || step === "timeout") continue;
    if (/^m\d$/.test(step)) await handle.signal(step, valueOf(step));
    else gate(name, step).resolve();
  }
  await eventually(`step ${index} of every program in history`, async () => {
    for (const { program, handle } of started) {
      const { eventCount, status } = await handle.describe();
      if (status === "running" && eventCount < Math.min(index + 1, program.steps.length)) return false;
    }
    return true;
  });
}

async function stories(started: readonly Started[]): Promise<Record<string, Story>> {
  const told = await Promise.all(
    started.map(async ({ name, handle }) => [name, await handle.result<Story>()]),
  );
  return Object.fromEntries(told) as Record<string, Story>;
}

const plainStories = async (): Promise<Record<string, Story>> =>
  Object.fromEntries(
    await Promise.all(
      Object.entries(PROGRAMS).map(async ([name, program]) => [name, await tellPlainly(program)]),
    ),
  ) as Record<string, Story>;

const stepsMax = Math.max(...Object.values(PROGRAMS).map(({ steps }) => steps.length));

test("each program tells the same story live as in plain JavaScript", async () => {
  const store = await setup();
  await store.engine({ taskQueue: QUEUE, workflows: { runProgram } });
  const started = await startAll(store);
  for (let index = 0; index < stepsMax; index += 1) await take(started, index);
  expect(await stories(started)).toEqual(await plainStories());
  expect(NAMES.length).toBeGreaterThan(20);
});

test("each program is the same when it is repeated from scratch after every event", async () => {
  const store = await setup();
  await store.engine({ taskQueue: QUEUE, workflows: { runProgram }, tuning: { paranoid: true } });
  const started = await startAll(store);
  for (let index = 0; index < stepsMax; index += 1) await take(started, index);
  expect(await stories(started)).toEqual(await plainStories());
});

test("each program tells the same story when its worker crashes after every event", async () => {
  const store = await setup();
  let engine = await store.engine({ taskQueue: QUEUE, workflows: { runProgram } });
  const started = await startAll(store);
  for (let index = 0; index < stepsMax; index += 1) {
    await take(started, index);
    engine.crash();
    await store.bury(engine.status.workerId);
    engine = await store.engine({ taskQueue: QUEUE, workflows: { runProgram } });
  }
  expect(await stories(started)).toEqual(await plainStories());
});
