/** The replay engine, fed with histories that were written by hand. */
import { expect, test } from "vitest";
import { DeterminismViolation, EntityError, FatalError, HistoryMismatchError } from "../core/errors.ts";
import { EVENT_KIND } from "../core/events.ts";
import { HAND_FACTS, HandDrivenRun, durable } from "../testing/hand-driven-run.ts";
import { currentContext } from "./run-context.ts";

test("a function that is not async, and one that asks nothing, complete at once", async () => {
  expect((await HandDrivenRun.start(() => 7)).result).toBe(7);
  expect((await HandDrivenRun.start(async () => await Promise.resolve("x"))).result).toBe("x");
});

test("arguments and result are JSON, undefined is kept", async () => {
  const input = JSON.stringify([{ a: 1 }, "b"]);
  const run = await HandDrivenRun.start((_context, args) => ({ args }), { input });
  expect(run.result).toEqual({ args: [{ a: 1 }, "b"] });
  expect((await HandDrivenRun.start(() => undefined)).result).toBeUndefined();
});

test("commands are numbered in program order, also of calls that run at once", async () => {
  const run = await HandDrivenRun.start(async () => {
    await Promise.all([durable.activity("a"), durable.sleep(5), durable.waitFor("s"), durable.activity("b")]);
  });
  expect(run.commands.map(({ kind, position }) => [position, kind])).toEqual([
    [0, "activity"],
    [1, "timer"],
    [2, "wait"],
    [3, "activity"],
  ]);
});

test("events settle promises in their own order, not in that of the calls", async () => {
  const seen: unknown[] = [];
  const run = await HandDrivenRun.start(async () => {
    await Promise.all(["a", "b", "c"].map(async (name) => seen.push(await durable.activity(name))));
  });
  await run.complete(2, "c");
  await run.complete(0, "a");
  await run.complete(1, "b");
  expect([run.state.kind, seen]).toEqual(["completed", ["c", "a", "b"]]);
});

test("time inside a run is its last event's and never goes back", async () => {
  const run = await HandDrivenRun.start(async () => {
    const times = [Date.now()];
    for (const name of ["a", "b"]) {
      await durable.activity(name);
      times.push(Date.now());
    }
    return times;
  });
  await run.complete(0, 1);
  await run.complete(1, 1);
  const { startedMs } = HAND_FACTS;
  expect(run.result).toEqual([startedMs, startedMs + 1_000, startedMs + 2_000]);
  const late = await HandDrivenRun.replay(async () => {
    await durable.activity("a");
    return Date.now();
  }, [{ ...(run.events[0] ?? raise()), atMs: startedMs - 60_000 }]);
  expect(late.result).toBe(startedMs);
});

test("randomness is the same on replay and differs between runs", async () => {
  const code = (): unknown => [Math.random(), crypto.randomUUID(), Math.random()];
  const first = (await HandDrivenRun.start(code)).result;
  expect((await HandDrivenRun.start(code)).result).toEqual(first);
  const other = await HandDrivenRun.start(code, { runId: "018f0000-0000-7000-8000-000000000002" });
  expect(other.result).not.toEqual(first);
});

test("a failed activity throws what it threw, as final for the workflow", async () => {
  const run = await HandDrivenRun.start(async () => await durable.activity("charge"));
  await run.fail(0, new FatalError("no money"));
  expect(run.state).toMatchObject({
    kind: "failed",
    final: true,
    failure: { name: "MemFlowFatalError", message: "no money", code: 598 },
  });
});

test("an error of the workflow's own is not final", async () => {
  const run = await HandDrivenRun.start(() => {
    throw new RangeError("mine");
  });
  expect(run.state).toMatchObject({
    kind: "failed",
    final: false,
    failure: { name: "RangeError", message: "mine" },
  });
});

test("a failed attempt starts anew with fresh positions, its memory, and the signals that come in between", async () => {
  const attempts: number[] = [];
  const run = await HandDrivenRun.start(async (context) => {
    attempts.push(context.attempt);
    await durable.change({ op: "increment", path: "n", by: 1 } as never);
    if (context.attempt === 1) throw new Error("once");
    return [await durable.waitFor("s"), context.entity.read(context.entity.entityNo, "n")];
  });
  await run.apply({
    kind: EVENT_KIND.entityChanged,
    position: 0,
    name: "increment",
    payload: '{"op":"increment","path":"n","by":1}',
    entityNo: 1,
  });
  expect(run.state.kind).toBe("failed");
  await run.apply({ kind: EVENT_KIND.attemptFailed, position: 1, payload: "{}" });
  expect(run.state.kind).toBe("waiting");
  await run.signal("s", "in between");
  await run.apply({ kind: EVENT_KIND.timerFired, name: "restart" });
  expect(run.open).toEqual([1]);
  // An answer to the attempt that failed is no answer to this one.
  await run.apply({ kind: EVENT_KIND.activityCompleted, position: 0, name: "late", payload: "1" });
  expect(run.open).toEqual([1]);
  await run.apply({
    kind: EVENT_KIND.entityChanged,
    position: 1,
    name: "increment",
    payload: '{"op":"increment","path":"n","by":1}',
    entityNo: 2,
  });
  expect([run.result, attempts]).toEqual([
    ["in between", 2],
    [1, 2],
  ]);
});

