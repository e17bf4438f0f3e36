/**
 * Control flow as people write it, around calls that may be durable or plain promises, and what each program is told in
 * which order.
 *
 * A program must do the same in both worlds. `steps` are its calls in the order in which they are settled; calls that are
 * not among them stay open for ever.
 */
import { MemFlow } from "@memflow/sdk";

/** The calls of a program. A name that begins with `!` fails. */
export interface Calls {
  /** An activity, or a promise that is settled from outside. */
  call(name: string): Promise<string>;
  /** A signal, or a promise that is settled from outside. */
  wait(name: string): Promise<string>;
  /** Passes by itself: a sleep. */
  pause(): Promise<unknown>;
  /** Passes by itself: a timer of JavaScript's own. */
  timeout(): Promise<unknown>;
}

export interface Program {
  readonly steps: readonly string[];
  run(calls: Calls, log: (line: string) => void): unknown;
}

/** What a failing call throws. */
export class CallError extends Error {
  override readonly name = "CallError";
}

const describe = (error: unknown): string =>
  error instanceof AggregateError
    ? `${error.name}(${error.errors.map(describe).join(", ")})`
    : `${(error as Error).name}: ${(error as Error).message}`;

export const PROGRAMS: Readonly<Record<string, Program>> = {
  "try, catch and finally": {
    steps: ["!a", "b", "c"],
    run: async ({ call }, log) => {
      try {
        log(await call("!a"));
      } catch (error) {
        log(`caught ${describe(error)}`);
        log(await call("b"));
      } finally {
        log(await call("c"));
      }
      return "done";
    },
  },

  "finally that overrides what was returned and thrown": {
    steps: ["a", "!b", "c", "!d"],
    run: async ({ call }, log) => {
      const returned = async (): Promise<string> => {
        try {
          return await call("a");
        } finally {
          await call("!b").catch((error: unknown) => log(describe(error)));
        }
      };
      const thrown = async (): Promise<string> => {
        try {
          throw new TypeError("lost");
        } finally {
          log(await call("c"));
          await call("!d");
        }
      };
      return [await returned(), await thrown().catch(describe)];
    },
  },

  "what a program throws at the end": {
    steps: ["a"],
    run: async ({ call }, log) => {
      log(await call("a"));
      throw new RangeError("at the end", { cause: new CallError("because") });
    },
  },

  "a failed call that nobody catches": {
    steps: ["a", "!b"],
    run: async ({ call }, log) => {
      log(await call("a"));
      log(await call("!b"));
    },
  },

  "a race whose losers come later": {
    steps: ["b", "a", "d", "!c"],
    run: async ({ call }, log) => {
      const calls = ["a", "b"].map((name) =>
        call(name).then((value) => {
          log(`${name} came`);
          return value;
        }),
      );
      log(`first ${await Promise.race([...calls, call("!c")])}`);
      return await call("d");
    },
  },

  "a race that a failure wins": {
    steps: ["!b", "c", "a"],
    run: async ({ call }, log) => {
      try {
        return await Promise.race([call("a"), call("!b")]);
      } catch (error) {
        log(describe(error));
        return await call("c");
      }
    },
  },

  "a race against the clock": {
    steps: ["pause", "a"],
    run: async ({ call, pause }) => {
      const timeout = pause().then(() => "timeout");
      const first = await Promise.race([call("never"), timeout]);
      return [first, await call("a")];
    },
  },

  "all, with the results in the order of the calls": {
    steps: ["c", "a", "b"],
    run: async ({ call }, log) =>
      await Promise.all(["a", "b", "c"].map(async (name) => (log(`${name}?`), await call(name)))),
  },

  "all that fails early, while the others go on": {
    steps: ["!b", "a", "d", "c"],
    run: async ({ call }, log) => {
      try {
        await Promise.all([call("a").then(log), call("!b"), call("c").then(log)]);
      } catch (error) {
        log(describe(error));
      }
      return await call("d");
    },
  },

  "any, of which one comes through": {
    steps: ["!a", "c"],
    run: async ({ call }) => await Promise.any([call("!a"), call("never"), call("c")]),
  },

  "any, of which none comes through": {
    steps: ["!b", "!a"],
    run: async ({ call }) => await Promise.any([call("!a"), call("!b")]).catch(describe),
  },

  allSettled: {
    steps: ["!b", "c", "a"],
    run: async ({ call }) =>
      (await Promise.allSettled([call("a"), call("!b"), call("c")])).map((part) =>
        part.status === "fulfilled" ? part.value : describe(part.reason),
      ),
  },

  "loops that break, continue and wait": {
    steps: ["x0", "y0.0", "x1", "x2", "y2.0", "y2.1", "x3"],
    run: async ({ call }, log) => {
      let count = 0;
      rounds: for (;;) {
        const round = count++;
        log(await call(`x${round}`));
        if (round === 1) continue;
        let again = 0;
        do {
          if (round === 3) break rounds;
          log(await call(`y${round}.${again}`));
          again += 1;
        } while (again < round);
      }
      return count;
    },
  },

  "an async generator that is left early and cleans up": {
    steps: ["a", "b", "c", "d"],
    run: async ({ call }, log) => {
      async function* pages(): AsyncGenerator<string, void, undefined> {
        try {
          yield await call("a");
          yield* more();
        } finally {
          log(`closed ${await call("c")}`);
        }
      }
      async function* more(): AsyncGenerator<string, void, undefined> {
        yield await call("b");
        yield await call("never");
      }
      for await (const page of pages()) {
        log(page);
        if (page.startsWith("b")) break;
      }
      return await call("d");
    },
  },

  "an async generator that gets errors thrown into it": {
    steps: ["a", "b"],
    run: async ({ call }, log) => {
      async function* talk(): AsyncGenerator<string, string, undefined> {
        try {
          yield await call("a");
        } catch (error) {
          log(describe(error));
        }
        return await call("b");
      }
      const talking = talk();
      log((await talking.next()).value);
      return await talking.throw(new TypeError("thrown in"));
    },
  },

  "helpers in helpers, recursion and closures": {
    steps: ["2", "1", "0", "sum"],
    run: async ({ call }, log) => {
      const seen: string[] = [];
      const descend = async (depth: number): Promise<number> => {
        const note = async (): Promise<void> => void seen.push(await call(String(depth)));
        await note();
        return depth === 0 ? 0 : depth + (await descend(depth - 1));
      };
      log(String(await descend(2)));
      return { seen, sum: await call("sum") };
    },
  },

  "chains of then, catch and finally": {
    steps: ["a", "!b", "c"],
    run: ({ call }, log) =>
      call("a")
        .then((value) => (log(value), call("!b")))
        .then(() => log("never"))
        .catch((error: unknown) => log(describe(error)))
        .finally(() => log("finally"))
        .then(() => call("c")),
  },

  "a failure that is looked at later than it happens": {
    steps: ["!a", "b", "c"],
    run: async ({ call }, log) => {
      const early = call("!a");
      log(await call("b"));
      try {
        await early;
      } catch (error) {
        log(describe(error));
      }
      return await call("c");
    },
  },

  "a catch that asks didInterrupt, as the seed does": {
    steps: ["!a", "b"],
    run: async ({ call }, log) => {
      const guarded = async (): Promise<string> => {
        try {
          return await call("!a");
        } catch (error) {
          if (MemFlow.didInterrupt(error)) throw error;
          return "fallback";
        }
      };
      log(await guarded());
      return await call("b");
    },
  },

  "a catch that does not ask didInterrupt": {
    steps: ["a", "!b", "c"],
    run: async ({ call }, log) => {
      for (const name of ["a", "!b"]) {
        try {
          log(await call(name));
        } catch {
          log("swallowed");
        } finally {
          log(`finally after ${name}`);
        }
      }
      return await call("c");
    },
  },

  "two workers that share a list": {
    steps: ["t0", "t2", "t1", "t3", "t4"],
    run: async ({ call }, log) => {
      const tasks = ["t0", "t1", "t2", "t3", "t4"];
      const work = async (who: string): Promise<void> => {
        for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
          log(`${who} takes ${task}`);
          log(`${who} has ${await call(task)}`);
        }
      };
      await Promise.all([work("first"), work("second")]);
    },
  },

  "results as they come, by racing what is left": {
    steps: ["b", "c", "a"],
    run: async ({ call }) => {
      const left = new Map(
        ["a", "b", "c"].map((name) => [name, call(name).then((value) => ({ name, value }))]),
      );
      const order: string[] = [];
      while (left.size > 0) {
        const { name, value } = await Promise.race(left.values());
        left.delete(name);
        order.push(value);
      }
      return order;
    },
  },

  "messages until one says stop, with work in between": {
    steps: ["m0", "w0", "m1", "w1", "m2"],
    run: async ({ call, wait }, log) => {
      for (let index = 0; ; index += 1) {
        const message = await wait(`m${index}`);
        log(message);
        if (index === 2) return "stopped";
        log(await call(`w${index}`));
      }
    },
  },

  "a promise that is settled by another branch": {
    steps: ["a", "b"],
    run: async ({ call }, log) => {
      const { promise, resolve } = Promise.withResolvers<string>();
      const waiting = promise.then((value) => log(`got ${value}`));
      const giving = call("a").then(resolve);
      await Promise.all([waiting, giving]);
      return await call("b");
    },
  },

  "timers of JavaScript's own, one of them taken back": {
    steps: ["timeout", "a", "timeout"],
    run: async ({ call, timeout }, log) => {
      const never = setTimeout(() => log("never"), 1_000_000);
      await timeout();
      log(await call("a"));
      clearTimeout(never);
      await timeout();
      return typeof never;
    },
  },

  "a timeout that an AbortSignal tells, and a listener that is taken away": {
    steps: ["a", "b"],
    run: async ({ call }, log) => {
      const controller = new AbortController();
      const stopped = new Promise((_resolve, reject) =>
        controller.signal.addEventListener("abort", () => reject(controller.signal.reason as Error)),
      );
      const giveUp = call("a").then(() => controller.abort(new RangeError("too late")));
      await Promise.race([call("never"), stopped]).catch((error: unknown) => log(describe(error)));
      await giveUp;
      return [controller.signal.aborted, await call("b")];
    },
  },

  "using resources that are given back, also after a failure": {
    steps: ["open", "!a", "close", "b"],
    run: async ({ call }, log) => {
      const opened = async (): Promise<AsyncDisposable> => {
        log(await call("open"));
        return { [Symbol.asyncDispose]: async () => log(await call("close")) };
      };
      const use = async (): Promise<void> => {
        await using _resource = await opened();
        await call("!a");
      };
      await use().catch((error: unknown) => log(describe(error)));
      return await call("b");
    },
  },

  "pauses between calls": {
    steps: ["pause", "a", "pause"],
    run: async ({ call, pause }, log) => {
      await pause();
      log(await call("a"));
      await pause();
      return "rested";
    },
  },
};
