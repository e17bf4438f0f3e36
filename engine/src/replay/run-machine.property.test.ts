/**
 * Any program of control flow around durable calls does what it does around plain promises, and replays from any prefix.
 */
import { setImmediate as macrotask } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { EVENT_KIND } from "../core/events.ts";
import { HandDrivenRun, durable } from "../testing/hand-driven-run.ts";
import type { Invoke } from "./run-machine.ts";

/** A program: what a workflow function may be made of. */
type Program =
  | { readonly kind: "call"; readonly name: string; readonly fails: boolean }
  | { readonly kind: "sleep" }
  | { readonly kind: "wait"; readonly name: string }
  | { readonly kind: "throw"; readonly name: string }
  | { readonly kind: "tick" }
  | { readonly kind: "sequence" | "generator"; readonly parts: readonly Program[] }
  | { readonly kind: "all" | "race" | "any" | "allSettled"; readonly parts: readonly Program[] }
  | {
      readonly kind: "try";
      readonly body: Program;
      readonly handler: Program | null;
      readonly finalizer: Program | null;
    }
  | { readonly kind: "loop"; readonly times: number; readonly body: Program };

/** The calls that a program makes: durable ones, or plain promises. */
interface Calls {
  call(name: string): Promise<unknown>;
  sleep(): Promise<unknown>;
  wait(name: string): Promise<unknown>;
}

/** How the promise of a plain call, still open, is settled. */
type Settle = () => void;

const COMBINATIONS = ["sequence", "all", "race", "any", "allSettled", "generator"] as const;
const names = fc.constantFrom("a", "b", "c");
const { program: anyProgram, parts: anyParts } = fc.letrec<{ program: Program; parts: Program[] }>((tie) => ({
  program: fc.oneof(
    { maxDepth: 5, depthSize: "max", withCrossShrink: true },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant("call" as const), name: names, fails: fc.boolean() }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("sleep" as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("wait" as const), name: names }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("throw" as const), name: names }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("tick" as const) }) },
    { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom(...COMBINATIONS), parts: tie("parts") }) },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant("try" as const),
        body: tie("program"),
        handler: fc.option(tie("program")),
        finalizer: fc.option(tie("program")),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("loop" as const),
        times: fc.integer({ min: 1, max: 3 }),
        body: tie("program"),
      }),
    },
  ),
  parts: fc.array(tie("program"), { minLength: 1, maxLength: 3 }),
}));
/** Three parts one after another, so that few programs are trivial. */
const programs = fc.record({
  kind: fc.constant("sequence" as const),
  parts: fc.array(
    fc.oneof(anyProgram, fc.record({ kind: fc.constantFrom(...COMBINATIONS), parts: anyParts })),
    { minLength: 3, maxLength: 3 },
  ),
});

/** Runs a program; what it logs shows in which order its parts went on. */
async function execute(program: Program, calls: Calls, log: string[]): Promise<unknown> {
  switch (program.kind) {
    case "call":
      return await noting(log, program.name, () =>
        calls.call(program.fails ? `!${program.name}` : program.name),
      );
    case "sleep":
      return await noting(log, "sleep", () => calls.sleep());
    case "wait":
      return await noting(log, program.name, () => calls.wait(program.name));
    case "throw":
      throw new RangeError(program.name);
    case "tick":
      return await Promise.resolve("tick");
    case "sequence":
      return await inSequence(program.parts, calls, log);
    case "generator":
      return await throughGenerator(program.parts, calls, log);
    case "try":
      return await trying(program, calls, log);
    case "loop":
      return await looping(program, calls, log);
    default:
      return await combined(program, calls, log);
  }
}

async function noting(log: string[], name: string, call: () => Promise<unknown>): Promise<unknown> {
  log.push(`${name} asked`);
  try {
    const value = await call();
    log.push(`${name} -> ${JSON.stringify(value)}`);
    return value;
  } catch (error) {
    log.push(`${name} failed: ${describe(error)}`);
    throw error;
  }
}

async function inSequence(parts: readonly Program[], calls: Calls, log: string[]): Promise<unknown> {
  const values: unknown[] = [];
  for (const part of parts) values.push(await execute(part, calls, log));
  return values;
}

