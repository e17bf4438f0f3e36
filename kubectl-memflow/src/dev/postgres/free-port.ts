/** Finds a TCP port on the loopback address; whoever uses it must still be ready to lose it to someone quicker. */
import { createServer } from "node:net";

/** The only address that the embedded Postgres listens on. */
export const LOOPBACK = "127.0.0.1";

/** `wanted` when it is free (0 or undefined: none is wanted), else any free port. */
export async function findFreePort(wanted: number | undefined): Promise<number> {
  if (wanted !== undefined && wanted !== 0) {
    const port = await tryPort(wanted);
    if (port !== undefined) return port;
  }
  const port = await tryPort(0);
  if (port === undefined) throw new Error(`no free port on ${LOOPBACK}`);
  return port;
}

async function tryPort(port: number): Promise<number | undefined> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE" || error.code === "EACCES") resolve(undefined);
      else reject(error);
    });
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : undefined));
    });
  });
}
