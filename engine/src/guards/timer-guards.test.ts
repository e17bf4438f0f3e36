import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import timers, { setTimeout as importedSetTimeout } from "node:timers";
import {
  scheduler,
  setImmediate as immediate,
  setInterval as interval,
  setTimeout as delay,
} from "node:timers/promises";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { currentGuardedRun, GuardedRun, RefusedCall } from "../testing/guarded-run.ts";

/** The delays of the timers that the run has started, in order. */
function delaysOf(run: GuardedRun): number[] {
  return [...run.timers.values()].map((timer) => timer.delayMs);
}

test("setTimeout in a run is a durable timer that fires inside the run, with its arguments", () => {
  const run = new GuardedRun();
  const fired: unknown[] = [];
  run.enter(() => {
    setTimeout((...values: unknown[]) => fired.push(currentGuardedRun() === run, ...values), 5_000, "a", 2);
  });
  expect(delaysOf(run)).toEqual([5_000]);
  run.fire(1);
  expect(fired).toEqual([true, "a", 2]);
});

test("every way to setTimeout is durable", () => {
  const run = new GuardedRun();
  run.enter(() => {
    globalThis.setTimeout(() => undefined, 1_000);
    timers.setTimeout(() => undefined, 2_000);
    importedSetTimeout(() => undefined, 3_000);
    void delay(4_000);
    void promisify(setTimeout)(5_000);
    void scheduler.wait(6_000);
    AbortSignal.timeout(7_000);
    void timers.promises.setTimeout(8_000);
  });
  expect(delaysOf(run)).toEqual([1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000]);
  expect(globalThis.setTimeout).toBe(timers.setTimeout);
  expect(globalThis.clearTimeout).toBe(timers.clearTimeout);
});

test("a delay may exceed Node's limit, and a bad one is one millisecond as in Node", () => {
  const run = new GuardedRun();
  const yearMs = 365 * 24 * 60 * 60 * 1_000;
  run.enter(() => {
    for (const value of [yearMs, 2.9, 0, -1, Number.NaN, Number.POSITIVE_INFINITY, undefined]) {
      setTimeout(() => undefined, value);
    }
    setTimeout(() => undefined, "50" as unknown as number);
  });
  expect(delaysOf(run)).toEqual([yearMs, 2, 1, 1, 1, 1, 1, 50]);
});

test("a durable timer is cleared by its object, its number, its text, or disposal", () => {
  const run = new GuardedRun();
  run.enter(() => {
    clearTimeout(setTimeout(() => undefined, 1));
    clearTimeout(Number(setTimeout(() => undefined, 2)));
    clearTimeout(String(Number(setTimeout(() => undefined, 3))));
    clearInterval(setTimeout(() => undefined, 4));
    timers.clearTimeout(setTimeout(() => undefined, 5));
    setTimeout(() => undefined, 6)[Symbol.dispose]();
    setTimeout(() => undefined, 7).close();
    clearTimeout(undefined);
    setTimeout(() => undefined, 8);
  });
  expect(delaysOf(run)).toEqual([8]);
});

test("a durable timer can be refreshed and shrugs at ref and unref", () => {
  const run = new GuardedRun();
  let fireCount = 0;
  const timeout = run.enter(() => setTimeout(() => (fireCount += 1), 9));
  run.enter(() => {
    expect(timeout.ref().unref().hasRef()).toBe(true);
    expect(timeout.refresh()).toBe(timeout);
  });
  expect([...run.timers.keys()]).toEqual([2]);
  run.fire(2);
  run.enter(() => timeout.refresh());
  run.fire(3);
  expect(fireCount).toBe(2);
});

test("the callback is called with the timer as this, in the caller's async context", () => {
  const run = new GuardedRun();
  const storage = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  const timeout = run.enter(() =>
    storage.run("mine", () =>
      setTimeout(function remember(this: unknown) {
        seen.push(this, storage.getStore());
      }, 1),
    ),
  );
  run.fire(1);
  expect(seen).toEqual([timeout, "mine"]);
});

test("a promised timer resolves with its value", async () => {
  const run = new GuardedRun();
  const value = run.enter(() => delay(10, "value"));
  run.fire(1);
  await expect(value).resolves.toBe("value");
});

test("an aborted wait is rejected as Node does it, and its timer is gone", async () => {
  const run = new GuardedRun();
  const controller = new AbortController();
  const waits = run.enter(() => [
    delay(10, undefined, { signal: controller.signal }),
    scheduler.wait(10, { signal: controller.signal }),
  ]);
  controller.abort("enough");
  const late = run.enter(() => delay(10, undefined, { signal: controller.signal }));
  for (const wait of [...waits, late]) {
    await expect(wait).rejects.toMatchObject({ name: "AbortError", code: "ABORT_ERR", cause: "enough" });
  }
  expect(run.timers.size).toBe(0);
});

test("a wait that is over ignores a later abort", async () => {
  const run = new GuardedRun();
  const controller = new AbortController();
  const value = run.enter(() => delay(10, "value", { signal: controller.signal }));
  run.fire(1);
  controller.abort();
  await expect(value).resolves.toBe("value");
});

test("AbortSignal.timeout aborts when the durable timer fires", () => {
  const run = new GuardedRun();
  const signal = run.enter(() => AbortSignal.timeout(100));
  expect(signal.aborted).toBe(false);
  run.fire(1);
  expect(signal.reason).toMatchObject({ name: "TimeoutError" });
});

test("what has no place in a history is refused", () => {
  const run = new GuardedRun();
  run.enter(() => {
    const calls = [
      () => setInterval(() => undefined, 1),
      () => setImmediate(() => undefined),
      () => timers.setInterval(() => undefined, 1),
      () => interval(1),
      () => immediate(),
      () => promisify(setImmediate)(),
      () => scheduler.yield(),
    ];
    for (const call of calls) expect(call).toThrow(RefusedCall);
  });
  expect(run.refused).toEqual([
    "setInterval",
    "setImmediate",
    "setInterval",
    "node:timers/promises.setInterval",
    "node:timers/promises.setImmediate",
    "node:timers/promises.setImmediate",
    "scheduler.yield",
  ]);
});

test("a callback that is no function is Node's own error", () => {
  const run = new GuardedRun();
  expect(() => run.enter(() => Reflect.apply(setTimeout, undefined, ["code", 1]))).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_ARG_TYPE" }),
  );
  expect(run.timers.size).toBe(0);
});

test("timers outside runs are Node's own", async () => {
  const run = new GuardedRun();
  const native = setTimeout(() => undefined, 60_000);
  run.enter(() => clearTimeout(native));
  expect((native as unknown as { readonly _destroyed: boolean })._destroyed).toBe(true);
  expect(await delay(1, "value")).toBe("value");
  expect(await promisify(setTimeout)(1, "other")).toBe("other");
  await promisify(setImmediate)();
  await once(AbortSignal.timeout(1), "abort");
  expect(run.timers.size).toBe(0);
});
