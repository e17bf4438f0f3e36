/** The life of TaskQueues, but for their replicas. */
export { makeQueuesController } from "./queues-controller.ts";
