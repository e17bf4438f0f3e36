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
import type { RetryPolicy, RetryPolicyOptions } from "@memflow/engine";
import { activityFunctions } from "../activity-functions.ts";
import { throughActivityInterceptors } from "../activity-interceptors.ts";
import { interceptorContext } from "../interceptors.ts";
import { checkName } from "../options.ts";
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
  /** Accepted for MemFlow's sake: an outcome is kept as long as its run. */
  readonly expire?: string | number | undefined;
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
  const { taskQueue, policy } = checkConfig(config);
  const given =
    config.activities === undefined ? undefined : activityFunctions(config.activities, "activities");
  if (given !== undefined) activityRegistry.register(Object.fromEntries(given), taskQueue);
  const calls = new Map<string, (...args: unknown[]) => Promise<unknown>>();
  const callOf =
    (name: string): ((...args: unknown[]) => Promise<unknown>) =>
    (...callArgs) => {
      const context = runOf(`activity "${name}"`);
      const implementation = given?.get(name);
      if (given !== undefined && implementation === undefined) {
        const known = [...given.keys()];
        throw new ActivityNotFoundError({
          activityName: name,
          taskQueue: taskQueue ?? context.facts.taskQueue,
          known,
        });
      }
      return throughActivityInterceptors(
        { activityName: name, args: callArgs, options: config as Readonly<Record<string, unknown>> },
        () => interceptorContext(context),
        (args) => {
          const encoded = encodeArguments(args, { field: `arguments of activity "${name}"` });
          const failureIsResult = !policy.throwOnError;
          return context.issue({ kind: "activity", name, failureIsResult }, (position) => ({
            kind: "activity",
            position,
            name,
            args: encoded,
            taskQueue: taskQueue ?? null,
            policy,
            implementation,
          }));
        },
      );
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

/** What a proxy may be told; what is not here would be dropped in silence. */
const FIELDS: ReadonlySet<string> = new Set(["activities", "taskQueue", "retryPolicy", "retry", "expire"]);

function checkConfig(config: ActivityConfig): {
  readonly taskQueue: string | undefined;
  readonly policy: RetryPolicy;
} {
  if (typeof config !== "object" || config === null) {
    throw new OptionError({
      field: "proxyActivities",
      value: config,
      remedy: "give an object such as { activities: { greet } }",
    });
  }
  for (const [field, value] of Object.entries(config)) {
    if (FIELDS.has(field) || value === undefined) continue;
    const remedy = `leave it out: proxyActivities takes ${[...FIELDS].join(", ")}`;
    throw new OptionError({ field, value, remedy });
  }
  if (config.retry !== undefined && config.retryPolicy !== undefined) {
    throw new OptionError({
      field: "retry",
      value: config.retry,
      remedy: "give one of retry and retryPolicy, which are the same",
    });
  }
  const field = config.retry === undefined ? "retryPolicy" : "retry";
  return {
    taskQueue: config.taskQueue === undefined ? undefined : checkName("taskQueue", config.taskQueue),
    policy: normalizeRetryPolicy(config.retryPolicy ?? config.retry, field),
  };
}
