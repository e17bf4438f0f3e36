/**
 * One gateway process: its connections, who it asks, what it serves, its health and its end.
 *
 * Promises: health and metrics are served from the start, so that waiting for something is seen and is no crash; the API
 * is listened on once there is a certificate, and ready once the Stores are known; at the end it first says that it is not
 * ready, then tells who waits to come again, then closes what it opened.
 */
import type { RequestListener } from "node:http";
import { resolveConnection } from "@memflow/engine";
import { errorFields, KubeClient, sleep, startHealthServer, systemClock } from "@memflow/operator/kube";
import type { HealthServer, KubeClientOptions, Log, Readiness } from "@memflow/operator/kube";
import { ApiServer } from "./api-server.ts";
import { AccessReviewer } from "./auth/access-reviewer.ts";
import { makeAuditLog } from "./auth/audit-log.ts";
import { CertificateAuthenticator } from "./auth/certificate-authenticator.ts";
import { followClientAuthority } from "./auth/client-authority.ts";
import type { FollowedAuthority } from "./auth/client-authority.ts";
import { ClusterGatekeeper } from "./auth/cluster-gatekeeper.ts";
import type { Audit, Gatekeeper } from "./auth/index.ts";
import { KeyGatekeeper, LoopbackGatekeeper } from "./auth/static-gatekeepers.ts";
import { readKeysFile } from "./auth/static-keys.ts";
import { TokenAuthenticator } from "./auth/token-authenticator.ts";
import type { ClusterForm, GatewayConfig, PlainForm } from "./config.ts";
import { createGateway } from "./http/gateway.ts";
import { makeMetrics } from "./metrics.ts";
import type { GatewayMetrics } from "./metrics.ts";
import { ClusterStores } from "./stores/cluster-stores.ts";
import type { Stores } from "./stores/index.ts";
import { StaticStores } from "./stores/static-stores.ts";
import { publishAuthority } from "./tls/publish-authority.ts";
import { keepSelfMadeCertificate } from "./tls/self-made-certificate.ts";
import { CertificateKeeper, readCertificateFiles } from "./tls/serving-certificate.ts";
import type { ServingCertificate } from "./tls/serving-certificate.ts";

/** What a process is made of. */
export interface GatewayProcessOptions {
  readonly config: GatewayConfig;
  /** With the form of a cluster. */
  readonly kubeConfig?: KubeClientOptions["kubeConfig"] | undefined;
  readonly log: Log;
  /** Default: lines on standard output. */
  readonly audit?: Audit;
  /** Hears the ports once both are listened on. */
  readonly onListening?: (ports: GatewayPorts) => void;
}

/** Where the process listens. */
export interface GatewayPorts {
  readonly api: number;
  readonly health: number;
}

/** Whom it asks and what it serves, of either form. */
interface Parts {
  readonly stores: Stores;
  readonly gatekeeper: Gatekeeper;
  readonly clients: FollowedAuthority | undefined;
  /** Undefined: it is served in the clear. */
  readonly loadCertificate: (() => Promise<ServingCertificate>) | undefined;
  /** Tells others what to verify the certificate with. */
  readonly publish: (certificate: ServingCertificate) => Promise<void>;
  readonly lacking: () => string | undefined;
  readonly run: (signal: AbortSignal) => Promise<void>;
  close(): Promise<void>;
}

const USER_AGENT = "memflow-gateway";
/** A user waits for each answer about rights. */
const ATTEMPT_TIMEOUT_MS = 5_000;
const ATTEMPT_MAX = 2;
const CERTIFICATE_LOOK_MS = 60_000;
/** Kubelets renew mounted files within a minute. */
const FILES_LOOK_MS = 10_000;
const KEYS_LOOK_MS = 5_000;

/**
 * Runs a gateway until the signal aborts, and then to its end.
 *
 * @throws {HealthPortError} {ApiPortError} {KeysFileError}
 */
export async function runGateway(options: GatewayProcessOptions, signal: AbortSignal): Promise<void> {
  await new GatewayProcess(options, signal).run();
}

class GatewayProcess {
  readonly #options: GatewayProcessOptions;
  readonly #signal: AbortSignal;
  readonly #metrics: GatewayMetrics = makeMetrics();
  /** Comes when who waits is to be told to come again. */
  readonly #stopping = new AbortController();
  /** Comes when nothing is to be looked at any more. */
  readonly #ended = new AbortController();
  #parts: Parts | undefined;
  #isListening = false;

