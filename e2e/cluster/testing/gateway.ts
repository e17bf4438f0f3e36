/**
 * The gateway that a scenario installed, as its clients reach it: over TLS, verified with what it publishes.
 *
 * Only where Services are reached by their addresses.
 */
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import type { V1Service } from "@kubernetes/client-node";
import { CONFIG_MAPS, namespaced } from "@memflow/operator/kube";
import type { Wire } from "@memflow/operator/kube";
import type { ScenarioBench } from "./scenario-bench.ts";
import type { ClientCertificate } from "./users.ts";

/** One request. */
export interface GatewayCall {
  /** Below the path of the scenario's namespace: `/runs`. */
  readonly path: string;
  /** Sent by POST; left out: GET. */
  readonly body?: unknown;
  readonly certificate?: ClientCertificate;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Its answer. */
export interface GatewayAnswer {
  readonly status: number;
  readonly requestId: string;
  /** What the operation answers. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** @see reachGateway */
export interface ReachedGateway {
  ask(call: GatewayCall): Promise<GatewayAnswer>;
}

const SERVICES = namespaced<Wire<V1Service>>("v1", "Service", "services");
const NAME = "memflow-gateway";

/** Reads what it publishes, and where it is. */
export async function reachGateway(bench: ScenarioBench): Promise<ReachedGateway> {
  const { client, namespace } = bench;
  const published = await client.get(CONFIG_MAPS, { namespace, name: "memflow-gateway-ca" });
  const service = await client.get(SERVICES, { namespace, name: NAME });
  const { "ca.crt": ca = "", serverName: servername = "" } = published.data ?? {};
  const host = service.spec?.clusterIP ?? "";
  return {
    async ask({ path, body, certificate, token, headers }) {
      // Each on a connection of its own, so that all gateways are met.
      const agent = new Agent({ ca, servername, ...certificate });
      const sent = request({
        agent,
        servername,
        host,
        port: 443,
        path: `/v1/namespaces/${namespace}${path}`,
        method: body === undefined ? "GET" : "POST",
        headers: {
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...headers,
        },
      });
      sent.end(body === undefined ? undefined : JSON.stringify(body));
      const [response] = (await once(sent, "response")) as [IncomingMessage];
      const chunks: Buffer[] = [];
      for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
      agent.destroy();
      return {
        status: response.statusCode ?? 0,
        requestId: String(response.headers["x-request-id"]),
        body: JSON.parse(Buffer.concat(chunks).toString("utf8")) as Readonly<Record<string, unknown>>,
      };
    },
  };
}
