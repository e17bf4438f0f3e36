import { AsyncLocalStorage } from "node:async_hooks";
import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { stat } from "node:fs";
import { stat as promisedStat } from "node:fs/promises";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { installRejectionHandlers } from "./rejections.ts";
import { drainMicrotasks } from "./sync-drain.ts";

const storage = new AsyncLocalStorage<string>();
const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** One call of a hook: its name, the async context it was called in, and what it was given. */
type Heard = readonly [hook: string, context: string | undefined, value: unknown];

/** Hooks that take whatever has an owner, and a way to wait for the next call. */
function takeOwned() {
  const heard: Heard[] = [];
  const told = new EventEmitter();
  const taken = new WeakSet<Promise<unknown>>();
  const hear = (...call: Heard): boolean => {
    heard.push(call);
    told.emit("heard");
    return true;
  };
  cleanups.push(
    installRejectionHandlers({
      onUnhandled: (promise, reason) => {
        if (storage.getStore() === undefined) return false;
        taken.add(promise);
        return hear("unhandled", storage.getStore(), reason);
      },
      onHandled: (promise) => taken.has(promise) && hear("handled", storage.getStore(), promise),
      onUncaught: (error) => storage.getStore() !== undefined && hear("uncaught", storage.getStore(), error),
    }),
  );
  return { heard, next: () => once(told, "heard") };
}

/** Ways in which user code rejects a promise that nobody handles. */
const REJECTIONS: Readonly<Record<string, (reason: Error) => void>> = {
  "at once": (reason) => void Promise.reject(reason),
  "in an async function": (reason) =>
    void (async () => {
      await Promise.resolve();
      throw reason;
    })(),
  "after real I/O": (reason) =>
    void (async () => {
      await promisedStat(".");
      throw reason;
    })(),
  "from a callback": (reason) => void new Promise((_resolve, reject) => stat(".", () => reject(reason))),
};

/** Ways in which user code throws where no try surrounds it. */
const EXCEPTIONS: Readonly<Record<string, (error: Error) => void>> = {
  "a timer": (error) => void setTimeout(() => fail(error), 1),
  "an immediate": (error) => void setImmediate(() => fail(error)),
  "a nextTick callback": (error) => process.nextTick(() => fail(error)),
  "a microtask": (error) => queueMicrotask(() => fail(error)),
  "a file callback": (error) => stat(".", () => fail(error)),
  "an emitter": (error) => void setTimeout(() => new EventEmitter().emit("error", error), 1),
  "an event target": (error) => {
    const target = new EventTarget();
    target.addEventListener("x", () => fail(error));
    target.dispatchEvent(new Event("x"));
  },
};

function fail(error: Error): never {
  throw error;
}

test.for(Object.entries(REJECTIONS))(
  "a rejection %s is given in the context of its run",
  async ([, reject]) => {
    const { heard, next } = takeOwned();
    const error = new Error("nobody handles this");
    const heardOne = next();
    storage.run("run 7", () => reject(error));
    await heardOne;
    expect(heard).toEqual([["unhandled", "run 7", error]]);
  },
);

test("a rejection in a drain is given before the drain returns", async () => {
  const { heard } = takeOwned();
  const error = new Error("in the drain");
  await new Promise<void>((resolve) => {
    setImmediate(() => {
      storage.run("run 7", () => REJECTIONS["in an async function"]?.(error));
      drainMicrotasks();
      expect(heard).toEqual([["unhandled", "run 7", error]]);
      resolve();
    });
  });
});

test("a promise that the engine rejects in the run's context is the run's", async () => {
  const { heard, next } = takeOwned();
  const heardOne = next();
  let reject: (reason: unknown) => void = () => undefined;
  storage.run("run 7", () => void new Promise((_resolve, refuse) => (reject = refuse)));
  storage.run("run 7", () => reject("refused by the engine"));
  await heardOne;
  expect(heard).toEqual([["unhandled", "run 7", "refused by the engine"]]);
});

test("a rejection that is handled later is given back", async () => {
  const { heard, next } = takeOwned();
  const unhandled = next();
  const promise = storage.run("run 7", () => Promise.reject(new Error("handled later")));
  await unhandled;
  const handled = next();
  storage.run("run 7", () => void promise.catch(() => undefined));
  await handled;
  expect(heard.map(([hook, context]) => [hook, context])).toEqual([
    ["unhandled", "run 7"],
    ["handled", undefined],
  ]);
  expect(heard[1]?.[2]).toBe(promise);
});

