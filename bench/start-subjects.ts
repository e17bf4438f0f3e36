/**
 * Who starts runs: the engine's own client, and a client of a gateway that runs in a process of its own.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { fileURLToPath } from "node:url";
import { newId, resolveConnection, StoreClient } from "@memflow/engine";
import { QUEUE } from "./engine-workflows.ts";
import type { Job } from "./jobs.ts";
import type { SubjectClient } from "./subject.ts";

const SCHEMA = "memflow";
const CREATED = 201;
/** Connections of the HTTP client: they stay. */
const SOCKETS_MAX = 200;

/** The engine's own client. */
export async function openStarter(url: string): Promise<SubjectClient> {
  const client = await StoreClient.open(resolveConnection(url), SCHEMA);
  return {
    run: async (job) => {
      const runId = newId();
      await client.start({
        runId,
        workflowId: runId,
        workflowName: job.workflow,
        taskQueue: QUEUE,
        input: `[${job.count}]`,
        options: null,
        delayMs: 0,
        retentionSeconds: null,
      });
      return job.count;
    },
    close: () => client.close(),
  };
}

/** A gateway, and who calls it over connections that stay. */
export async function openHttpStarter(url: string): Promise<SubjectClient> {
  const gateway = fork(
    fileURLToPath(import.meta.resolve("@memflow/e2e/gateway-process")),
    [JSON.stringify({ url, schema: SCHEMA })],
    {
      execArgv: ["-C", "source"],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    },
  );
  const [{ port }] = (await once(gateway, "message")) as [{ readonly port: number }];
  const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX });
  return {
    run: async (job) => {
      await post({ agent, port, job });
      return job.count;
    },
    close: async () => {
      agent.destroy();
      gateway.disconnect();
      await once(gateway, "exit");
    },
  };
}

async function post(options: {
  readonly agent: Agent;
  readonly port: number;
  readonly job: Job;
}): Promise<void> {
  const { agent, port, job } = options;
  const body = JSON.stringify({ workflow: job.workflow, taskQueue: QUEUE, input: job.count });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const sent = request(
    {
      agent,
      port,
      host: "127.0.0.1",
      method: "POST",
      path: "/v1/namespaces/default/runs",
      headers: {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
        "idempotency-key": newId(),
      },
    },
    (response) => {
      response.resume();
      response.once("end", () => {
        if (response.statusCode === CREATED) resolve();
        else reject(new Error(`the gateway answered ${response.statusCode}`));
      });
    },
  );
  sent.once("error", reject);
  sent.end(body);
  await promise;
}
