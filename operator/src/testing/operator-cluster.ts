/** A mock API server that serves all that the operator touches, with the definitions of our kinds installed or not. */
import { customResourceDefinition, KINDS } from "@memflow/crds";
import { SCHEDULES, STORES, TASK_QUEUES, WORKFLOWS } from "../api/index.ts";
import {
  CONFIG_MAPS,
  CONTROLLER_REVISIONS,
  CUSTOM_RESOURCE_DEFINITIONS,
  DEPLOYMENTS,
  NAMESPACES,
  POD_DISRUPTION_BUDGETS,
  PODS,
  REPLICA_SETS,
  SECRETS,
  SERVICE_ACCOUNTS,
} from "../kube/index.ts";
import type { CustomResourceDefinitionObject } from "../kube/index.ts";
import { MockApiServer } from "./mock-api/mock-api-server.ts";
import type { MockApiServerOptions } from "./mock-api/mock-api-server.ts";

const TYPES = [
  CONFIG_MAPS,
  CONTROLLER_REVISIONS,
  CUSTOM_RESOURCE_DEFINITIONS,
  DEPLOYMENTS,
  NAMESPACES,
  POD_DISRUPTION_BUDGETS,
  PODS,
  REPLICA_SETS,
  SCHEDULES,
  SECRETS,
  SERVICE_ACCOUNTS,
  STORES,
  TASK_QUEUES,
  WORKFLOWS,
];

/** Starts the server; its definitions are installed. */
export async function startOperatorCluster(
  options: Omit<MockApiServerOptions, "types"> = {},
): Promise<MockApiServer> {
  const api = await MockApiServer.start({ ...options, types: TYPES });
  for (const definition of definitions()) api.cluster.create(CUSTOM_RESOURCE_DEFINITIONS, definition);
  return api;
}

/** Our definitions as a server has them. */
export function definitions(): readonly CustomResourceDefinitionObject[] {
  return KINDS.map(
    (kind) => JSON.parse(JSON.stringify(customResourceDefinition(kind))) as CustomResourceDefinitionObject,
  );
}
