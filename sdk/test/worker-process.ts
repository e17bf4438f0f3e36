/**
 * A worker process for tests: serves the workflows, or the activities, of one module until it is killed or its parent goes.
 *
 * Its argument is the JSON of `WorkerProcessOptions` with the connection; it sends `{ ready: true }` once it serves.
 */
import { MemFlow, Worker } from "@memflow/sdk";
import type { WorkerConfig } from "@memflow/sdk";
import pg from "pg";
import type { WorkerProcessOptions } from "./setup.ts";

const given = JSON.parse(process.argv[2] ?? "{}") as WorkerProcessOptions & {
  readonly url: string;
  readonly namespace: string;
};
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
const functions = (await import(given.module)) as Exclude<WorkerConfig["workflow"], undefined>;
const config = {
  connection: { class: pg.Client, options: { connectionString: given.url } },
  namespace: given.namespace,
  taskQueue: given.taskQueue,
  options: { pollMs: 200, sweepMs: 200, beatMs: 500, ...given.options },
};
if (given.serves === "activities") await MemFlow.registerActivityWorker(config, functions);
else await Worker.create({ ...config, workflow: functions });
process.send?.({ ready: true });
