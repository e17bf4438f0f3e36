/** The test mode that repeats each run from scratch finds code whose outcome depends on more than its run. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DeterminismViolation } from "../core/errors.ts";
import { EVENT_KIND } from "../core/events.ts";
import { HandDrivenRun, durable } from "../testing/hand-driven-run.ts";

const LINES = readFileSync(import.meta.filename, "utf8").split("\n");

test("code that depends on its run alone is the same from scratch, at every event and over attempts", async () => {
  const run = await HandDrivenRun.start(async (context) => {
    const random = Math.random();
    const first = await durable.activity<string>(`first ${random}`);
    if (context.attempt === 1) throw new Error(first, { cause: new RangeError("deep") });
    return [first, await durable.waitFor("go"), Date.now()];
  });
  await run.compareWithShadow();
  await run.complete(0, "a");
  await run.compareWithShadow();
  await run.apply({ kind: EVENT_KIND.attemptFailed, position: 1, payload: "{}" });
  await run.compareWithShadow();
  await run.apply({ kind: EVENT_KIND.timerFired, name: "restart" });
  await run.complete(1, "b");
  await run.signal("go", 1);
  await run.compareWithShadow();
  expect(run.state.kind).toBe("completed");
});

test("a call whose arguments come from outside the run is named with its place", async () => {
  let calls = 0;
  const run = await HandDrivenRun.start(async () => {
    calls += 1;
    await durable.sleep(calls); // <- here
  });
  const difference = run.compareWithShadow();
  await expect(difference).rejects.toBeInstanceOf(DeterminismViolation);
  const line = LINES.findIndex((text) => text.includes("// <- here")) + 1;
  await expect(difference).rejects.toMatchObject({
    call: 'command 0 of "byHand"',
    place: expect.stringContaining(`${import.meta.filename}:${line}:`) as string,
    remedy: expect.stringContaining('"kind":"timer"') as string,
  });
});

test("a call that is made the first time only is a difference", async () => {
  let calls = 0;
  const run = await HandDrivenRun.start(async () => {
    calls += 1;
    const asked = [durable.activity("always")];
    if (calls === 1) asked.push(durable.activity("once"));
    await Promise.all(asked);
  });
  await expect(run.compareWithShadow()).rejects.toThrow(/"name":"once".* from scratch it is nothing/);
});

test("another result than before is a difference", async () => {
  let calls = 0;
  const run = await HandDrivenRun.start(async () => await Promise.resolve((calls += 1)));
  await expect(run.compareWithShadow()).rejects.toThrow(/the state of "byHand" after 0 events/);
});
