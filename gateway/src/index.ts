/** The gateway's door: its application, its API as one table, and the interfaces of who may and of the Stores. */
export * from "./api/index.ts";
export * from "./auth/index.ts";
export { LoopbackGatekeeper } from "./auth/static-gatekeepers.ts";
export { createGateway, DEFAULT_LIMITS } from "./http/gateway.ts";
export type { AnsweredRequest, GatewayLimits, GatewayLog, GatewayOptions } from "./http/gateway.ts";
export * from "./stores/index.ts";
export { queueDefinition, storeDefinitions } from "./stores/manifest-definitions.ts";
