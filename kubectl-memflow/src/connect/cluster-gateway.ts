/**
 * The gateway of a cluster, with the identity of the kubeconfig.
 *
 * A connection goes through the API server to a ready pod of the gateway's Service; inside it TLS, in which the gateway shows a
 * certificate of the authority in its ConfigMap. Only then does it see anything of the user: the token in a header, or the client
 * certificate in that TLS. Where a cluster takes no client certificates there, the user asks for a short-lived token of a service
 * account, if it may; that is said.
 */
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import {
  CONFIG_MAPS,
  findServicePods,
  KubeClient,
  KubeConfigError,
  NotFoundError,
  openPortForward,
  readUserCredentials,
  readUserKubeConfig,
} from "@memflow/operator/kube";
import type { ServicePod, UserCredentials, UserKubeConfig } from "@memflow/operator/kube";
import { GatewayClient } from "@memflow/gateway/client";
import type { Fetch } from "@memflow/gateway/client";
import type { CliIo } from "../cli/cli-io.ts";
import type { GlobalOptions } from "../cli/global-options.ts";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";
import type { GatewayConnection } from "./connection.ts";
import { makeHttpFetch } from "./http-fetch.ts";
import { fetchDocument, impersonationHeaders, secured } from "./open-gateway.ts";
import { certificatesAreRefused, requestFallbackToken } from "./fallback-token.ts";

const GATEWAY_NAMESPACE = "memflow";
const SERVICE = "memflow-gateway";
const PORT_NAME = "https";
const CA_CONFIG_MAP = "memflow-gateway-ca";
const CA_KEY = "ca.crt";
/** `<service>.<namespace>.svc`: what its certificate is verified for, and where its Service is. */
const NAME_KEY = "serverName";
const USER_AGENT = "kubectl-memflow";

/** @throws {CommandError} When the cluster has no gateway that can be reached and trusted. */
export async function openClusterGateway(options: GlobalOptions, io: CliIo): Promise<GatewayConnection> {
  const user = readConfig(options, io);
  const gatewayNamespace = options.gatewayNamespace ?? GATEWAY_NAMESPACE;
  const kube = new KubeClient({ kubeConfig: user.kubeConfig, userAgent: USER_AGENT });
  const gateway = new ClusterGateway({ user, kube, gatewayNamespace, options, io });
  const http = makeHttpFetch({ dial: () => gateway.dial(), headers: () => gateway.headers() });
  const server = `https://${SERVICE}.${gatewayNamespace}.svc`;
  const fetch = gateway.withFallback(http.fetch);
  return {
    client: new GatewayClient({ server, fetch }),
    namespace: options.namespace ?? user.namespace,
    store: options.store,
    description: `gateway in namespace "${gatewayNamespace}" of context "${user.context}"`,
    cluster: { kube, gatewayNamespace },
    fetchDocument: () => fetchDocument(server, fetch),
    async close() {
      await http.close();
      await kube.close();
    },
  };
}

function readConfig({ kubeconfig, context }: GlobalOptions, io: CliIo): UserKubeConfig {
  try {
    return readUserKubeConfig({ path: kubeconfig, context, variable: io.environment["KUBECONFIG"] });
  } catch (error) {
    if (!(error instanceof KubeConfigError)) throw error;
    throw new CommandError(EXIT_CODES.usage, `${error.message}; or name a gateway with --server`, error);
  }
}

/** What a gateway publishes of itself. */
interface Published {
  readonly ca: string;
  readonly serverName: string;
}

interface Parts {
  readonly user: UserKubeConfig;
  readonly kube: KubeClient;
  readonly gatewayNamespace: string;
  readonly options: GlobalOptions;
  readonly io: CliIo;
}

