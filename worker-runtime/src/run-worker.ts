/**
 * Runs one worker: the user's code on its queue, with the server that a cluster asks.
 *
 * Promises that it resolves only once the queue is served, and that `stop` hands every run over, lets activities finish
 * within the grace period and closes everything.
 */
import { Worker } from "@memflow/sdk";
import type { WorkerLog, WorkerStatus } from "@memflow/sdk";
import { startHealthServer } from "./health-server.ts";
import type { Readiness } from "./health-server.ts";
import { loadUserCode } from "./load-module.ts";
import type { WorkerSettings } from "./settings.ts";
import { makeMetrics } from "./worker-metrics.ts";

/** A worker that serves its queue. */
export interface RunningWorker {
  readonly workflows: readonly string[];
  /** Of the health server. */
  readonly port: number;
  stop(): Promise<void>;
}

/** Whom the worker tells about itself. */
export interface WorkerObserver {
  readonly log: WorkerLog;
  /** The worker can't go on; it has stopped by then. */
  readonly onFatal: (error: unknown) => void;
}

/** Heartbeats come every 3 s; after some silence the database counts as unreachable. */
const SILENCE_MS_MAX = 10_000;

/**
 * Starts the worker.
 *
 * @throws {ModuleError} When the user's code can't be loaded; {HealthPortError} when the port can't be used.
 * @throws {ConnectionError} When the database can't be used; {SchemaError} when its schema doesn't fit.
 */
export async function runWorker(settings: WorkerSettings, observer: WorkerObserver): Promise<RunningWorker> {
  const code = await loadUserCode(settings.module);
  const worker = await Worker.create({
    connection: { connectionString: settings.databaseUrl, direct: settings.directDatabaseUrl },
    namespace: settings.namespace,
    taskQueue: settings.taskQueue,
    workflow: code.workflows,
    activities: code.activities,
    options: {
      buildId: settings.buildId,
      maxConcurrentActivities: settings.activityMax,
      maxConnections: settings.connectionMax,
      log: observer.log,
      onFatal: observer.onFatal,
    },
  });
  const status = (): WorkerStatus => worker.status();
  const { taskQueue, namespace, activityMax } = settings;
  try {
    const health = await startHealthServer({
      host: settings.host,
      port: settings.port,
      metrics: makeMetrics({ taskQueue, namespace, activityMax, status }),
      readiness: async () => judgeReadiness(status()),
    });
    const stop = async (): Promise<void> => {
      await worker.shutdown({ graceMs: settings.graceMs });
      await health.close();
    };
    return { workflows: Object.keys(code.workflows), port: health.port, stop };
  } catch (error) {
    await worker.shutdown({ graceMs: 0 });
    throw error;
  }
}

/** Ready is: it claims, and its database was heard of a moment ago. */
export function judgeReadiness(status: Pick<WorkerStatus, "state" | "silentMs">): Readiness {
  if (status.state !== "running") return { ready: false, reason: `the worker is ${status.state}` };
  if (status.silentMs > SILENCE_MS_MAX) {
    return { ready: false, reason: `the database has not answered for ${Math.round(status.silentMs)} ms` };
  }
  return { ready: true };
}
