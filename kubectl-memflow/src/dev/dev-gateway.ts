/**
 * The gateway of `memflow dev`, in this process and for this machine alone: the Stores of the manifests, in namespace `default`.
 *
 * It says in the data folder where it is, for `kubectl memflow` in the folder above.
 */
import { createServer } from "node:http";
import type { Server } from "node:http";
import { resolveConnection, StoreClient } from "@memflow/engine";
import { createGateway, LoopbackGatekeeper, StoreAmbiguousError, StoreNotFoundError } from "@memflow/gateway";
import type { StoreEntry, Stores } from "@memflow/gateway";
import { announceDevServer, lastDevServer, withdrawDevServer } from "../connect/dev-server.ts";
import type { StorePlan } from "./store-plan.ts";
import { findFreePort, LOOPBACK } from "./postgres/free-port.ts";

/** What it needs. */
export interface DevGatewayOptions {
  readonly dataDir: string;
  readonly databaseUrl: string;
  readonly stores: readonly StorePlan[];
  /** The last decision on a queue. */
  readonly scalingOf: (taskQueue: string) => Readonly<Record<string, unknown>> | undefined;
  /** Hears of what went wrong inside. */
  readonly onNotice: (notice: string) => void;
}

const NAMESPACE = "default";

/** @see DevGatewayOptions */
export class DevGateway {
  readonly url: string;
  readonly #options: DevGatewayOptions;
  readonly #server: Server;
  readonly #stopping: AbortController;
  readonly #stores: DevStores;

  /** Starts it, on the port of last time when that is free. */
  static async start(options: DevGatewayOptions): Promise<DevGateway> {
    const stores = new DevStores(options);
    const stopping = new AbortController();
    const app = createGateway({
      stores,
      gatekeeper: new LoopbackGatekeeper(),
      // Whoever asks is whoever started it.
      audit: { record: () => undefined },
      log: (level, message, facts) => {
        if (level === "error") options.onNotice(`gateway: ${message} ${JSON.stringify(facts)}`);
      },
      stopping: stopping.signal,
    });
    const last = await lastDevServer(options.dataDir);
    const port = await findFreePort(last === undefined ? undefined : Number(new URL(last.server).port));
    const server = createServer(app);
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, LOOPBACK, resolve);
    });
    const url = `http://${LOOPBACK}:${port}`;
    await announceDevServer(options.dataDir, url);
    return new DevGateway({ url, options, server, stopping, stores });
  }

  private constructor(parts: {
    readonly url: string;
    readonly options: DevGatewayOptions;
    readonly server: Server;
    readonly stopping: AbortController;
    readonly stores: DevStores;
  }) {
    this.url = parts.url;
    this.#options = parts.options;
    this.#server = parts.server;
    this.#stopping = parts.stopping;
    this.#stores = parts.stores;
  }

  /** Takes the definitions of changed manifests. */
  replan(stores: readonly StorePlan[]): void {
    this.#stores.replan(stores);
  }

  /** The database has another address. */
  async moveTo(databaseUrl: string): Promise<void> {
    await this.#stores.moveTo(databaseUrl);
  }

  /** Ends streams and waits, then its connections. */
  async stop(): Promise<void> {
    await withdrawDevServer(this.#options.dataDir);
    this.#stopping.abort();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeIdleConnections();
    this.#server.closeAllConnections();
    await closed;
    await this.#stores.close();
  }
}

/** The Stores of the manifests. */
class DevStores implements Stores {
  readonly #options: DevGatewayOptions;
  #plans: readonly StorePlan[];
  #databaseUrl: string;
  #clients = new Map<string, Promise<StoreClient>>();

  constructor(options: DevGatewayOptions) {
    this.#options = options;
    this.#plans = options.stores;
    this.#databaseUrl = options.databaseUrl;
  }

  async resolve(namespace: string, store?: string): Promise<StoreEntry> {
    const plans = this.#plansOf(namespace).filter(({ name }) => store === undefined || name === store);
    const [only] = plans;
    if (only === undefined) throw new StoreNotFoundError(namespace, store);
    if (plans.length > 1)
      throw new StoreAmbiguousError(
        namespace,
        plans.map(({ name }) => name),
      );
    return this.#entry(only);
  }

  async list(namespace: string): Promise<readonly StoreEntry[]> {
    return Promise.all(this.#plansOf(namespace).map((plan) => this.#entry(plan)));
  }

  replan(plans: readonly StorePlan[]): void {
    this.#plans = plans;
  }

  async moveTo(databaseUrl: string): Promise<void> {
    this.#databaseUrl = databaseUrl;
    await this.close();
  }

  async close(): Promise<void> {
    const clients = [...this.#clients.values()];
    this.#clients = new Map();
    for (const client of await Promise.allSettled(clients)) {
      if (client.status === "fulfilled") await client.value.close();
    }
  }

  #plansOf(namespace: string): readonly StorePlan[] {
    return namespace === NAMESPACE ? this.#plans : [];
  }

  async #entry({ name, schema, workflows, queues }: StorePlan): Promise<StoreEntry> {
    return {
      namespace: NAMESPACE,
      name,
      client: await this.#client(schema),
      workflows: () => workflows,
      workflowOf: (type, taskQueue) => {
        const ofType = workflows.filter(({ workflowName }) => workflowName === type);
        const onQueue = ofType.find((definition) => definition.taskQueue === taskQueue);
        return onQueue ?? (ofType.length === 1 ? ofType[0] : undefined);
      },
      queues: () =>
        queues.map((queue) => {
          const scaling = this.#options.scalingOf(queue.taskQueue);
          return scaling === undefined ? queue : { ...queue, scaling };
        }),
    };
  }

  #client(schema: string): Promise<StoreClient> {
    let client = this.#clients.get(schema);
    if (client === undefined) {
      client = StoreClient.open(resolveConnection(this.#databaseUrl), schema);
      this.#clients.set(schema, client);
      // The next who asks tries anew.
      client.catch(() => this.#clients.delete(schema));
    }
    return client;
  }
}
