/**
 * Runs one worker: the user's code on its queue, with the server that a cluster asks.
 *
 * Promises that it resolves only once the queue is served, that a database which is away is waited for, with the reason at
 * `/readyz` and in the log, and that `stop` hands every run over, lets activities finish within the grace period and closes
 * everything.
 */
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "@memflow/sdk";
import type { WorkerLog, WorkerStatus } from "@memflow/sdk";
import { startHealthServer } from "./health-server.ts";
import type { Readiness } from "./health-server.ts";
import { loadUserCode } from "./load-module.ts";
import type { UserCode } from "./load-module.ts";
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

/** Between two tries to reach a database that is away: doubled from the first to the longest. */
const RETRY_MS = 500;
const RETRY_MS_MAX = 5_000;

/** What another try may find otherwise, and a supervisor would only try more rarely. */
const AWAY_CODES: ReadonlySet<unknown> = new Set(["DATABASE_UNREACHABLE", "DATABASE_READ_ONLY"]);

/** Before it is registered. */
const STARTING: WorkerStatus = {
  workerId: "",
  state: "stopped",
  ownedRuns: 0,
  busyRuns: 0,
  runningActivities: 0,
  silentMs: 0,
};

/**
 * Starts the worker; waits while the database is away.
 *
 * @throws {ModuleError} When the user's code can't be loaded; {HealthPortError} when the port can't be used.
 * @throws {ConnectionError} When the database refuses the role or can't be used; {SchemaError} when its schema doesn't fit.
 */
export async function runWorker(settings: WorkerSettings, observer: WorkerObserver): Promise<RunningWorker> {
  const code = await loadUserCode(settings.module);
  const { taskQueue, namespace, activityMax } = settings;
  let worker: Worker | undefined;
  let missing = "the worker is starting";
  const status = (): WorkerStatus => worker?.status() ?? STARTING;
  const health = await startHealthServer({
    host: settings.host,
    port: settings.port,
    metrics: makeMetrics({ taskQueue, namespace, activityMax, status }),
    readiness: async () =>
      worker === undefined ? { ready: false, reason: missing } : judgeReadiness(worker.status()),
  });
  try {
    const started = await startPatiently(
      () => startWorker(settings, code, observer),
      (error) => {
        missing = error.message;
        observer.log("warn", "the database is away; the worker waits for it", { error: error.message });
      },
    );
    worker = started;
    const stop = async (): Promise<void> => {
      await started.shutdown({ graceMs: settings.graceMs });
      await health.close();
    };
    return { workflows: Object.keys(code.workflows), port: health.port, stop };
  } catch (error) {
    await health.close();
    throw error;
  }
}

function startWorker(settings: WorkerSettings, code: UserCode, observer: WorkerObserver): Promise<Worker> {
  return Worker.create({
    connection: { connectionString: settings.databaseUrl, direct: settings.directDatabaseUrl },
    namespace: settings.namespace,
    taskQueue: settings.taskQueue,
    workflow: code.workflows,
    activities: code.activities,
    options: {
      buildId: settings.buildId,
      maxConcurrentActivities: settings.activityMax,
      maxConnections: settings.connectionMax,
      maxConcurrentRuns: settings.runMax,
      log: observer.log,
      onFatal: observer.onFatal,
    },
  });
}

/** Tries again for as long as the database is away: whoever ends the process ends this too. */
async function startPatiently(
  start: () => Promise<Worker>,
  tellMissing: (error: Error) => void,
): Promise<Worker> {
  for (let waitMs = RETRY_MS; ; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof Error && "code" in error && AWAY_CODES.has(error.code))) throw error;
      tellMissing(error);
    }
    await delay(waitMs);
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
