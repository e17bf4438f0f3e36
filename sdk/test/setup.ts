/**
 * What a test of whole runs works with: a schema of its own on the test run's Postgres, a client, and workers.
 *
 * Promises that everything made through it is stopped and the schema dropped when the test has finished, and that no two
 * tests share a schema. Waits only for conditions, never for a time.
 */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { EngineWorker, forgetProvisioned, resolveConnection } from "@memflow/engine";
import type { Invoke, WorkerOptions } from "@memflow/engine";
import { eventually } from "@memflow/engine/testing";
import { Client, MemFlow, Worker } from "@memflow/sdk";
import type { WorkerConfig, WorkflowFunction, WorkflowHandle } from "@memflow/sdk";
import pg from "pg";
import { onTestFinished } from "vitest";

export { eventually };

/** Workers of tests look for lost work often, so that no test waits for the intervals of production. */
export const FAST: NonNullable<WorkerConfig["options"]> = { pollMs: 200, sweepMs: 200, beatMs: 500 };

/** A worker of its own process. */
export interface WorkerProcess {
  readonly child: ChildProcess;
  /** What it wrote to stderr so far. */
  errors(): string;
  /** Settles when it has ended, with its exit code or the signal that ended it. */
  ended(): Promise<number | string>;
  kill(signal: NodeJS.Signals): void;
}

/** How a worker process is started. */
export interface WorkerProcessOptions {
  /** The URL of the module whose exported functions are its workflows and hooks. */
  readonly module: string;
  readonly taskQueue: string;
  /** What the functions of the module are (default: workflows). */
  readonly serves?: "workflows" | "activities";
  readonly options?: WorkerConfig["options"];
}

/** The bundle of one test. */
export interface TestStore {
  readonly url: string;
  /** The schema, which MemFlow calls namespace. */
  readonly namespace: string;
  readonly connection: {
    readonly class: typeof pg.Client;
    readonly options: { readonly connectionString: string };
  };
  readonly client: Client;
  /** A worker of this process; workers of equal options share one engine. */
  worker(config: Omit<WorkerConfig, "connection" | "namespace">): Promise<Worker>;
  /** An engine of its own in this process, which can crash; without interceptors. */
  engine(options: {
    readonly taskQueue: string;
    readonly workflows: Readonly<Record<string, WorkflowFunction>> | ReadonlyMap<string, Invoke>;
    readonly tuning?: Partial<WorkerOptions>;
  }): Promise<EngineWorker>;
  /** Declares an engine that has crashed dead, at once, and releases what it held. */
  bury(workerId: string): Promise<void>;
  /** A worker in a process of its own, once it serves. */
  workerProcess(options: WorkerProcessOptions): Promise<WorkerProcess>;
  query<Row extends pg.QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

/** Makes the bundle; the schema itself is left to the first client or worker. */
export async function setup(): Promise<TestStore> {
  const url = databaseUrl();
  const namespace = `memflow_test_${randomBytes(8).toString("hex")}`;
  const connection = { class: pg.Client, options: { connectionString: url } };
  const admin = new pg.Client({ connectionString: url });
  await admin.connect();
  const engines: EngineWorker[] = [];
  const processes: WorkerProcess[] = [];
  onTestFinished(async () => {
    for (const worker of processes) worker.kill("SIGKILL");
    await Promise.all(processes.map((worker) => worker.ended()));
    const running = engines.filter((engine) => engine.status.state === "running");
    await Promise.all(running.map((engine) => engine.shutdown({ graceMs: 0 })));
    await MemFlow.shutdown({ graceMs: 0 });
    await admin.query(`drop schema if exists ${namespace} cascade`);
    await admin.end();
    forgetProvisioned();
  });
  return {
    url,
    namespace,
    connection,
    client: new Client({ connection, namespace }),
    worker: (config) =>
      Worker.create({ ...config, connection, namespace, options: { ...FAST, ...config.options } }),
    engine: async ({ taskQueue, workflows, tuning }) => {
      const source = resolveConnection(url);
      const engine = await EngineWorker.start({
        ...FAST,
        heartbeat: "none",
        source,
        schema: namespace,
        ...tuning,
      });
      engines.push(engine);
      await engine.serve(taskQueue, workflows instanceof Map ? workflows : invocations(workflows));
      return engine;
    },
    bury: async (workerId) => {
      await admin.query(`update ${namespace}.workers set dead_at = clock_timestamp() where worker_id = $1`, [
        workerId,
      ]);
      await admin.query(`select ${namespace}.release_dead(1000)`);
    },
    workerProcess: async (options) => {
      const worker = startWorkerProcess({ ...options, url, namespace });
      processes.push(worker);
      await Promise.race([once(worker.child, "message"), failWhenEnded(worker)]);
      return worker;
    },
    query: async <Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []) => {
      await admin.query(`set search_path to ${namespace}`);
      const { rows } = await admin.query<Row>(text, [...values]);
      return rows;
    },
  };
}

/** Workflow functions as an engine of its own takes them. */
function invocations(functions: object): ReadonlyMap<string, Invoke> {
  return new Map(
    Object.entries(functions as Record<string, WorkflowFunction>).map(([name, call]) => [
      name,
      (_context, args) => call(...(args as never[])),
    ]),
  );
}

/** The connection string of the test run's Postgres. */
export function databaseUrl(): string {
  const url = process.env["MEMFLOW_TEST_DATABASE_URL"];
  if (url === undefined) throw new Error("MEMFLOW_TEST_DATABASE_URL is not set; run the tests with vitest");
  return url;
}

/** Waits until a run has recorded an event of this kind and name. */
export async function recorded(handle: WorkflowHandle, kind: string, name?: string): Promise<void> {
  await eventually(`${kind} ${name ?? ""} in history`, async () => {
    const events = await handle.history();
    return events.some((event) => event.kind === kind && (name === undefined || event.name === name));
  });
}

function startWorkerProcess(
  options: WorkerProcessOptions & { readonly url: string; readonly namespace: string },
): WorkerProcess {
  const child = fork(new URL("worker-process.ts", import.meta.url), [JSON.stringify(options)], {
    stdio: ["ignore", "inherit", "pipe", "ipc"],
  });
  let errors = "";
  child.stderr?.on("data", (bytes: Buffer) => (errors += bytes.toString()));
  const ended = once(child, "exit").then(([code, signal]: unknown[]) => (code ?? signal) as number | string);
  return { child, errors: () => errors, ended: () => ended, kill: (signal) => void child.kill(signal) };
}

async function failWhenEnded(worker: WorkerProcess): Promise<never> {
  const how = await worker.ended();
  throw new Error(`the worker process ended with ${how} before it served: ${worker.errors()}`);
}
