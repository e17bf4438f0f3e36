/** The door for tests: a gateway on a real Postgres, users by their tokens, rights by a list. */
export { NAMESPACE, startTestGateway } from "./test-gateway.ts";
export type { Right, TestGateway, TestGatewayOptions } from "./test-gateway.ts";
