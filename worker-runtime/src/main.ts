/**
 * The worker process: reads its environment, serves its queue, ends when it is asked to.
 *
 * Prints one line when it is ready (JSON where nobody watches). SIGTERM and SIGINT, or the end of a parent that holds a
 * channel to it, make it hand its runs over and end with code 0; a second signal ends it at once. Its exit codes are in
 * `exit-codes.ts`.
 */
import type { WorkerLog } from "@memflow/sdk";
import { WORKER_EXIT_CODES } from "./exit-codes.ts";
import { HealthPortError } from "./health-server.ts";
import { ModuleError } from "./load-module.ts";
import { useOwnSdk } from "./own-sdk.ts";
import { runWorker } from "./run-worker.ts";
import type { RunningWorker } from "./run-worker.ts";
import { SettingsError, readSettings } from "./settings.ts";
import type { WorkerSettings } from "./settings.ts";

/** npm and terminals may deliver one Ctrl-C twice; together they count as one. */
const SAME_SIGNAL_MS = 500;

const stopWaitingForStart = endWhenAskedToStop();
useOwnSdk();

try {
  const settings = readSettings(process.env);
  const worker = await runWorker(settings, {
    log: writeLog,
    onFatal: (error) => end(WORKER_EXIT_CODES.failed, `the worker can't go on: ${describe(error)}`),
  });
  stopWaitingForStart();
  stopWhenAsked(worker);
  announce(settings, worker);
} catch (error) {
  const isRefusal =
    error instanceof SettingsError || error instanceof ModuleError || error instanceof HealthPortError;
  end(isRefusal ? WORKER_EXIT_CODES.refused : WORKER_EXIT_CODES.failed, describe(error));
}

function announce(settings: WorkerSettings, worker: RunningWorker): void {
  const { taskQueue } = settings;
  const { workflows, port } = worker;
  process.stdout.write(
    process.stdout.isTTY
      ? `memflow worker ready: queue "${taskQueue}", workflows ${workflows.join(", ")}, health on port ${port}\n`
      : `${JSON.stringify({ event: "ready", taskQueue, workflows, port, pid: process.pid })}\n`,
  );
}

/** The first process of a container ignores the signals that it does not listen to, so it listens before it has started. */
function endWhenAskedToStop(): () => void {
  const end = (): void => process.exit(WORKER_EXIT_CODES.stopped);
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
  return () => {
    process.off("SIGTERM", end);
    process.off("SIGINT", end);
  };
}

function stopWhenAsked(worker: RunningWorker): void {
  let askedAt: number | undefined;
  const stop = (): void => {
    if (askedAt === undefined) {
      askedAt = performance.now();
      worker.stop().then(
        () => process.exit(WORKER_EXIT_CODES.stopped),
        (error: unknown) =>
          end(WORKER_EXIT_CODES.failed, `the worker did not stop in order: ${describe(error)}`),
      );
    } else if (performance.now() - askedAt > SAME_SIGNAL_MS) {
      process.exit(WORKER_EXIT_CODES.failed);
    }
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  if (process.connected) process.once("disconnect", stop);
}

function writeLog(...[level, message, facts]: Parameters<WorkerLog>): void {
  if (level === "debug") return;
  process.stderr.write(`${JSON.stringify({ level, message, ...facts })}\n`);
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The reason is the last line, for whoever supervises this process. */
function end(code: number, reason: string): void {
  process.stderr.write(`memflow worker: ${reason.replaceAll("\n", " ")}\n`);
  process.exit(code);
}
