/**
 * The seed's worker and client, as they stand there but for the imports and the address of the database; a test runs it as a process.
 */
import { Client, MemFlow, Worker } from "@memflow/sdk";
import { Client as Postgres } from "pg";
import * as workflows from "./seed-workflows.ts";

const [, , connectionString = ""] = process.argv;

// Initialize worker
await Worker.create({
  connection: {
    class: Postgres,
    options: { connectionString },
  },
  taskQueue: "default",
  workflow: workflows.example,
});

// Initialize client
const client = new Client({
  connection: {
    class: Postgres,
    options: { connectionString },
  },
});

// Start workflow
const handle = await client.workflow.start({
  args: ["input data"],
  taskQueue: "default",
  workflowName: "example",
  workflowId: MemFlow.guid(),
});

// Get result
const result = await handle.result<string>();
console.log(result);

// Cleanup
await MemFlow.shutdown();
