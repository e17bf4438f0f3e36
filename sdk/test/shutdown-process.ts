/**
 * A worker and a client that shut everything down at SIGTERM, as the seed advises; a test runs it as a process.
 */
import { Client, MemFlow, Worker } from "@memflow/sdk";
import { Client as Postgres } from "pg";
import * as workflows from "./seed-promises-workflows.ts";

const [, , connectionString = "", namespace = ""] = process.argv;
const connection = { class: Postgres, options: { connectionString } };
await Worker.create({ connection, namespace, taskQueue: workflows.QUEUE, workflow: workflows });
const client = new Client({ connection, namespace });
await client.workflow.start({ taskQueue: workflows.QUEUE, workflowName: "waits", workflowId: "left-open" });
process.once("SIGTERM", () => {
  void MemFlow.shutdown().then(() => process.disconnect());
});
process.send?.("serving");
