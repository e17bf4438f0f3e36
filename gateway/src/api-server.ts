/**
 * The server of the API: HTTPS with certificates that change while it runs, or plain HTTP on this machine.
 *
 * Promises that connections begin with the certificate and the client authorities that are known then; that nothing is
 * listened on before there is a certificate; and an end that lets requests under way come to theirs.
 */
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import type { RequestListener, Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { Server as HttpsServer, ServerOptions } from "node:https";
import type { AddressInfo } from "node:net";
import { createSecureContext } from "node:tls";
import type { SecureContextOptions } from "node:tls";
import type { ClientAuthority } from "./auth/client-authority.ts";
import type { ServingCertificate } from "./tls/serving-certificate.ts";

/** The port can't be listened on. */
export class ApiPortError extends Error {
  readonly code = "API_PORT";

  constructor(port: number, cause: unknown) {
    super(`port ${port} can't be used (${(cause as Error).message}): choose another one`, { cause });
    this.name = "ApiPortError";
  }
}

/** Above the idle limits of common load balancers, so that it is they who close. */
const KEEP_ALIVE_MS = 75_000;
const REQUEST_MS_MAX = 60_000;
const CONNECTIONS_MAX = 10_000;

/** A server that is listened on, or will be. */
export class ApiServer {
  readonly #listener: RequestListener;
  readonly #clients: ClientAuthority | undefined;
  #server: Server | HttpsServer | undefined;
  #certificate: ServingCertificate | undefined;

  /**
   * @param clients - Whose client certificates are asked for; undefined: none are.
   */
  constructor(listener: RequestListener, clients?: ClientAuthority) {
    this.#listener = listener;
    this.#clients = clients;
    clients?.onChange(() => this.#renew());
  }

  /** Undefined before `listen`. */
  get port(): number | undefined {
    return (this.#server?.address() as AddressInfo | null | undefined)?.port;
  }

  /**
   * Uses a certificate: for the first connections, or from now on.
   *
   * @throws {Error} When certificate and key don't fit.
   */
  use(certificate: ServingCertificate): void {
    const before = this.#certificate;
    this.#certificate = certificate;
    try {
      this.#renew();
    } catch (error) {
      this.#certificate = before;
      throw error;
    }
  }

  /** @throws {ApiPortError} When the port is taken or not allowed. */
  async listen(place: { readonly host: string | undefined; readonly port: number }): Promise<void> {
    const server = this.#make();
    server.keepAliveTimeout = KEEP_ALIVE_MS;
    server.requestTimeout = REQUEST_MS_MAX;
    server.maxConnections = CONNECTIONS_MAX;
    this.#server = server;
    try {
      server.listen(place.port, place.host);
      await once(server, "listening");
    } catch (cause) {
      throw new ApiPortError(place.port, cause);
    }
  }

  /** Takes no connection any more, and waits for the requests under way, but no longer than this. */
  async close(drainMs: number): Promise<void> {
    const server = this.#server;
    if (server?.listening !== true) return;
    const closed = once(server, "close");
    server.close();
    const timer = setTimeout(() => server.closeAllConnections(), drainMs);
    await closed;
    clearTimeout(timer);
  }

  #make(): Server | HttpsServer {
    if (this.#certificate === undefined) return createHttpServer(this.#listener);
    const options: ServerOptions = {
      ...this.#secureContext(this.#certificate),
      // Who has no certificate, or one that is not taken, is told so by an answer.
      requestCert: this.#clients !== undefined,
      rejectUnauthorized: false,
    };
    return createHttpsServer(options, this.#listener);
  }

  #secureContext({ cert, key }: ServingCertificate): SecureContextOptions {
    const authorities = this.#clients?.certificates.map((one) => one.toString()) ?? [];
    return {
      cert,
      key,
      // Never those of the web: Node takes them where it is told of none.
      ca: authorities.length === 0 ? cert : [...authorities],
      minVersion: "TLSv1.2",
    };
  }

  #renew(): void {
    if (this.#certificate === undefined) return;
    const context = this.#secureContext(this.#certificate);
    // Throws where certificate and key don't fit, also before anything is listened on.
    createSecureContext(context);
    if (this.#server === undefined || !("setSecureContext" in this.#server)) return;
    this.#server.setSecureContext(context);
    // What idles comes back with the new ones.
    this.#server.closeIdleConnections();
  }
}