  constructor(options: GatewayProcessOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    const { config, onListening } = this.#options;
    const health = await this.#listenForHealth();
    try {
      const parts = await this.#makeParts();
      this.#parts = parts;
      const server = new ApiServer(this.#application(parts), parts.clients);
      const keeper = this.#certificateKeeper(parts, server);
      const work = Promise.all([parts.run(this.#ended.signal), keeper?.run(this.#ended.signal)]);
      try {
        await untilAborted(Promise.race([keeper?.taken ?? Promise.resolve(), failureOf(work)]), this.#signal);
        if (!this.#signal.aborted) {
          await server.listen(config);
          this.#isListening = true;
          onListening?.({ api: server.port ?? 0, health: health.port });
          await untilAborted(failureOf(work), this.#signal);
        }
      } finally {
        await this.#stop(server);
        this.#ended.abort();
        await work;
        await parts.close();
      }
    } finally {
      await health.close();
    }
  }

  #application({ stores, gatekeeper }: Parts): RequestListener {
    const { config, log, audit = makeAuditLog(config.audit) } = this.#options;
    return createGateway({
      stores,
      gatekeeper,
      audit,
      log,
      stopping: this.#stopping.signal,
      onAnswer: this.#metrics.answered,
    });
  }

  #listenForHealth(): Promise<HealthServer> {
    const { healthHost, healthPort } = this.#options.config;
    const readiness = (): Readiness => {
      const lacking = this.#lacking();
      return lacking === undefined ? { ready: true, text: "ready" } : { ready: false, text: lacking };
    };
    return startHealthServer({
      host: healthHost,
      port: healthPort,
      readiness,
      metrics: this.#metrics.registry,
    });
  }

  #lacking(): string | undefined {
    if (this.#signal.aborted) return "stops";
    if (this.#parts === undefined) return "begins";
    if (!this.#isListening) return "waits for its serving certificate";
    return this.#parts.lacking();
  }

  #certificateKeeper({ loadCertificate, publish }: Parts, server: ApiServer): CertificateKeeper | undefined {
    const { config, log } = this.#options;
    if (loadCertificate === undefined) return undefined;
    return new CertificateKeeper({
      load: loadCertificate,
      take: (certificate) => server.use(certificate),
      publish,
      periodMs: config.tlsFiles === undefined ? CERTIFICATE_LOOK_MS : FILES_LOOK_MS,
      clock: systemClock,
      log,
    });
  }

  async #stop(server: ApiServer): Promise<void> {
    const { stopDelayMs, drainMs } = this.#options.config;
    // Until those who send requests have learnt that this one stops.
    if (this.#isListening) await sleep(systemClock, stopDelayMs, this.#ended.signal);
    this.#stopping.abort(new Error("the gateway stops"));
    await server.close(drainMs);
  }

  #makeParts(): Promise<Parts> | Parts {
    const { form } = this.#options.config;
    return form.kind === "cluster" ? this.#clusterParts(form) : this.#plainParts(form);
  }

  #clusterParts(form: ClusterForm): Parts {
    const { config, kubeConfig, log } = this.#options;
    if (kubeConfig === undefined) throw new TypeError("a gateway of a cluster needs a kubeconfig");
    const client = new KubeClient({
      kubeConfig,
      userAgent: USER_AGENT,
      attemptTimeoutMs: ATTEMPT_TIMEOUT_MS,
      attemptMax: ATTEMPT_MAX,
      onAnswer: this.#metrics.told,
    });
    const clients = form.clientCertificates ? followClientAuthority(client, log) : undefined;
    const stores = new ClusterStores({ client, namespaces: form.watchNamespaces, log });
    this.#metrics.observe({ openStoreCount: () => stores.openCount, followed: () => stores.followed });
    const gatekeeper = new ClusterGatekeeper({
      tokens: new TokenAuthenticator(client, form.tokens),
      certificates: clients && new CertificateAuthenticator(clients, systemClock),
      rights: new AccessReviewer(client),
    });
    const { namespace, tlsNames: names } = form;
    const { tlsFiles } = config;
    clients?.start();
    stores.start();
    return {
      stores,
      gatekeeper,
      clients,
      loadCertificate: () =>
        tlsFiles === undefined
          ? keepSelfMadeCertificate({
              client,
              secret: { namespace, name: form.tlsSecret },
              names: [...names, ...LOCAL_NAMES],
            })
          : readCertificateFiles(tlsFiles),
      publish: ({ authority }) =>
        publishAuthority(client, { namespace, authority, serverName: names[0] ?? "" }),
      lacking: () => {
        if (!stores.synced) return "waits for the cluster's Stores";
        return clients?.synced === false ? "waits for the authority of client certificates" : undefined;
      },
      run: async () => {},
      close: async () => {
        await Promise.all([stores.close(), clients?.stop()]);
        await client.close();
      },
    };
  }

  async #plainParts(form: PlainForm): Promise<Parts> {
    const { config, log } = this.#options;
    const source = resolveConnection(form.databaseUrl, "MEMFLOW_GATEWAY_DATABASE_URL");
    const stores = new StaticStores([{ name: "main", schema: form.schema, source }], log);
    const { tlsFiles } = config;
    const keeper = form.keysFile === undefined ? undefined : await keepKeys(form.keysFile, log);
    this.#metrics.observe({ openStoreCount: () => 1, followed: () => [] });
    return {
      stores,
      gatekeeper: keeper?.gatekeeper ?? new LoopbackGatekeeper(),
      clients: undefined,
      loadCertificate: tlsFiles && (() => readCertificateFiles(tlsFiles)),
      publish: async () => {},
      lacking: () => undefined,
      run: keeper?.run ?? (async () => {}),
      close: () => stores.close(),
    };
  }
}

/** By which a port-forward reaches it. */
const LOCAL_NAMES: readonly string[] = ["localhost", "127.0.0.1", "::1"];

/** Keys of a file that is read again and again; the first time it must be good. */
async function keepKeys(
  path: string,
  log: Log,
): Promise<{ readonly gatekeeper: Gatekeeper; readonly run: (signal: AbortSignal) => Promise<void> }> {
  let keys = await readKeysFile(path);
  return {
    gatekeeper: new KeyGatekeeper(() => keys),
    run: async (signal) => {
      while (!signal.aborted) {
        await sleep(systemClock, KEYS_LOOK_MS, signal);
        try {
          keys = await readKeysFile(path);
        } catch (error) {
          log("error", "the keys can't be read, those before stay in force", errorFields(error));
        }
      }
    },
  };
}

/** Never resolves; rejects with the work. */
async function failureOf(work: Promise<unknown>): Promise<never> {
  await work;
  return new Promise(() => {});
}

/** Resolves when the signal aborts, or rejects with the work. */
async function untilAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>();
  const onAbort = (): void => aborted.resolve();
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