test("an entity operation that the document refuses rejects its call alone", async () => {
  const run = await HandDrivenRun.start(async () => {
    await durable.change({ op: "set", value: { n: "text" } } as never);
    try {
      return await durable.change({ op: "increment", path: "n", by: 1 } as never);
    } catch (error) {
      return error instanceof EntityError ? error.code : "another error";
    }
  });
  await run.apply({
    kind: EVENT_KIND.entityChanged,
    position: 0,
    name: "set",
    payload: '{"op":"set","value":{"n":"text"}}',
    entityNo: 1,
  });
  await run.apply({
    kind: EVENT_KIND.entityChanged,
    position: 1,
    name: "increment",
    payload: '{"op":"increment","path":"n","by":1}',
    entityNo: 2,
  });
  expect(run.result).toBe("ENTITY_TYPE_MISMATCH");
});

test("an event of another kind than the code asked for is refused with both named", async () => {
  const run = await HandDrivenRun.start(async () => await durable.sleep(1));
  const refusal = run.complete(0, "charged");
  await expect(refusal).rejects.toBeInstanceOf(HistoryMismatchError);
  await expect(refusal).rejects.toMatchObject({ position: 0, expected: "activity", actual: "timer" });
});

test("an event of another name than the code asked for is refused with both named", async () => {
  const run = await HandDrivenRun.start(async () => await durable.activity("refund"));
  const refusal = run.apply({
    kind: EVENT_KIND.activityCompleted,
    position: 0,
    name: "charge",
    payload: "1",
  });
  await expect(refusal).rejects.toMatchObject({
    position: 0,
    expected: 'activity "charge"',
    actual: 'activity "refund"',
  });
});

test("an event beyond what the code asked for is refused, whether it waits or has returned", async () => {
  const waiting = await HandDrivenRun.start(async () => await durable.activity("a"));
  const beyond = { kind: EVENT_KIND.activityCompleted, position: 4, name: "b", payload: "1" } as const;
  await expect(waiting.apply(beyond)).rejects.toMatchObject({
    position: 4,
    expected: 'activity "b"',
    actual: "nothing more",
  });
  const done = await HandDrivenRun.start(() => 1);
  await expect(done.apply(beyond)).rejects.toBeInstanceOf(HistoryMismatchError);
});

test("an event for a call that is settled already changes nothing", async () => {
  const run = await HandDrivenRun.start(async () => [
    await durable.activity("a"),
    await durable.activity("b"),
  ]);
  await run.complete(0, "first");
  await run.apply({ kind: EVENT_KIND.activityCompleted, position: 0, name: "a", payload: '"second"' });
  await run.complete(1, "b");
  expect(run.result).toEqual(["first", "b"]);
});

test("an event whose position a changed code gives to a call that is settled is refused with both named", async () => {
  const [before, after] = [
    async () => await durable.activity("charge"),
    async () => await durable.waitFor("go"),
  ];
  const run = await HandDrivenRun.start(before);
  await run.signal("go", 1);
  await run.complete(0, "receipt");
  // The signal of history settles the wait that the new code put in front, live or kept.
  for (const code of [
    async () => [await after(), await before()],
    async () => [await Promise.all([after(), durable.activity("charge")])],
  ]) {
    await expect(HandDrivenRun.replay(code, run.events)).rejects.toMatchObject({
      code: "HISTORY_MISMATCH",
      position: 0,
      expected: 'activity "charge"',
      actual: 'wait "go"',
    });
  }
});

test("an event whose position a changed code gives to a wait for a signal that is there is refused", async () => {
  const run = await HandDrivenRun.start(async () => {
    await durable.activity("a");
    return await durable.activity("charge");
  });
  await run.signal("go", 1);
  await run.complete(0, "a");
  await run.complete(1, "receipt");
  const changed = async (): Promise<void> => {
    await durable.activity("a");
    await durable.waitFor("go");
    await durable.activity("charge");
  };
  await expect(HandDrivenRun.replay(changed, run.events)).rejects.toMatchObject({
    position: 1,
    expected: 'activity "charge"',
    actual: "wait",
  });
});

test("a command that the database refused fails its call", async () => {
  const run = await HandDrivenRun.start(async () => {
    try {
      return await durable.activity("a");
    } catch (error) {
      return (error as Error).message;
    }
  });
  await run.apply({
    kind: EVENT_KIND.commandFailed,
    position: 0,
    name: "a",
    payload: '{"name":"PayloadError","message":"refused"}',
  });
  expect(run.result).toBe("refused");
});

