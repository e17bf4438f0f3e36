/**
 * Decides which gateway a command means. Pure.
 *
 * In this order: `--server`; a cluster, when one is named on the command line; a `memflow dev` that runs in this folder; the cluster
 * of the kubeconfig.
 */
import type { GlobalOptions } from "../cli/global-options.ts";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";

/** A `memflow dev` that runs. */
export interface DevServer {
  readonly server: string;
}

/** A gateway. */
export type GatewayTarget =
  | { readonly kind: "address"; readonly server: string }
  | { readonly kind: "dev"; readonly server: string }
  | { readonly kind: "cluster" };

/** Holds the address of a gateway. */
const SERVER_VARIABLE = "MEMFLOW_SERVER";
const OPTIONS_OF_ADDRESS = [
  ["tokenFile", "--token-file"],
  ["certificateAuthority", "--certificate-authority"],
  ["clientCertificate", "--client-certificate"],
  ["clientKey", "--client-key"],
] as const;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/u;

/** @throws {CommandError} With exit code 2 when the options exclude each other or the address is wrong. */
export function chooseGateway(
  options: GlobalOptions,
  environment: Readonly<Record<string, string | undefined>>,
  dev: DevServer | undefined,
): GatewayTarget {
  const namesCluster =
    options.kubeconfig !== undefined ||
    options.context !== undefined ||
    options.gatewayNamespace !== undefined;
  const variable = environment[SERVER_VARIABLE];
  const server = options.server ?? (namesCluster || variable === "" ? undefined : variable);
  if (server !== undefined) {
    if (namesCluster)
      throw usage("--server and --kubeconfig, --context or --gateway-namespace exclude each other");
    return { kind: "address", server: checkAddress(server, options) };
  }
  const lonely = OPTIONS_OF_ADDRESS.find(([name]) => options[name] !== undefined);
  if (lonely !== undefined) throw usage(`${lonely[1]} goes with --server`);
  if (!namesCluster && dev !== undefined) return { kind: "dev", server: dev.server };
  return { kind: "cluster" };
}

function checkAddress(server: string, options: GlobalOptions): string {
  if (!URL.canParse(server) || !/^https?:$/u.test(new URL(server).protocol)) {
    throw usage(`--server "${server}" is no address: write it as https://gateway.example:8443`);
  }
  const { protocol, hostname } = new URL(server);
  const showsCredentials = options.tokenFile !== undefined || options.clientCertificate !== undefined;
  if (protocol === "http:" && showsCredentials && !LOOPBACK.test(hostname)) {
    throw usage(`--server "${server}" has no TLS: no credentials are sent to it; use https`);
  }
  if ((options.clientCertificate === undefined) !== (options.clientKey === undefined)) {
    throw usage("--client-certificate and --client-key go together");
  }
  return server;
}

function usage(message: string): CommandError {
  return new CommandError(EXIT_CODES.usage, message);
}
