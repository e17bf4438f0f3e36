/**
 * The door of those who call a gateway: a typed client of its API. Needs `fetch` alone.
 *
 * @example
 * const client = new GatewayClient({ server: "http://127.0.0.1:8080" });
 * const { body } = await client.call("startRun", {
 *   path: { namespace: "default" },
 *   body: { workflow: "greet", input: "world" },
 * });
 * const { result } = await waitForResult(client, { namespace: "default", runId: body.runId });
 */
export { GatewayClient, GatewayProblem } from "./gateway-client.ts";
export type { AnswerOf, Fetch, GatewayClientOptions, OperationName, RequestOf } from "./gateway-client.ts";
export type * from "./operations.ts";
export { followHistory, waitForResult } from "./run-calls.ts";
export type { Followed, RunPlace } from "./run-calls.ts";
