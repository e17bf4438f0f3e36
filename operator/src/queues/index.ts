/** The life of TaskQueues, but for their replicas. */
export { DRAIN_FINALIZER } from "./drain-finalizer.ts";
export { makeQueuesController } from "./queues-controller.ts";
export type { QueuesDependencies } from "./queues-controller.ts";
