/**
 * A gateway process for tests of what happens when one dies: a single Store, and a caller who may all.
 *
 * Its argument is the JSON of `GatewayProcessOptions`; it sends `{ port }` once it listens, and ends with its parent.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { resolveConnection, StoreClient } from "@memflow/engine";
import { createGateway } from "@memflow/gateway";
import type { StoreEntry } from "@memflow/gateway";

/** What the process is told. */
export interface GatewayProcessOptions {
  readonly url: string;
  readonly schema: string;
}

const given = JSON.parse(process.argv[2] ?? "{}") as GatewayProcessOptions;
process.once("disconnect", () => process.exit());
const client = await StoreClient.open(resolveConnection(given.url), given.schema);
const entry: StoreEntry = {
  namespace: "default",
  name: "main",
  client,
  workflows: () => [],
  workflowOf: () => undefined,
  queues: () => [],
};
const app = createGateway({
  stores: { resolve: async () => entry, list: async () => [entry] },
  gatekeeper: {
    identify: async () => ({ name: "caller", groups: [], via: "loopback" }),
    may: async () => true,
    admit: async () => undefined,
  },
  audit: { record: () => undefined },
  log: (level, message, facts) => {
    if (level === "error") console.error(message, facts);
  },
  limits: { requestsPerSecond: 1_000_000, burst: 1_000_000 },
});
const server = createServer(app);
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));
