/**
 * The HTTP server that a cluster asks about a worker.
 *
 * `/healthz` answers as long as the main loop turns. `/readyz` answers 200 while the database is reachable and the worker
 * claims, else 503 with the reason. `/metrics` is for Prometheus. It serves nothing of the runs themselves.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import express from "express";
import type { Registry } from "prom-client";

/** Whether the worker serves its queue now. */
export interface Readiness {
  readonly ready: boolean;
  /** Why not. */
  readonly reason?: string;
}

/** What the server listens on and asks. */
export interface HealthServerOptions {
  /** Undefined: every address. */
  readonly host: string | undefined;
  /** 0: any. */
  readonly port: number;
  readonly metrics: Registry;
  readonly readiness: () => Promise<Readiness>;
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
    super(
      `health port ${port} can't be used (${(cause as NodeJS.ErrnoException).code ?? String(cause)}): set MEMFLOW_PORT`,
      {
        cause,
      },
    );
    this.name = "HealthPortError";
    this.port = port;
  }
}

/**
 * Starts the server.
 *
 * @throws {HealthPortError} When the port is taken or not allowed.
 */
export async function startHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const server = createServer(makeApp(options));
  try {
    server.listen(options.port, options.host);
    await once(server, "listening");
  } catch (cause) {
    throw new HealthPortError(options.port, cause);
  }
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : options.port,
    close: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function makeApp({ metrics, readiness }: HealthServerOptions): express.Express {
  const app = express();
  app.disable("x-powered-by");
  app.get("/healthz", (_request, response) => {
    response.type("text").send("ok\n");
  });
  app.get("/readyz", async (_request, response) => {
    const { ready, reason } = await readiness();
    response
      .status(ready ? 200 : 503)
      .type("text")
      .send(ready ? "ok\n" : `${reason ?? "not ready"}\n`);
  });
  app.get("/metrics", async (_request, response) => {
    response.type(metrics.contentType).send(await metrics.metrics());
  });
  return app;
}
