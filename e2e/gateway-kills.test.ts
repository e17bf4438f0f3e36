/** Two gateways, one of them killed under load: what was acknowledged stands, once. */
import { makeScratchStore } from "@memflow/engine/testing/scratch-store";
import { GatewayClient } from "@memflow/gateway/client";
import { expect, test } from "vitest";
import { startGateway } from "./gateway/start-gateway.ts";
import type { GatewayProcess } from "./gateway/start-gateway.ts";

const CALLERS = 16;
const STARTS_EACH = 40;
/** So many have been acknowledged when the first gateway is killed. */
const KILL_AFTER = 150;

async function openGateway(schema: string): Promise<GatewayProcess & { readonly client: GatewayClient }> {
  const gateway = await startGateway({ schema });
  return { ...gateway, client: new GatewayClient({ server: gateway.server }) };
}

test("no acknowledged start is lost or doubled when one of two gateways is killed under load", async () => {
  const store = await makeScratchStore();
  const [doomed, other] = await Promise.all([
    openGateway(store.place.schema),
    openGateway(store.place.schema),
  ]);
  const acknowledged = new Map<string, string>();
  let answersOfDoomed = 0;
  let retried = 0;

  const start = async ({ client }: { readonly client: GatewayClient }, key: string): Promise<string> => {
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
