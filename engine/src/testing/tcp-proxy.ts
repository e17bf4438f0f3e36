/**
 * A TCP proxy that breaks connections in the ways networks do.
 *
 * Promises that bytes pass unchanged until it is told otherwise. Knows nothing of Postgres.
 */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

/** Where the proxy leads. */
export interface ProxyTarget {
  readonly host: string;
  readonly port: number;
}

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** Made by `startTcpProxy`. */
export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #frozenNew = false;

  constructor(target: ProxyTarget) {
    this.#server = createServer((client) => this.#join(client, connect(target.port, target.host)));
  }

  /** The port that it listens on, at 127.0.0.1. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections that stand now. */
  get connectionCount(): number {
    return this.#pairs.size;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /**
   * Stops every byte both ways, and keeps the sockets open: half-open connections.
   *
   * @param options - `newToo`: connections that come later are as silent.
   */
  freeze(options: { readonly newToo?: boolean } = {}): void {
    this.#frozenNew = options.newToo ?? false;
    for (const pair of this.#pairs) stopBytes(pair);
  }

  /** Lets requests through and loses every answer from now on: what was asked for happens, and nobody hears of it. */
  loseAnswers(): void {
    for (const { server } of this.#pairs) {
      server.removeAllListeners("data");
      server.on("data", () => undefined);
    }
  }

  /** New connections pass again; frozen ones stay frozen. */
  thaw(): void {
    this.#frozenNew = false;
  }

  /** Cuts every connection. */
  cut(): void {
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #join(client: Socket, server: Socket): void {
    const pair: Pair = { client, server };
    this.#pairs.add(pair);
    client.on("data", (bytes) => server.write(bytes));
    server.on("data", (bytes) => client.write(bytes));
    const end = (): void => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    // A cut connection is what this proxy is for; the close that follows does the work.
    for (const socket of [client, server]) socket.on("error", () => undefined).on("close", end);
    if (this.#frozenNew) stopBytes(pair);
  }
}

/** Starts a proxy to `target` on a free port. */
export async function startTcpProxy(target: ProxyTarget): Promise<TcpProxy> {
  const proxy = new TcpProxy(target);
  await proxy.listen();
  return proxy;
}

function stopBytes({ client, server }: Pair): void {
  client.removeAllListeners("data").pause();
  server.removeAllListeners("data").pause();
}