/** Connections to the gateway and what each request shows. */
class ClusterGateway {
  readonly #parts: Parts;
  #published: Promise<Published> | undefined;
  /** Of the service account; in memory alone. */
  #fallbackToken: string | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** A verified connection to one of the gateway's pods. */
  async dial(): Promise<TLSSocket> {
    const { user, gatewayNamespace } = this.#parts;
    this.#published ??= this.#readPublished();
    const { ca, serverName: servername } = await this.#published;
    const { certificate } = await this.#credentials();
    const socket = await this.#tunnel(servername.split(".")[0] ?? SERVICE);
    try {
      return await secured({
        socket,
        ca,
        servername,
        ...(certificate === undefined ? {} : certificate),
      });
    } catch (cause) {
      socket.destroy();
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new CommandError(
        EXIT_CODES.failure,
        `the gateway of context "${user.context}" is not to be trusted (${reason}): its certificate is not of the authority in ` +
          `ConfigMap "${CA_CONFIG_MAP}"; no credentials were sent\n` +
          `next: kubectl get configmap ${CA_CONFIG_MAP} -n ${gatewayNamespace} -o yaml`,
        cause,
      );
    }
  }

  async headers(): Promise<Readonly<Record<string, string | readonly string[]>>> {
    const { token, impersonateUser } = await this.#credentials();
    const shown = token ?? this.#fallbackToken;
    return {
      ...(shown === undefined ? {} : { authorization: `Bearer ${shown}` }),
      ...impersonationHeaders(this.#parts.options, impersonateUser),
    };
  }

  /** Where the gateway takes no certificates, and the user has nothing else: the service account's token, once. */
  withFallback(fetch: Fetch): Fetch {
    return async (url, init) => {
      const answer = await fetch(url, init);
      if (!certificatesAreRefused(answer) || this.#fallbackToken !== undefined) return answer;
      const { token, certificate } = await this.#credentials();
      if (token !== undefined || certificate === undefined) return answer;
      await answer.body?.cancel();
      this.#fallbackToken = await requestFallbackToken(this.#parts);
      return fetch(url, init);
    };
  }

  #credentials(): Promise<UserCredentials> {
    return readUserCredentials(this.#parts.user.kubeConfig);
  }

  /** To the first pod that can be reached. */
  async #tunnel(service: string): Promise<Duplex> {
    const { user } = this.#parts;
    let failure: unknown;
    for (const pod of await this.#pods(service)) {
      try {
        return await openPortForward(user.kubeConfig, pod);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  async #pods(name: string): Promise<readonly ServicePod[]> {
    const { kube, gatewayNamespace } = this.#parts;
    try {
      const service = { namespace: gatewayNamespace, name };
      const pods = await findServicePods(kube, { service, portName: PORT_NAME });
      if (pods.length > 0) return pods;
    } catch (error) {
      if (error instanceof NotFoundError) throw this.#missing(`Service "${name}"`, error);
      throw error;
    }
    throw new CommandError(
      EXIT_CODES.failure,
      `the gateway in namespace "${gatewayNamespace}" has no ready pod\n` +
        `next: kubectl get pods -n ${gatewayNamespace} -l app.kubernetes.io/component=gateway`,
    );
  }

  async #readPublished(): Promise<Published> {
    const { kube, gatewayNamespace } = this.#parts;
    const name = { namespace: gatewayNamespace, name: CA_CONFIG_MAP };
    const configMap = await kube.find(CONFIG_MAPS, name);
    const { [CA_KEY]: ca = "", [NAME_KEY]: serverName } = configMap?.data ?? {};
    if (ca === "") throw this.#missing(`ConfigMap "${CA_CONFIG_MAP}" with its authority`);
    return { ca, serverName: serverName ?? `${SERVICE}.${gatewayNamespace}.svc` };
  }

  #missing(what: string, cause?: unknown): CommandError {
    const { user, gatewayNamespace } = this.#parts;
    return new CommandError(
      EXIT_CODES.failure,
      `context "${user.context}" has no gateway in namespace "${gatewayNamespace}": no ${what}\n` +
        "next: name its namespace with --gateway-namespace, or install it: helm upgrade --install memflow charts/memflow",
      cause,
    );
  }
}
