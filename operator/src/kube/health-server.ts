/**
 * The HTTP server that the kubelet asks about the operator.
 *
 * `/healthz` answers as long as the main loop turns. `/readyz` answers 200 once all objects are known, and says `leader` or
 * `standby`: both are ready, so that a roll-out does not wait for the lease. Neither asks the API server: while it is away, no
 * restart would help.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";

/** What the operator says of itself. */
export interface Readiness {
  readonly ready: boolean;
  /** `leader`, `standby`, or what is lacking. */
  readonly text: string;
}

/** What the server listens on and asks. */
export interface HealthServerOptions {
  /** Undefined: every address. */
  readonly host?: string | undefined;
  /** 0: any. */
  readonly port: number;
  readonly readiness: () => Readiness;
}

/** A listening server. */
export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/** The port can't be listened on. */
export class HealthPortError extends Error {
  readonly code = "HEALTH_PORT";
  readonly port: number;

  constructor(port: number, cause: unknown) {
    super(`health port ${port} can't be used (${(cause as Error).message}): choose another one`, { cause });
    this.name = "HealthPortError";
    this.port = port;
  }
}

/**
 * Starts the server.
 *
 * @throws {HealthPortError} When the port is taken or not allowed.
 */
export async function startHealthServer({
  host,
  port,
  readiness,
}: HealthServerOptions): Promise<HealthServer> {
  const app = express();
  app.disable("x-powered-by");
  app.get("/healthz", (_request, response) => {
    response.type("text").send("ok\n");
  });
  app.get("/readyz", (_request, response) => {
    const { ready, text } = readiness();
    response
      .status(ready ? 200 : 503)
      .type("text")
      .send(`${text}\n`);
  });
  const server = createServer(app);
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (cause) {
    throw new HealthPortError(port, cause);
  }
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
