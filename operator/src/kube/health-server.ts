/**
 * The HTTP server that the kubelet asks about the operator.
 *
 * `/healthz` answers as long as the main loop turns. `/readyz` answers 200 once all objects are known, and says `leader` or
 * `standby`: both are ready, so that a roll-out does not wait for the lease. Neither asks the API server: while it is away, no
 * restart would help. `/metrics` is served there too, or on a port of its own.
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
  /** Left out: neither `/healthz` nor `/readyz` is served. */
  readonly readiness?: () => Readiness;
  /** Left out: `/metrics` is not served. */
  readonly metrics?: MetricsSource | undefined;
}

/** What is to be scraped; a registry of prom-client is one. */
export interface MetricsSource {
  readonly contentType: string;
  metrics(): Promise<string>;
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
  metrics,
}: HealthServerOptions): Promise<HealthServer> {
  const app = express();
  app.disable("x-powered-by");
  if (readiness) serveHealth(app, readiness);
  if (metrics) {
    app.get("/metrics", async (_request, response) => {
      response.type(metrics.contentType).send(await metrics.metrics());
    });
  }
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

function serveHealth(app: express.Express, readiness: () => Readiness): void {
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
}
