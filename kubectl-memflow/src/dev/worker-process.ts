/**
 * One worker child process: begun, heard, stopped.
 *
 * It leads a process group of its own, so a Ctrl-C in the terminal reaches only its parent, which then stops it in
 * order. Between the two lies a channel: when the parent is gone without a word the worker notices, hands its runs
 * over and ends.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { QueuePlan } from "./dev-plan.ts";

/** What the worker says once it serves its queue. */
export interface WorkerReady {
  readonly event: "ready";
  readonly taskQueue: string;
  readonly workflows: readonly string[];
  readonly port: number;
}

/** How a worker ended. */
export interface WorkerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The last line that it wrote to its error output. */
  readonly lastWords: string;
}

/** A running worker. */
export interface WorkerProcess {
  readonly pid: number;
  /** Resolves with undefined when it ends before it is ready. */
  readonly ready: Promise<WorkerReady | undefined>;
  readonly exited: Promise<WorkerExit>;
  /** Asks it to hand over and end; a second call ends it at once. */
  stop(): void;
  kill(): void;
}

/** Where it works and who hears what it prints. */
export interface WorkerSurroundings {
  readonly databaseUrl: string;
  readonly onLine: (line: string) => void;
}

const OUTPUT_END_MS = 500;

/** Begins a worker of a queue; it is not ready yet. */
export async function spawnWorker(plan: QueuePlan, surroundings: WorkerSurroundings): Promise<WorkerProcess> {
  const program = fileURLToPath(import.meta.resolve("@memflow/worker-runtime/main"));
  const child = spawn(process.execPath, [...process.execArgv, program], {
    env: { ...process.env, ...plan.environment, ...workerVariables(plan, surroundings.databaseUrl) },
    detached: true,
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  await once(child, "spawn");
  const pid = child.pid as number;
  let ready: WorkerReady | undefined;
  let lastWords = "";
  const exited = afterExit(child).then((): WorkerExit => ({
    code: child.exitCode,
    signal: child.signalCode,
    lastWords,
  }));
  const saidReady = new Promise<WorkerReady | undefined>((resolve) => {
    readLines(child.stdout, (line) => {
      ready ??= parseReady(line);
      if (ready === undefined) surroundings.onLine(line);
      else resolve(ready);
    });
    void exited.then(() => resolve(ready));
  });
  readLines(child.stderr, (line) => {
    lastWords = line;
    surroundings.onLine(line);
  });
  return {
    pid,
    exited,
    ready: saidReady,
    stop: () => void child.kill("SIGTERM"),
    kill: () => void child.kill("SIGKILL"),
  };
}

function workerVariables(plan: QueuePlan, databaseUrl: string): Record<string, string> {
  return {
    MEMFLOW_DATABASE_URL: databaseUrl,
    MEMFLOW_NAMESPACE: plan.schema,
    MEMFLOW_TASK_QUEUE: plan.taskQueue,
    MEMFLOW_MODULE: plan.module,
    MEMFLOW_HOST: "127.0.0.1",
    MEMFLOW_PORT: "0",
    MEMFLOW_MAX_ACTIVITIES: String(plan.activityMax),
    MEMFLOW_MAX_RUNS: String(plan.runMax),
    MEMFLOW_GRACE_MS: String(plan.graceMs),
  };
}

/** Waits for the exit and, unless a process of the user's holds them open, for the end of what was printed. */
async function afterExit(child: ChildProcess): Promise<void> {
  const closed = once(child, "close");
  await once(child, "exit");
  await Promise.race([closed, delay(OUTPUT_END_MS)]);
}

function readLines(stream: Readable | null, onLine: (line: string) => void): void {
  if (stream !== null) createInterface({ input: stream }).on("line", onLine);
}

function parseReady(line: string): WorkerReady | undefined {
  if (!line.startsWith('{"event":"ready"')) return undefined;
  return JSON.parse(line) as WorkerReady;
}