test("a run that waits for something that is not durable is found at once", async () => {
  const never = new Promise(() => undefined);
  const start = HandDrivenRun.start(async () => await never);
  await expect(start).rejects.toBeInstanceOf(DeterminismViolation);
  await expect(start).rejects.toMatchObject({
    code: "DETERMINISM_VIOLATION",
    call: 'an await in "byHand" after position -1',
  });
});

test("a durable call outside the activation of its run is a violation, which its next activation reports", async () => {
  const { promise: outside, resolve } = Promise.withResolvers<void>();
  const run = await HandDrivenRun.start(async () => {
    const side = outside.then(() => durable.activity("too late")).catch((error: unknown) => error);
    await durable.activity("meanwhile");
    return await side;
  });
  const strayed = new Promise<void>((noted) => run.machine.onStray(noted));
  resolve();
  await strayed;
  await expect(run.complete(0, 1)).rejects.toMatchObject({
    code: "DETERMINISM_VIOLATION",
    call: 'MemFlow.workflow activity "too late"',
  });
});

test("a function that returns because of something that is not durable is found, and found without another event", async () => {
  const { promise: outside, resolve } = Promise.withResolvers<void>();
  const run = await HandDrivenRun.start(async () => await Promise.race([durable.activity("slow"), outside]));
  const strayed = new Promise<void>((noted) => run.machine.onStray(noted));
  expect(() => run.machine.assertSound()).not.toThrow();
  resolve();
  await strayed;
  expect(() => run.machine.assertSound()).toThrow(DeterminismViolation);
  await expect(run.complete(0, 1)).rejects.toMatchObject({
    code: "DETERMINISM_VIOLATION",
    call: 'the end of "byHand"',
  });
});

test("a violation that the code caught parks the run all the same", async () => {
  const start = HandDrivenRun.start(async () => {
    try {
      await fetch("http://localhost");
    } catch {
      return "swallowed";
    }
    return "fetched";
  });
  await expect(start).rejects.toMatchObject({ code: "DETERMINISM_VIOLATION", call: "fetch" });
});

test("a rejection that is handled later than it happens fails nothing", async () => {
  const run = await HandDrivenRun.start(async () => {
    const early = durable.activity("early");
    await durable.activity("first");
    try {
      return await early;
    } catch (error) {
      return (error as Error).message;
    }
  });
  await run.fail(0, new Error("happened early"));
  expect(run.context.unhandled.size).toBe(1);
  await run.complete(1, 1);
  expect(run.result).toBe("happened early");
  expect(run.context.unhandled.size).toBe(0);
});

test("a rejection that nobody has handled when the function returns fails the run with it", async () => {
  const code = async (): Promise<string> => {
    void durable.activity("ignored");
    await durable.activity("first");
    return "fine";
  };
  const run = await HandDrivenRun.start(code);
  await run.fail(0, new RangeError("nobody looked"));
  expect(run.state.kind).toBe("waiting");
  await run.complete(1, 1);
  expect(run.state).toMatchObject({
    kind: "failed",
    failure: { name: "RangeError", message: "nobody looked" },
  });
  const replayed = await HandDrivenRun.replay(code, run.events);
  expect(replayed.state).toEqual(run.state);
});

test("a rejection after the function has thrown is not what the run fails with", async () => {
  const run = await HandDrivenRun.start(async () => {
    void Promise.reject(new Error("side"));
    await durable.activity("first");
    throw new Error("main");
  });
  await run.complete(0, 1);
  expect(run.state).toMatchObject({ kind: "failed", failure: { message: "main" } });
});

test("a wait that lost a race takes the next signal; raced again, it gives it to the code", async () => {
  const run = await HandDrivenRun.start(async () => {
    const message = durable.waitFor("s");
    const rounds: unknown[] = [];
    for (let round = 0; round < 2; round += 1) {
      rounds.push(await Promise.race([message, durable.sleep(10).then(() => "timeout")]));
    }
    return rounds;
  });
  await run.fire(1);
  await run.signal("s", "in time");
  expect(run.result).toEqual(["timeout", "in time"]);
});

test("a durable timer runs its callback inside the run", async () => {
  const run = await HandDrivenRun.start(async () => {
    const firedAt = await new Promise<number>((resolve) => setTimeout(() => resolve(Date.now()), 500));
    return [firedAt, currentContext() !== undefined];
  });
  expect(run.commands).toMatchObject([{ kind: "timer", position: 0, dueMs: HAND_FACTS.startedMs + 500 }]);
  await run.fire(0);
  expect(run.result).toEqual([HAND_FACTS.startedMs + 1_000, true]);
});

function raise(): never {
  throw new Error("no such event");
}
