/** Two gateways, one of them killed under load: what was acknowledged stands, once. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { testDatabaseUrl } from "@memflow/engine/testing";
import { makeScratchStore } from "@memflow/engine/testing/scratch-store";
import { GatewayClient } from "@memflow/gateway/client";
import { expect, onTestFinished, test } from "vitest";

const CALLERS = 16;
const STARTS_EACH = 40;
/** So many have been acknowledged when the first gateway is killed. */
const KILL_AFTER = 150;

interface Gateway {
  readonly process: ChildProcess;
  readonly client: GatewayClient;
}

async function startGateway(schema: string): Promise<Gateway> {
  const child = fork(
    join(import.meta.dirname, "gateway/gateway-process.ts"),
    [JSON.stringify({ url: testDatabaseUrl(), schema })],
    { execArgv: ["-C", "source"] },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  const [{ port }] = (await once(child, "message")) as [{ readonly port: number }];
  return { process: child, client: new GatewayClient({ server: `http://127.0.0.1:${port}` }) };
}

test("no acknowledged start is lost or doubled when one of two gateways is killed under load", async () => {
  const store = await makeScratchStore();
  const [doomed, other] = await Promise.all([
    startGateway(store.place.schema),
    startGateway(store.place.schema),
  ]);
  const acknowledged = new Map<string, string>();
  let answersOfDoomed = 0;
  let retried = 0;

  const start = async ({ client }: Gateway, key: string): Promise<string> => {
    const { body } = await client.call("startRun", {
      path: { namespace: "default" },
      header: { "Idempotency-Key": key },
      body: { workflow: "work", taskQueue: "queue", workflowId: `id-${key}`, input: key },
    });
    return body.runId;
  };

  const callers = Array.from({ length: CALLERS }, async (_, caller) => {
    for (let number = 0; number < STARTS_EACH; number += 1) {
      const key = `${caller}-${number}`;
      const first = caller % 2 === 0 ? doomed : other;
      let runId: string;
      try {
        runId = await start(first, key);
        if (first === doomed) answersOfDoomed += 1;
      } catch {
        // It may stand or not: the same request to the other gateway finds out.
        retried += 1;
        runId = await start(other, key);
      }
      acknowledged.set(key, runId);
      if (acknowledged.size === KILL_AFTER) doomed.process.kill("SIGKILL");
    }
  });
  await Promise.all(callers);

  expect(answersOfDoomed).toBeGreaterThan(0);
  expect(retried).toBeGreaterThan(0);
  const rows = await store.sql<{ run_id: string; workflow_id: string }>(
    "select run_id, workflow_id from :schema.runs",
  );
  const recorded = new Map(rows.map((row) => [row.workflow_id.slice("id-".length), row.run_id]));
  expect(rows).toHaveLength(CALLERS * STARTS_EACH);
  expect(Object.fromEntries(recorded)).toEqual(Object.fromEntries(acknowledged));
});