test("other listeners hear nothing of what a run or activity takes", async () => {
  const { next } = takeOwned();
  const others: unknown[] = [];
  const listen = (value: unknown): void => void others.push(value);
  for (const event of ["unhandledRejection", "rejectionHandled", "uncaughtException"]) {
    process.on(event, listen);
    cleanups.push(() => process.off(event, listen));
  }
  for (const act of [
    () => void Promise.reject(new Error("a")),
    () => process.nextTick(() => fail(new Error("b"))),
  ]) {
    const heardOne = next();
    storage.run("run 7", act);
    await heardOne;
  }
  expect(others).toEqual([]);
});

test.for(Object.entries(EXCEPTIONS))(
  "an exception in %s of an activity is given in its context",
  async ([, raise]) => {
    const { heard, next } = takeOwned();
    const error = new Error("nobody catches this");
    const heardOne = next();
    storage.run("activity 3", () => raise(error));
    await heardOne;
    expect(heard).toEqual([["uncaught", "activity 3", error]]);
  },
);

test("an exception in a socket's callback of an activity is given in its context", async () => {
  const { heard, next } = takeOwned();
  const error = new Error("in a socket's callback");
  const server = createServer((socket) => socket.end("bytes"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const heardOne = next();
  storage.run("activity 3", () => {
    connect((server.address() as AddressInfo).port, "127.0.0.1").on("data", () => fail(error));
  });
  await heardOne;
  server.close();
  expect(heard).toEqual([["uncaught", "activity 3", error]]);
});

/** What a process does that has the handlers, whose hooks take nothing, and executes `script`. */
async function runDeclining(script: string): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const module = JSON.stringify(new URL("rejections.ts", import.meta.url).href);
  const text = `
    import { installRejectionHandlers } from ${module};
    const decline = () => false;
    installRejectionHandlers({ onUnhandled: decline, onHandled: decline, onUncaught: decline });
    ${script}`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", text]);
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk) => (stdout += String(chunk)));
  child.stderr.on("data", (chunk) => (stderr += String(chunk)));
  const [code] = (await once(child, "close")) as [unknown];
  return { code, stdout, stderr };
}

test("what nobody takes ends the process as Node does", async () => {
  const rejected = await runDeclining('Promise.reject(new Error("stray"));');
  expect(rejected).toMatchObject({ code: 1, stdout: "" });
  expect(rejected.stderr).toContain("Error: stray");
  const odd = await runDeclining("Promise.reject(7);");
  expect(odd.code).toBe(1);
  expect(odd.stderr).toContain('The promise rejected with the reason "7"');
  const thrown = await runDeclining('setTimeout(() => { throw new Error("stray"); }, 1);');
  expect(thrown.code).toBe(1);
  expect(thrown.stderr).toContain("Error: stray");
});

test("what nobody takes goes to the other listeners of the process", async () => {
  const { code, stdout } = await runDeclining(`
    process.on("unhandledRejection", (reason) => console.log("unhandled", reason));
    process.on("rejectionHandled", () => console.log("handled"));
    process.on("uncaughtException", (error, origin) => console.log("uncaught", error, origin));
    const promise = Promise.reject("a");
    setTimeout(() => promise.catch(() => {}), 1);
    setTimeout(() => { throw "b"; }, 2);`);
  expect(stdout.split("\n")).toEqual(["unhandled a", "handled", "uncaught b uncaughtException", ""]);
  expect(code).toBe(0);
});

test("hooks that were taken away are not asked", async () => {
  const { heard } = takeOwned();
  for (const cleanup of cleanups.splice(0)) cleanup();
  const reasons: unknown[] = [];
  const others = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  const heardOne = new Promise<void>((resolve) => {
    process.once("unhandledRejection", (reason) => {
      reasons.push(reason);
      resolve();
    });
  });
  storage.run("run 7", () => void Promise.reject("nobody's"));
  await heardOne;
  for (const listener of others) process.on("unhandledRejection", listener);
  expect(reasons).toEqual(["nobody's"]);
  expect(heard).toEqual([]);
});
