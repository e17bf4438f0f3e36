/**
 * The pods behind a Service, and the port of each: what a Service's own address would reach.
 *
 * Ready pods only, those that are going away left out, in an order of chance: many callers share the load.
 */
import type { V1Service } from "@kubernetes/client-node";
import type { CallOptions, KubeClient } from "./kube-client.ts";
import { PODS } from "./kubernetes-kinds.ts";
import type { Pod } from "./kubernetes-kinds.ts";
import { namespaced } from "./resource-type.ts";
import type { ResourceType } from "./resource-type.ts";
import type { ObjectName, Wire } from "./wire.ts";

export type Service = Wire<V1Service>;

export const SERVICES: ResourceType<Service> = namespaced("v1", "Service", "services");

/** One pod of a Service. */
export interface ServicePod {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
}

/** Which port of the Service. */
export interface ServicePortQuestion {
  readonly service: ObjectName;
  /** Its name (default: the Service's first). */
  readonly portName?: string | undefined;
  readonly random?: () => number;
}

/**
 * Finds them.
 *
 * @throws {NotFoundError} When there is no such Service; {ForbiddenError} when it, or pods, may not be read.
 */
export async function findServicePods(
  client: KubeClient,
  { service, portName, random = Math.random }: ServicePortQuestion,
  options: CallOptions = {},
): Promise<readonly ServicePod[]> {
  const { spec } = await client.get(SERVICES, service, options);
  const ports = spec?.ports ?? [];
  const port = ports.find(({ name }) => name === portName) ?? ports[0];
  const selector = Object.entries(spec?.selector ?? {});
  if (port === undefined || selector.length === 0) return [];
  const labelSelector = selector.map(([key, value]) => `${key}=${value}`).join(",");
  const { items } = await client.list(PODS, { namespace: service.namespace, labelSelector, ...options });
  return items
    .filter(isReady)
    .flatMap((pod) => {
      const number = portNumber(pod, port.targetPort ?? port.port);
      const { name = "", namespace = "" } = pod.metadata ?? {};
      return number === undefined ? [] : [{ namespace, pod: name, port: number, order: random() }];
    })
    .toSorted((one, other) => one.order - other.order)
    .map(({ order: _order, ...pod }) => pod);
}

function isReady({ metadata, status }: Pod): boolean {
  if (metadata?.deletionTimestamp !== undefined) return false;
  return status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") === true;
}

/** A target port is a number or the name of a container's port. */
function portNumber({ spec }: Pod, target: unknown): number | undefined {
  if (typeof target === "number") return target;
  const ports = spec?.containers.flatMap((container) => container.ports ?? []) ?? [];
  return ports.find(({ name }) => name === target)?.containerPort;
}
