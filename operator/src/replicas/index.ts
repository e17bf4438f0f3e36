/** Scales workers: the controller. */
export { makeReplicasController } from "./replicas-controller.ts";
