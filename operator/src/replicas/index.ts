/** Scales workers: the controller. */
export { makeReplicasController } from "./replicas-controller.ts";
export type { ReplicasDependencies } from "./scaled-queue.ts";
