import { AsyncLocalStorage } from "node:async_hooks";
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { currentGuardedRun, GuardedRun } from "../testing/guarded-run.ts";
import { installGlobalGuards, runOutsideGuards } from "./global-guards.ts";

test("installing twice patches once", () => {
  const run = new GuardedRun();
  const patched = [Date, setTimeout, Math.random, fetch];
  const hooks = { currentRun: () => undefined, inUserCode: () => false };
  installGlobalGuards(hooks);
  installGlobalGuards(hooks);
  expect([Date, setTimeout, Math.random, fetch]).toEqual(patched);
  expect(run.enter(() => Date.now())).toBe(run.timeMs);
});

test("a second engine in the process has its own runs guarded", () => {
  const first = new GuardedRun();
  const second = new GuardedRun();
  second.timeMs = 77;
  const storage = new AsyncLocalStorage<GuardedRun>();
  installGlobalGuards({
    currentRun: () => storage.getStore(),
    inUserCode: () => storage.getStore() !== undefined,
  });
  expect(storage.run(second, () => Date.now())).toBe(77);
  expect(first.enter(() => Date.now())).toBe(first.timeMs);
});

test("the escape hatch leaves the run, for what it starts too", async () => {
  const run = new GuardedRun();
  const { now, text, inside } = await run.enter(async () => ({
    ...(await runOutsideGuards(async () => ({
      now: Date.now(),
      text: await readFile(import.meta.filename, "utf8"),
      inside: currentGuardedRun(),
    }))),
  }));
  expect(now).toBeGreaterThan(run.timeMs);
  expect(text).toContain("escape hatch");
  expect(inside).toBeUndefined();
  expect(run.refused).toEqual([]);
});

test("many runs interleaved each see their own clock and numbers", async () => {
  const alone = await story(new GuardedRun("a"));
  const runs = Array.from({ length: 50 }, (_, index) => new GuardedRun(index % 2 === 0 ? "a" : "b"));
  const together = await Promise.all(runs.map((run) => story(run)));
  for (const [index, told] of together.entries()) {
    if (index % 2 === 0) expect(told).toEqual(alone);
    else expect(told).not.toEqual(alone);
  }
});

/** A few draws with awaits between them, while other runs do the same. */
async function story(run: GuardedRun): Promise<unknown[]> {
  return run.enter(async () => {
    const told: unknown[] = [];
    for (let step = 0; step < 5; step += 1) {
      told.push(Math.random(), Date.now(), crypto.randomUUID());
      await Promise.resolve();
      run.timeMs += 1;
    }
    return told;
  });
}
