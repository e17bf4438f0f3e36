/**
 * Workers of activities alone: processes that have no workflows and serve a pool of activities.
 */
import { activityRegistry, resolveConnection } from "@memflow/engine";
import { activityFunctions } from "./activity-functions.ts";
import { NAMESPACE_DEFAULT } from "./client.ts";
import { checkName } from "./options.ts";
import { Worker } from "./worker.ts";
import type { WorkerConfig } from "./worker.ts";

/** How a worker of activities is made: as `Worker.create`, without workflows. */
export type ActivityWorkerConfig = Partial<Omit<WorkerConfig, "workflow" | "activities">> &
  Pick<WorkerConfig, "connection">;

/** The queue when none is named. */
const ACTIVITY_QUEUE_DEFAULT = "memflow-activities";

const registered = new Map<string, Promise<Worker>>();

/**
 * Serves activities of a queue in this process. Workflows reach them by `proxyActivities({ taskQueue })`, which needs
 * their names alone. Any number of processes may serve one queue: each attempt is run by one of them.
 *
 * @param config - Connection, and where needed namespace and options.
 * @param activities - A function, or an object of functions; known by key and by their own name.
 * @param activityTaskQueue - The queue (default `config.taskQueue`, else `memflow-activities`).
 * @returns The worker, once it serves. A second call for the same connection, namespace and queue gives the same one,
 *   which then has the functions of both.
 * @throws {ConnectionError} When the database can't be used; {OptionError} when an option is wrong.
 *
 * @example
 * await MemFlow.registerActivityWorker(
 *   { connection: { class: Postgres, options: { connectionString } } },
 *   { charge: async (cents: number) => await Promise.resolve(`charged ${cents}`) },
 *   'payments',
 * );
 *
 * @see docs/replay.md#errors-and-retries
 */
export async function registerActivityWorker(
  config: ActivityWorkerConfig,
  activities: unknown,
  activityTaskQueue?: string,
): Promise<Worker> {
  const taskQueue = checkName(
    "activityTaskQueue",
    activityTaskQueue ?? config.taskQueue ?? ACTIVITY_QUEUE_DEFAULT,
  );
  activityRegistry.register(Object.fromEntries(activityFunctions(activities, "activities")), taskQueue);
  const namespace = config.namespace ?? NAMESPACE_DEFAULT;
  const key = JSON.stringify([resolveConnection(config.connection).key, namespace, taskQueue]);
  const known = registered.get(key);
  if (known !== undefined) {
    const running = await known.catch(() => undefined);
    if (running?.status().state === "running") return running;
  }
  const worker = Worker.create({ ...config, taskQueue, activities: {} });
  registered.set(key, worker);
  worker.catch(() => registered.delete(key));
  return await worker;
}
