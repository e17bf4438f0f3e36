/**
 * Activities as durable calls: each call is recorded once and answered from history on replay.
 */
import {
  ActivityNotFoundError,
  OptionError,
  activityRegistry,
  encodeArguments,
  normalizeRetryPolicy,
} from "@memflow/engine";
import type { ActivityFunction, RetryPolicyOptions } from "@memflow/engine";
import { runOf } from "./in-run.ts";

/** How activities are called. */
export interface ActivityConfig<Activities = unknown> {
  /** Their functions by name, or one function. Without it the names alone are known, and a worker of the queue has them. */
  readonly activities?: Activities | ((...args: never[]) => unknown) | undefined;
  /** The queue whose workers run them (default: the workflow's, this worker first). */
  readonly taskQueue?: string | undefined;
  /** Executions and delays (default: 3 attempts, coefficient 10, at most 120 s). */
  readonly retryPolicy?: RetryPolicyOptions | undefined;
  /** The later name of `retryPolicy`. */
  readonly retry?: RetryPolicyOptions | undefined;
}

/** The same functions, each returning a promise. */
export type ProxyType<Activities> = {
  readonly [Name in keyof Activities]: Activities[Name] extends (...args: infer Args) => infer Result
    ? (...args: Args) => Promise<Awaited<Result>>
    : never;
};

/**
 * Makes functions callable as activities: run at least once, recorded once, retried by their policy.
 *
 * Legal anywhere, also at the top of a module; the calls must be made inside a workflow.
 *
 * @param config - Functions, queue and retry policy.
 * @returns An object with a function per activity.
 * @throws {OptionError} When an option is wrong. The calls throw {ActivityNotFoundError} for a name that was not given.
 *
 * @example
 * const { greet } = MemFlow.workflow.proxyActivities<{ greet(name: string): string }>({
 *   activities: { greet: (name: string) => `Hello, ${name}` },
 *   retryPolicy: { maximumAttempts: 3, backoffCoefficient: 2 },
 * });
 * export async function example(name: string): Promise<string> {
 *   return await greet(name);
 * }
 *
 * @see docs/replay.md
 */
export function proxyActivities<Activities>(config: ActivityConfig<Activities> = {}): ProxyType<Activities> {
  const given = config.activities === undefined ? undefined : functionsOf(config.activities as object);
  if (config.taskQueue !== undefined && config.taskQueue === "") {
    throw new OptionError({
      field: "taskQueue",
      value: "",
      remedy: "give the name of a task queue, or leave it out",
    });
  }
  if (given !== undefined) activityRegistry.register(Object.fromEntries(given), config.taskQueue);
  const policy = normalizeRetryPolicy(
    config.retryPolicy ?? config.retry,
    config.retry === undefined ? "retryPolicy" : "retry",
  );
  const calls = new Map<string, (...args: unknown[]) => Promise<unknown>>();
  const callOf =
    (name: string): ((...args: unknown[]) => Promise<unknown>) =>
    (...args) => {
      const context = runOf(`activity "${name}"`);
      const implementation = given?.get(name);
      if (given !== undefined && implementation === undefined) {
        const taskQueue = config.taskQueue ?? context.facts.taskQueue;
        throw new ActivityNotFoundError({ activityName: name, taskQueue, known: [...given.keys()] });
      }
      const encoded = encodeArguments(args, { field: `arguments of activity "${name}"` });
      return context.issue({ kind: "activity", name, failureIsResult: !policy.throwOnError }, (position) => ({
        kind: "activity",
        position,
        name,
        args: encoded,
        taskQueue: config.taskQueue ?? null,
        policy,
        implementation,
      }));
    };
  return new Proxy({} as ProxyType<Activities>, {
    get: (_target, name) => {
      // A proxy that is awaited must not look like a promise.
      if (typeof name !== "string" || name === "then") return undefined;
      let call = calls.get(name);
      if (call === undefined) calls.set(name, (call = callOf(name)));
      return call;
    },
    has: (_target, name) => typeof name === "string" && (given === undefined || given.has(name)),
    ownKeys: () => [...(given?.keys() ?? [])],
    getOwnPropertyDescriptor: (_target, name) =>
      typeof name === "string" && given?.has(name) === true
        ? { configurable: true, enumerable: true }
        : undefined,
  });
}

/** The functions of an object or module by key, and by their own name where that differs (default exports). */
function functionsOf(activities: object): ReadonlyMap<string, ActivityFunction> {
  const functions = new Map<string, ActivityFunction>();
  if (typeof activities === "function") {
    functions.set(activities.name, activities as ActivityFunction);
    return functions;
  }
  for (const [key, value] of Object.entries(activities)) {
    if (typeof value !== "function") continue;
    functions.set(key, value as ActivityFunction);
    if (value.name !== "" && value.name !== "default" && !functions.has(value.name))
      functions.set(value.name, value as ActivityFunction);
  }
  return functions;
}
