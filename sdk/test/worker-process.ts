/**
 * A worker process for tests: serves the workflows of one module until it is killed or its parent goes.
 *
 * Its argument is the JSON of `WorkerProcessOptions` with the connection; it sends `{ ready: true }` once it serves.
 */
import { Worker } from "@memflow/sdk";
import type { WorkerConfig } from "@memflow/sdk";
import pg from "pg";
import type { WorkerProcessOptions } from "./setup.ts";

const given = JSON.parse(process.argv[2] ?? "{}") as WorkerProcessOptions & {
  readonly url: string;
  readonly namespace: string;
};
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
const workflow = (await import(given.module)) as Exclude<WorkerConfig["workflow"], undefined>;
await Worker.create({
  connection: { class: pg.Client, options: { connectionString: given.url } },
  namespace: given.namespace,
  taskQueue: given.taskQueue,
  workflow,
  options: { pollMs: 200, sweepMs: 200, beatMs: 500, ...given.options },
});
process.send?.({ ready: true });