async function throughGenerator(parts: readonly Program[], calls: Calls, log: string[]): Promise<unknown> {
  async function* produce(): AsyncGenerator {
    try {
      for (const part of parts) yield await execute(part, calls, log);
    } finally {
      log.push("generator closed");
    }
  }
  const values: unknown[] = [];
  for await (const value of produce()) {
    values.push(value);
    if (value === "tick") break;
  }
  return values;
}

async function trying(
  program: Program & { readonly kind: "try" },
  calls: Calls,
  log: string[],
): Promise<unknown> {
  try {
    return await execute(program.body, calls, log);
  } catch (error) {
    log.push(`caught ${describe(error)}`);
    if (program.handler === null) throw error;
    return await execute(program.handler, calls, log);
  } finally {
    log.push("finally");
    if (program.finalizer !== null) await execute(program.finalizer, calls, log);
  }
}

async function looping(
  program: Program & { readonly kind: "loop" },
  calls: Calls,
  log: string[],
): Promise<unknown> {
  const values: unknown[] = [];
  for (let round = 0; round < program.times; round += 1) {
    log.push(`round ${round}`);
    values.push(await execute(program.body, calls, log));
  }
  return values;
}

async function combined(
  program: Program & { readonly kind: "all" | "race" | "any" | "allSettled" },
  calls: Calls,
  log: string[],
): Promise<unknown> {
  const parts = program.parts.map((part) => execute(part, calls, log));
  switch (program.kind) {
    case "all":
      return await Promise.all(parts);
    case "race":
      return await Promise.race(parts);
    case "any":
      return await Promise.any(parts);
    case "allSettled":
      return (await Promise.allSettled(parts)).map((part) =>
        part.status === "rejected" ? describe(part.reason) : part.value,
      );
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** What a program did until it returned. */
interface Story {
  readonly log: readonly string[];
  readonly outcome: string;
}

async function tell(program: Program, calls: Calls, log: string[]): Promise<Story> {
  try {
    const value = await execute(program, calls, log);
    return { log: [...log], outcome: `returned ${JSON.stringify(value)}` };
  } catch (error) {
    return { log: [...log], outcome: `threw ${describe(error)}` };
  }
}

/** Runs it around plain promises; `choices` say which open call is settled next. */
async function tellPlainly(program: Program, choices: readonly number[]): Promise<Story> {
  const open: Settle[] = [];
  const promise = (
    settle: (resolve: (value: unknown) => void, reject: (error: Error) => void) => void,
  ): Promise<unknown> => new Promise((resolve, reject) => open.push(() => settle(resolve, reject)));
  let count = 0;
  const calls: Calls = {
    call: (name) =>
      promise((resolve, reject) => {
        if (name.startsWith("!")) reject(new Error(name));
        else resolve(`${name}${(count += 1)}`);
      }),
    sleep: () => promise((resolve) => resolve(undefined)),
    // A signal of an id is for the one that has waited longest for it, as ours are.
    wait: (name) => promise((resolve) => resolve(name)),
  };
  let story: Story | undefined;
  void tell(program, calls, []).then((told) => (story = told));
  for (let step = 0; ; step += 1) {
    await macrotask();
    if (story !== undefined) return story;
    const index = (choices[step % choices.length] ?? 0) % open.length;
    open.splice(index, 1)[0]?.();
  }
}

const durableCalls: Calls = {
  call: (name) => durable.activity(name),
  sleep: () => durable.sleep(1_000),
  wait: (name) => durable.waitFor(name),
};

function invokeOf(program: Program, logs: string[][]): Invoke {
  return () => {
    const log: string[] = [];
    logs.push(log);
    return tell(program, durableCalls, log);
  };
}

/** Settles the open call at a position as the plain calls are settled. */
async function settle(run: HandDrivenRun, position: number, nextValue: () => number): Promise<void> {
  const call = run.context.pending.get(position);
  if (call?.kind === "timer") return await run.fire(position);
  if (call?.kind === "wait") return await run.signal(call.name ?? "", call.name);
  const name = call?.name ?? "";
  if (name.startsWith("!")) return await run.fail(position, new Error(name));
  return await run.complete(position, `${name}${nextValue()}`);
}

/** The picture of a run that a replay must show again. */
function picture(run: HandDrivenRun, log: readonly string[] | undefined): unknown {
  const pending = [...run.context.pending].map(([position, { kind, name }]) => ({ position, kind, name }));
  return {
    state: run.state,
    pending,
    nextPosition: run.context.nextPosition,
    nowMs: run.context.nowMs(),
    log: [...(log ?? [])],
  };
}

/** Plain promises have no ids: two waits of one id, settled out of order, would tell another story. */
function hasDistinctWaits(program: Program): boolean {
  const text = JSON.stringify(program);
  if (text.includes('"loop"') && text.includes('"wait"')) return false;
  const waits = [...text.matchAll(/"wait","name":"(\w)"/g)].map(([, name]) => name);
  return new Set(waits).size === waits.length;
}

/** Each prefix is replayed: longer runs cost their square and show nothing more. */
const REPLAYED_EVENTS_MAX = 40;

const choiceLists = fc.array(fc.nat(7), { minLength: 1, maxLength: 8 });

test("a program tells the same story around durable calls as around plain promises", async () => {
  await fc.assert(
    fc.asyncProperty(programs.filter(hasDistinctWaits), choiceLists, async (program, choices) => {
      const plain = await tellPlainly(program, choices);
      const run = await HandDrivenRun.start(invokeOf(program, []));
      let count = 0;
      for (let step = 0; run.state.kind === "waiting"; step += 1) {
        const index = (choices[step % choices.length] ?? 0) % run.open.length;
        await settle(run, run.open[index] ?? -1, () => (count += 1));
      }
      expect(run.result).toEqual(plain);
    }),
    { numRuns: 400 },
  );
});

test("a replay of any prefix shows the very picture that the live run showed", async () => {
  await fc.assert(
    fc.asyncProperty(programs, choiceLists, async (program, choices) => {
      const logs: string[][] = [];
      const run = await HandDrivenRun.start(invokeOf(program, logs));
      const [log] = logs;
      const pictures = [picture(run, log)];
      const commandCounts = [run.commands.length];
      let count = 0;
      for (let step = 0; run.state.kind === "waiting" && step < REPLAYED_EVENTS_MAX; step += 1) {
        const index = (choices[step % choices.length] ?? 0) % run.open.length;
        await settle(run, run.open[index] ?? -1, () => (count += 1));
        pictures.push(picture(run, log));
        commandCounts.push(run.commands.length);
      }
      for (const [length, expected] of pictures.entries()) {
        const again: string[][] = [];
        const replayed = await HandDrivenRun.replay(invokeOf(program, again), run.events.slice(0, length));
        expect(picture(replayed, again[0])).toEqual(expected);
        expect(replayed.commands).toEqual(run.commands.slice(0, commandCounts[length]));
      }
    }),
    { numRuns: 100 },
  );
});

test("signals that come before, between and after their waits are seen in order, each once", async () => {
  const steps = fc.array(fc.oneof(fc.record({ signal: names }), fc.record({ wait: names })), {
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      // The code waits for its ids in turn; the signals come whenever they come.
      const waits = list.flatMap((step) => ("wait" in step ? [step.wait] : []));
      const signals = list.flatMap((step) => ("signal" in step ? [step.signal] : []));
      const run = await HandDrivenRun.start(async () => {
        const seen: unknown[] = [];
        await durable.activity("begin");
        for (const name of waits) seen.push(await durable.waitFor(name));
        return seen;
      });
      const middle = signals.length >> 1;
      for (const [number, name] of signals.slice(0, middle).entries())
        await run.signal(name, { name, number });
      await run.complete(0, null);
      for (const [number, name] of signals.slice(middle).entries()) {
        if (run.state.kind === "waiting") await run.signal(name, { name, number: middle + number });
      }
      const arrived = signals.map((name, number) => ({ name, number }));
      const expected: unknown[] = [];
      for (const name of waits) {
        const index = arrived.findIndex((signal) => signal.name === name);
        if (index === -1) break;
        expected.push(arrived.splice(index, 1)[0]);
      }
      if (expected.length === waits.length) expect(run.result).toEqual(expected);
      else expect(run.state.kind).toBe("waiting");
      expect(run.events.filter(({ kind }) => kind === EVENT_KIND.signalReceived).length).toBeLessThanOrEqual(
        signals.length,
      );
    }),
    { numRuns: 200 },
  );
});
