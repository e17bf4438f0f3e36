/** The gateway's door: its API as one table, and the interfaces of who may and of the Stores. */
export * from "./api/index.ts";
export * from "./auth/index.ts";
export * from "./stores/index.ts";
