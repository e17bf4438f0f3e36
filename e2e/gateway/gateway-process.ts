/**
 * A gateway process, for tests of what happens when one dies and for the bench: a single Store, and a caller who may all.
 *
 * Its argument is the JSON of `GatewayProcessOptions`; it sends `{ port }` once it listens, and ends with its parent.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { resolveConnection, StoreClient } from "@memflow/engine";
import { createGateway } from "@memflow/gateway";
import type { StoreEntry, WorkflowDefinition } from "@memflow/gateway";

/** What the process is told. */
export interface GatewayProcessOptions {
  readonly url: string;
  readonly schema: string;
  /** The Workflow that the Store has, and its queue; none when left out. */
  readonly workflow?: { readonly name: string; readonly taskQueue: string };
}

const given = JSON.parse(process.argv[2] ?? "{}") as GatewayProcessOptions;
process.once("disconnect", () => process.exit());
const workflows: readonly WorkflowDefinition[] =
  given.workflow === undefined
    ? []
    : [{ ...given.workflow, workflowName: given.workflow.name, suspended: false }];
const client = await StoreClient.open(resolveConnection(given.url), given.schema);
const entry: StoreEntry = {
  namespace: "default",
  name: "main",
  client,
  workflows: () => workflows,
  workflowOf: (type) => workflows.find(({ workflowName }) => workflowName === type),
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
