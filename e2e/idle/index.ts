/** The door for the scenario and the bench that watch an operator without work. */
export { openIdleCluster } from "./idle-cluster.ts";
export type { IdleCluster } from "./idle-cluster.ts";
export { startIdleOperator, writesOf } from "./idle-queues.ts";
export type { IdleOperator, IdleOptions, RequestCounts, ResidentMemory } from "./idle-queues.ts";
