/**
 * Opens the gateway that a command means.
 *
 * Promises that nothing is kept: no credential is stored, logged or shown; and that credentials go to nobody but a gateway that
 * was verified, or to this machine itself.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { connect as connectPlain } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { GatewayClient } from "@memflow/gateway/client";
import type { Fetch } from "@memflow/gateway/client";
import type { CliIo } from "../cli/cli-io.ts";
import type { GlobalOptions } from "../cli/global-options.ts";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";
import type { GatewayConnection } from "./connection.ts";
import { findDevServer } from "./dev-server.ts";
import { chooseGateway } from "./gateway-target.ts";
import { makeHttpFetch } from "./http-fetch.ts";
import type { HttpFetch } from "./http-fetch.ts";

const NAMESPACE_WITHOUT_KUBERNETES = "default";

/** @throws {CommandError} When there is none, or it can't be trusted. */
export async function openGateway(options: GlobalOptions, io: CliIo): Promise<GatewayConnection> {
  const target = chooseGateway(options, io.environment, await findDevServer(io.folder));
  if (target.kind === "cluster") {
    const { openClusterGateway } = await import("./cluster-gateway.ts");
    return openClusterGateway(options, io);
  }
  const namespace = options.namespace ?? NAMESPACE_WITHOUT_KUBERNETES;
  const http = await fetchOf(new URL(target.server), options, io);
  return {
    client: new GatewayClient({ server: target.server, fetch: http.fetch }),
    namespace,
    store: options.store,
    description: target.kind === "dev" ? `memflow dev at ${target.server}` : target.server,
    cluster: undefined,
    fetchDocument: () => fetchDocument(target.server, http.fetch),
    close: () => http.close(),
  };
}

/** Reads the document that a gateway serves. */
export function fetchDocument(server: string, fetch: Fetch): Promise<Response> {
  return fetch(new URL("/openapi.json", server).href, {
    method: "GET",
    headers: { accept: "application/json" },
  });
}

/** The headers that say as whom one acts. */
export function impersonationHeaders(
  { as, asGroup }: Pick<GlobalOptions, "as" | "asGroup">,
  own?: string,
): Readonly<Record<string, string | readonly string[]>> {
  const user = as ?? own;
  if (user === undefined) {
    if (asGroup === undefined) return {};
    throw new CommandError(EXIT_CODES.usage, "--as-group goes with --as");
  }
  return {
    "impersonate-user": user,
    ...(asGroup === undefined ? {} : { "impersonate-group": asGroup }),
  };
}

/** Resolves once the other end is verified; rejects with why it is not. */
export function secured(options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls(options);
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
  });
}

async function fetchOf(server: URL, options: GlobalOptions, io: CliIo): Promise<HttpFetch> {
  const read = (file: string): Promise<string> => readText(file, io);
  const ca =
    options.certificateAuthority === undefined ? {} : { ca: await read(options.certificateAuthority) };
  const identity =
    options.clientCertificate === undefined || options.clientKey === undefined
      ? {}
      : { cert: await read(options.clientCertificate), key: await read(options.clientKey) };
  const host = server.hostname.replace(/^\[|\]$/gu, "");
  const isSecure = server.protocol === "https:";
  const port = server.port === "" ? (isSecure ? 443 : 80) : Number(server.port);
  const servername = /^[\d.:]+$/u.test(host) ? {} : { servername: host };
  return makeHttpFetch({
    dial: () => (isSecure ? secured({ host, port, ...servername, ...ca, ...identity }) : opened(host, port)),
    async headers() {
      const { tokenFile } = options;
      // Read for each request: whoever renews the file is followed.
      const token = tokenFile === undefined ? undefined : (await read(tokenFile)).trim();
      return {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...impersonationHeaders(options),
      };
    },
  });
}

function opened(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectPlain({ host, port });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
  });
}

async function readText(file: string, io: CliIo): Promise<string> {
  try {
    return await readFile(path.resolve(io.folder, file), "utf8");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new CommandError(EXIT_CODES.usage, `file "${file}" can't be read: ${code}`, cause);
  }
}
