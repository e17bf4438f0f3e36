/** A gateway that a command talks to. */
import type { GatewayClient } from "@memflow/gateway/client";
import type { Cluster } from "./cluster.ts";

/** @see openGateway */
export interface GatewayConnection {
  readonly client: GatewayClient;
  /** Kubernetes namespace that is meant; `default` without Kubernetes. */
  readonly namespace: string;
  readonly store: string | undefined;
  /** For a person. */
  readonly description: string;
  /** Undefined without Kubernetes. */
  readonly cluster: Cluster | undefined;
  /** Its OpenAPI document. */
  fetchDocument(): Promise<Response>;
  close(): Promise<void>;
}
