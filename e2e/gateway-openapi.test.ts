/**
 * Requests that schemathesis makes up from the served OpenAPI document: none is answered with a 5xx, and none as the document
 * does not say, whether the caller may all or nothing.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newId, StoreClient } from "@memflow/engine";
import { testSource } from "@memflow/engine/testing";
import { makeScratchStore } from "@memflow/engine/testing/scratch-store";
import { createGateway, ForbiddenError, StoreNotFoundError, UnauthenticatedError } from "@memflow/gateway";
import type { Gatekeeper, StoreEntry } from "@memflow/gateway";
import { expect, onTestFinished, test } from "vitest";
import { findSchemathesis } from "./gateway/schemathesis.ts";

/** Both together have a minute. */
const SECONDS = 20;
const TIMEOUT_MS = 240_000;
const NAMESPACE = "shop";

const schemathesis = await findSchemathesis();

/** A gateway whose callers may all, or nothing. */
async function startGateway(mayAll: boolean): Promise<{ url: string; runId: string; failures: string[] }> {
  const store = await makeScratchStore();
  const client = await StoreClient.open(testSource(), store.place.schema);
  const runId = newId();
  await store.insertRun({
    run_id: runId,
    workflow_name: "order",
    task_queue: "orders",
    workflow_id: "order-1",
  });
  const workflow = {
    name: "order",
    workflowName: "order",
    taskQueue: "orders",
    suspended: false,
    inputSchema: { type: "object", properties: { item: { type: "string" } } },
  };
  const entry: StoreEntry = {
    namespace: NAMESPACE,
    name: "main",
    client,
    workflows: () => [workflow],
    workflowOf: (type) => (type === "order" ? workflow : undefined),
    queues: () => [{ name: "orders", taskQueue: "orders", scaling: { replicas: 2 } }],
  };
  const gatekeeper: Gatekeeper = {
    identify: async ({ headers }) => {
      if (headers.authorization !== "Bearer caller") throw new UnauthenticatedError("no token");
      return { name: "caller", groups: [], via: "token" };
    },
    may: async () => mayAll,
    admit: async (subject, access) => {
      if (!mayAll) throw new ForbiddenError(subject, access);
    },
  };
  const failures: string[] = [];
  const app = createGateway({
    stores: {
      resolve: async (namespace, name = "main") => {
        if (namespace !== NAMESPACE || name !== "main") throw new StoreNotFoundError(namespace, name);
        return entry;
      },
      list: async () => [entry],
    },
    gatekeeper,
    audit: { record: () => undefined },
    log: (level, message, facts) => {
      if (level === "error") failures.push(`${message} ${JSON.stringify(facts)}`);
    },
    limits: { waitMsMax: 20 },
  });
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await client.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, runId, failures };
}

test.skipIf(typeof schemathesis === "string").each([
  { who: "may all", mayAll: true, token: "caller" },
  { who: "may nothing", mayAll: false, token: "caller" },
  { who: "is not known", mayAll: true, token: "stranger" },
])(
  `no request of a caller who $who is answered with a 5xx, or as the document does not say${typeof schemathesis === "string" ? ` (${schemathesis})` : ""}`,
  async ({ mayAll, token }) => {
    if (typeof schemathesis === "string") throw new Error(schemathesis);
    const { url, runId, failures } = await startGateway(mayAll);
    const folder = await mkdtemp(join(tmpdir(), "memflow-schemathesis-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    const { passed, output } = await schemathesis({
      url,
      folder,
      parameters: { namespace: NAMESPACE, runId },
      headers: { Authorization: `Bearer ${token}` },
      maxSeconds: token === "stranger" ? SECONDS / 5 : SECONDS,
    });
    expect(failures).toEqual([]);
    expect(passed ? "" : output).toBe("");
    const [, cases = "0"] = /(\d+) generated/u.exec(output) ?? [];
    console.log(`figure: gateway-openapi-requests ${cases} requests`);
  },
  TIMEOUT_MS,
);
