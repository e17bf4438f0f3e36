/** All controllers of the operator. */
import type { OperatorDependencies } from "./api/index.ts";
import type { Controller } from "./kube/index.ts";
import { makeQueuesController } from "./queues/index.ts";
import { makeReplicasController } from "./replicas/index.ts";
import { makeSchedulesController } from "./schedules/index.ts";
import type { StoreConnections } from "./stores/store-connections.ts";
import { makeStoresController } from "./stores/store-controller.ts";
import { makeWorkflowControllers } from "./workflows/index.ts";

/** What controllers are made with; the connections to Stores are the Stores' controller's to make. */
export interface ControllerParts extends OperatorDependencies {
  readonly stores: StoreConnections;
}

/** Makes them; nothing is started. */
export function makeControllers(parts: ControllerParts): readonly Controller[] {
  return [
    makeStoresController(parts),
    makeQueuesController(parts),
    makeReplicasController(parts),
    ...makeWorkflowControllers(parts),
    makeSchedulesController(parts),
  ];
}
