/**
 * Timers inside a run are durable: they are due by the run's clock, survive the process, and fire inside the run.
 *
 * Promises Node's signatures: what `setTimeout` returns can be cleared, refreshed and turned into a number, and its
 * callback keeps the caller's async context. Delays may exceed the 24.8 days of Node's own timers. `setInterval` and
 * `setImmediate` are refused: the one has no end that a history could hold, the other waits for the event loop.
 */
import timers from "node:timers";
import timersPromises from "node:timers/promises";
import { AsyncLocalStorage } from "node:async_hooks";
import type { RunGuard } from "./guard-hooks.ts";
import { currentRun } from "./guard-hooks.ts";
import type { BuiltIn } from "./function-replacement.ts";
import { aliasFunctions, refuseInRuns, replaceFunction } from "./function-replacement.ts";

const DELAY_MIN_MS = 1;

/** What `setTimeout` returns inside a run. */
class DurableTimeout {
  readonly #run: RunGuard;
  readonly #fire: () => void;
  readonly #delayMs: number;
  #id: number;

  constructor(run: RunGuard, fire: (timeout: DurableTimeout) => void, delayMs: number) {
    this.#run = run;
    this.#fire = AsyncLocalStorage.bind(() => fire(this));
    this.#delayMs = delayMs;
    this.#id = run.startTimer(this.#fire, delayMs);
  }

  /** Nothing: a durable timer holds no process open. */
  ref(): this {
    return this;
  }

  /** Nothing: a durable timer holds no process open. */
  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  /** Starts the whole delay again, also after it has fired. */
  refresh(): this {
    this.#run.clearTimer(this.#id);
    this.#id = this.#run.startTimer(this.#fire, this.#delayMs);
    return this;
  }

  close(): this {
    this.#run.clearTimer(this.#id);
    return this;
  }

  [Symbol.toPrimitive](): number {
    return this.#id;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Guards the timer functions of the globals, `node:timers`, `node:timers/promises` and `AbortSignal.timeout`. */
export function guardTimers(): void {
  const refused = ["setInterval", "setImmediate"];
  const cleared = ["clearTimeout", "clearInterval"];
  replaceFunction(timers, "setTimeout", durableSetTimeout);
  for (const name of cleared) replaceFunction(timers, name, durableClear);
  refuseInRuns({ owner: timers, ownerName: "", names: refused });
  aliasFunctions(timers, globalThis, ["setTimeout", ...cleared, ...refused]);
  guardTimerPromises();
  replaceFunction(AbortSignal, "timeout", (original) => {
    return function timeout(this: unknown, ...values: unknown[]): unknown {
      const run = currentRun();
      return run === undefined
        ? Reflect.apply(original, this, values)
        : abortLater(run, durableDelayMs(values[0]));
    };
  });
}

function durableSetTimeout(original: BuiltIn): BuiltIn {
  return function setTimeout(this: unknown, ...values: unknown[]): unknown {
    const run = currentRun();
    const [callback, delay, ...rest] = values;
    // A callback that is no function: Node's own error is the best one.
    if (run === undefined || typeof callback !== "function") return Reflect.apply(original, this, values);
    return new DurableTimeout(
      run,
      (timeout) => Reflect.apply(callback, timeout, rest),
      durableDelayMs(delay),
    );
  };
}

function durableClear(original: BuiltIn): BuiltIn {
  return function clearTimeout(this: unknown, ...values: unknown[]): unknown {
    const [timer] = values;
    if (timer instanceof DurableTimeout) {
      timer.close();
      return undefined;
    }
    const run = typeof timer === "number" || typeof timer === "string" ? currentRun() : undefined;
    if (run === undefined) return Reflect.apply(original, this, values);
    run.clearTimer(Number(timer));
    return undefined;
  };
}

function guardTimerPromises(): void {
  const wait = (original: BuiltIn, value: (values: unknown[]) => unknown, options: number): BuiltIn => {
    return function durableWait(this: unknown, ...values: unknown[]): unknown {
      const run = currentRun();
      if (run === undefined) return Reflect.apply(original, this, values);
      const { signal } = (values[options] ?? {}) as { readonly signal?: AbortSignal };
      return waitInRun({ run, delayMs: durableDelayMs(values[0]), value: value(values), signal });
    };
  };
  replaceFunction(timersPromises, "setTimeout", (original) => wait(original, (values) => values[1], 2));
  const scheduler = Object.getPrototypeOf(timersPromises.scheduler) as object;
  replaceFunction(scheduler, "wait", (original) => wait(original, () => undefined, 1));
  refuseInRuns({ owner: scheduler, ownerName: "scheduler", names: ["yield"] });
  const names = ["setInterval", "setImmediate"];
  refuseInRuns({ owner: timersPromises, ownerName: "node:timers/promises", names });
}

function waitInRun(options: {
  readonly run: RunGuard;
  readonly delayMs: number;
  readonly value: unknown;
  readonly signal: AbortSignal | undefined;
}): Promise<unknown> {
  const { run, delayMs, value, signal } = options;
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(abortError(signal));
      return;
    }
    const onAbort = (): void => {
      timeout.close();
      if (signal !== undefined) reject(abortError(signal));
    };
    const timeout = new DurableTimeout(
      run,
      () => {
        signal?.removeEventListener("abort", onAbort);
        resolve(value);
      },
      delayMs,
    );
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

/** The error with which Node's own timers answer an abort. */
function abortError(signal: AbortSignal): Error {
  const error = new Error("The operation was aborted", { cause: signal.reason });
  return Object.assign(error, { name: "AbortError", code: "ABORT_ERR" });
}

function abortLater(run: RunGuard, delayMs: number): AbortSignal {
  const controller = new AbortController();
  const reason = (): DOMException =>
    new DOMException("The operation was aborted due to timeout", "TimeoutError");
  run.startTimer(
    AsyncLocalStorage.bind(() => controller.abort(reason())),
    delayMs,
  );
  return controller.signal;
}

/** As Node reads a delay, but without its upper limit. */
function durableDelayMs(delay: unknown): number {
  const delayMs = Math.trunc(Number(delay));
  return Number.isFinite(delayMs) && delayMs >= DELAY_MIN_MS ? delayMs : DELAY_MIN_MS;
}
