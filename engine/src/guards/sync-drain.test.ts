import { AsyncLocalStorage } from "node:async_hooks";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { afterEach, expect, test } from "vitest";
import { MemFlowError } from "../core/errors.ts";
import { runOutsideGuards } from "./outside-runs.ts";
import { assertSyncDrain, drainMicrotasks, SyncDrainUnavailableError } from "./sync-drain.ts";

interface MutableInternals {
  _tickCallback: (() => void) | undefined;
}

const internals = process as unknown as MutableInternals;
const tickCallback = internals._tickCallback;

afterEach(() => {
  internals._tickCallback = tickCallback;
});

/** The drain does nothing inside a microtask, and a test's body is one. */
function inMacrotask<Result>(work: () => Result): Promise<Result> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(work());
      } catch (error) {
        reject(error);
      }
    });
  });
}

/** Takes every uncaught exception while `work` runs; vitest's own listeners would fail the test. */
async function collectUncaught(work: () => Promise<void>): Promise<unknown[]> {
  const uncaught: unknown[] = [];
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", (error) => uncaught.push(error));
  try {
    await work();
  } finally {
    process.removeAllListeners("uncaughtException");
    for (const listener of others) process.on("uncaughtException", listener);
  }
  return uncaught;
}

test("a chain of awaits has run to its end when the drain returns", async () => {
  const state = await inMacrotask(() => {
    let reached = 0;
    void (async () => {
      for (; reached < 1_000; reached += 1) await Promise.resolve();
    })();
    drainMicrotasks();
    return reached;
  });
  expect(state).toBe(1_000);
});

test("real I/O is still pending after the drain", async () => {
  const finished = await inMacrotask(() => {
    let done = false;
    void stat(".").finally(() => {
      done = true;
    });
    drainMicrotasks();
    return done;
  });
  expect(finished).toBe(false);
});

test("nextTick callbacks run in the drain", async () => {
  const order = await inMacrotask(() => {
    const seen: string[] = [];
    process.nextTick(() => seen.push("tick"));
    void Promise.resolve().then(() => seen.push("microtask"));
    drainMicrotasks();
    return seen;
  });
  expect(order).toEqual(["tick", "microtask"]);
});

test("continuations keep their own async context and the caller keeps its own", async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen = await inMacrotask(() =>
    storage.run("driver", () => {
      let inside: string | undefined;
      storage.run("run 7", () => void Promise.resolve().then(() => (inside = storage.getStore())));
      drainMicrotasks();
      return [inside, storage.getStore()];
    }),
  );
  expect(seen).toEqual(["run 7", "driver"]);
});

test("a throwing nextTick callback is an uncaught exception, and the drain goes on to its end", async () => {
  const error = new Error("thrown by a tick");
  const seen: string[] = [];
  const uncaught = await collectUncaught(async () => {
    await inMacrotask(() => {
      process.nextTick(() => {
        throw error;
      });
      process.nextTick(() => seen.push("next tick"));
      void Promise.resolve().then(() => seen.push("microtask"));
      drainMicrotasks();
      seen.push("drained");
    });
    // Node aborts at the end of this very macrotask when its stack of async ids was left unbalanced.
    await inMacrotask(() => seen.push("next macrotask"));
  });
  expect(uncaught).toEqual([error]);
  expect(seen).toEqual(["next tick", "microtask", "drained", "next macrotask"]);
});

test("the caller keeps its async context when a callback throws", async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen: unknown[] = [];
  await collectUncaught(async () => {
    await inMacrotask(() =>
      storage.run("driver", () => {
        storage.run("run 7", () => {
          process.nextTick(() => {
            throw new Error("thrown by a tick");
          });
        });
        drainMicrotasks();
        seen.push(storage.getStore());
      }),
    );
  });
  // On Node 22 the context hangs on the stack of async ids that the error has emptied.
  const kept = Number.parseInt(process.versions.node, 10) >= 24 ? "driver" : undefined;
  expect(seen).toEqual([kept]);
});

test("a throwing microtask is an uncaught exception, and the drain goes on to its end", async () => {
  const error = new Error("thrown by a microtask");
  const seen: string[] = [];
  const uncaught = await collectUncaught(async () => {
    await inMacrotask(() => {
      queueMicrotask(() => {
        throw error;
      });
      queueMicrotask(() => seen.push("next microtask"));
      drainMicrotasks();
      seen.push("drained");
    });
  });
  expect(uncaught).toEqual([error]);
  expect(seen).toEqual(["next microtask", "drained"]);
});

/** Exit code and stderr of a process in which `work` is followed by a drain, in a macrotask. */
async function endOfProcess(work: string): Promise<{ code: unknown; stderr: string }> {
  const module = JSON.stringify(new URL("sync-drain.ts", import.meta.url).href);
  const script = `
    import { drainMicrotasks } from ${module};
    setTimeout(() => { ${work}; drainMicrotasks(); }, 1);
    setTimeout(() => console.error("survived"), 60_000);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script]);
  let stderr = "";
  child.stderr.on("data", (chunk) => (stderr += String(chunk)));
  const [code] = (await once(child, "close")) as [unknown];
  return { code, stderr };
}

test.for([
  'process.nextTick(() => { throw new Error("stray"); })',
  'queueMicrotask(() => { throw new Error("stray"); })',
  'Promise.reject(new Error("stray"))',
])("what nobody takes ends the process as it would without a drain: %s", async (work) => {
  const { code, stderr } = await endOfProcess(work);
  expect(code).toBe(1);
  expect(stderr).toContain("Error: stray");
});

test("the feature test passes on this Node", async () => {
  await expect(assertSyncDrain()).resolves.toBeUndefined();
});

test("a Node that does not drain is refused", async () => {
  internals._tickCallback = () => undefined;
  const refusal = assertSyncDrain();
  await expect(refusal).rejects.toBeInstanceOf(SyncDrainUnavailableError);
  await expect(refusal).rejects.toBeInstanceOf(MemFlowError);
  await expect(refusal).rejects.toMatchObject({ code: "SYNC_DRAIN_UNAVAILABLE" });
});

test("a Node without the function is refused", async () => {
  internals._tickCallback = undefined;
  await expect(assertSyncDrain()).rejects.toMatchObject({ code: "SYNC_DRAIN_UNAVAILABLE" });
});

test("outside the guards no async context is left, also after an await", async () => {
  const storage = new AsyncLocalStorage<string>();
  const seen = await storage.run("run 7", () =>
    runOutsideGuards(async () => {
      const before = storage.getStore();
      await stat(".");
      return [before, storage.getStore()];
    }),
  );
  expect(seen).toEqual([undefined, undefined]);
});
