/**
 * One operator process: its connections, what it follows, its controllers, its health and its end.
 *
 * Promises: health and metrics are served from the start, so that waiting for something is seen and is no crash; nothing is
 * followed before the definitions of our kinds fit; whatever was opened is closed, Events that wait are sent first. What
 * controllers do is theirs.
 */
import type { OperatorConfig } from "./config.ts";
import { makeControllers } from "./controllers.ts";
import type { ControllerParts } from "./controllers.ts";
import { makeCrashPoint } from "./crash-points.ts";
import { inspectDefinitions } from "./definitions/installed-definitions.ts";
import { listFollowed, makeFollowed } from "./followed.ts";
import {
  errorFields,
  EventRecorder,
  KubeClient,
  OperatorRuntime,
  sleep,
  startHealthServer,
} from "./kube/index.ts";
import type { Controller, HealthServer, KubeClientOptions, Log, Readiness } from "./kube/index.ts";
import { makeMetrics } from "./metrics.ts";
import type { OperatorMetrics } from "./metrics.ts";
import { releaseObjectsAtUninstall } from "./release-objects.ts";
import { StoreConnections } from "./stores/store-connections.ts";

/** What a process is made of. */
export interface OperatorOptions {
  readonly config: OperatorConfig;
  readonly kubeConfig: KubeClientOptions["kubeConfig"];
  readonly log: Log;
  /** Hears the ports once they are listened on. */
  readonly onListening?: (ports: OperatorPorts) => void;
  /** For tests: others than the operator's own. */
  readonly controllers?: (parts: ControllerParts) => readonly Controller[];
  /** For tests: between two looks at what must be there before anything can begin (default 5,000). */
  readonly lookMs?: number;
}

/** Where the process listens; both are the same unless the configuration says otherwise. */
export interface OperatorPorts {
  readonly health: number;
  readonly metrics: number;
}

const LOOK_MS = 5_000;
/** For which Events that wait may still be sent at the end. */
const EVENTS_GRACE_MS = 2_000;
const RENEWAL_TIMEOUT_MS = 3_000;
/** Who reports in Events. */
const REPORTING_CONTROLLER = "memflow.io/operator";

/**
 * Runs the operator until the signal aborts, and then to its end.
 *
 * @throws {HealthPortError} When a port can't be used.
 */
export async function runOperator(options: OperatorOptions, signal: AbortSignal): Promise<void> {
  await new OperatorProcess(options, signal).run();
}

class OperatorProcess {
  readonly #options: OperatorOptions;
  readonly #signal: AbortSignal;
  readonly #metrics: OperatorMetrics = makeMetrics();
  readonly #client: KubeClient;
  #runtime: OperatorRuntime | undefined;
  #waitsFor = "the API server was not asked yet";

  constructor(options: OperatorOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#client = new KubeClient({ kubeConfig: options.kubeConfig, onAnswer: this.#metrics.answered });
  }

  async run(): Promise<void> {
    const servers = await this.#listen();
    try {
      await this.#untilDone("the definitions of our kinds", () => this.#definitionsFit());
      if (!this.#signal.aborted) await this.#runControllers();
    } finally {
      await this.#client.close();
      await Promise.all(servers.map((server) => server.close()));
    }
  }

  async #listen(): Promise<readonly HealthServer[]> {
    const { config, onListening } = this.#options;
    const { host, port, metricsPort } = config;
    const { registry } = this.#metrics;
    const isShared = metricsPort === undefined || (metricsPort === port && port !== 0);
    const readiness = (): Readiness =>
      this.#runtime?.readiness ?? { ready: false, text: `waits for ${this.#waitsFor}` };
    const health = await startHealthServer({
      host,
      port,
      readiness,
      metrics: isShared ? registry : undefined,
    });
    const servers = [health];
    if (!isShared) {
      try {
        servers.push(await startHealthServer({ host, port: metricsPort, metrics: registry }));
      } catch (error) {
        await health.close();
        throw error;
      }
    }
    onListening?.({ health: health.port, metrics: (servers[1] ?? health).port });
    return servers;
  }

  /** Looks again and again: what is not there yet may come, and no restart would bring it sooner. */
  async #untilDone<Result>(
    what: string,
    look: () => Promise<Result | undefined>,
  ): Promise<Result | undefined> {
    const { log, lookMs = LOOK_MS } = this.#options;
    this.#waitsFor = what;
    while (!this.#signal.aborted) {
      try {
        const found = await look();
        if (found !== undefined) return found;
      } catch (error) {
        if (this.#signal.aborted) break;
        this.#waitsFor = `${what}: ${error instanceof Error ? error.message : String(error)}`;
        log("warn", "the API server can't be asked, trying again", { what, ...errorFields(error) });
      }
      await sleep(this.#client.clock, lookMs, this.#signal);
    }
    return undefined;
  }

  async #definitionsFit(): Promise<true | undefined> {
    const { log } = this.#options;
    const state = await inspectDefinitions(this.#client, this.#signal);
    if (state.kind === "Lacking") {
      this.#waitsFor = state.message;
      log("error", "waits for the definitions of our kinds", { reason: state.message });
      return undefined;
    }
    if (state.kind === "Unknown") {
      log("warn", "the role may not read the definitions of our kinds: their version is not checked", {
        reason: state.message,
      });
    }
    return true;
  }

  async #runControllers(): Promise<void> {
    const { config, log } = this.#options;
    const followed = await this.#untilDone("an answer about the rights of our role", () =>
      makeFollowed({ client: this.#client, namespaces: config.watchNamespaces, log, signal: this.#signal }),
    );
    if (!followed) return;
    const events = new EventRecorder({
      client: this.#client,
      controller: REPORTING_CONTROLLER,
      instance: config.podName,
      log,
    });
    const stores = new StoreConnections(log);
    const crashPoint = makeCrashPoint(config.crashAt, log);
    const parts: ControllerParts = {
      client: this.#client,
      followed,
      stores,
      events,
      scalingGauges: this.#metrics.scalingGauges,
      log,
      clock: this.#client.clock,
      resyncMs: config.resyncMs,
      workerImage: config.workerImage,
      operator: { namespace: config.namespace, podName: config.podName },
      crashPoint,
    };
    const runtime = this.#makeRuntime(parts);
    this.#runtime = runtime;
    this.#metrics.observe({
      isLeading: () => runtime.isLeading,
      queueStates: () => runtime.queueStates,
      followed: () => listFollowed(followed),
      droppedEventCount: () => events.droppedCount,
    });
    try {
      await runtime.run(this.#signal);
      const { namespace, watchNamespaces } = config;
      await releaseObjectsAtUninstall({ client: this.#client, namespace, watchNamespaces, log });
    } finally {
      await Promise.all([events.stop(EVENTS_GRACE_MS), stores.close()]);
    }
  }

  #makeRuntime(parts: ControllerParts): OperatorRuntime {
    const { config, kubeConfig, log, controllers = makeControllers } = this.#options;
    const { leaseName, namespace, podName, times, drainMs } = config;
    return new OperatorRuntime({
      controllers: controllers(parts),
      followed: listFollowed(parts.followed),
      client: this.#client,
      election: {
        kubeConfig,
        lease: { namespace, name: leaseName },
        name: podName,
        times: { ...times, attemptTimeoutMs: renewalTimeoutMs(times) },
      },
      log,
      drainMs,
      onReconciled: this.#metrics.reconciled,
      passing: parts.crashPoint,
    });
  }
}

/** So that one renewal that hangs leaves time for another. */
function renewalTimeoutMs({ renewDeadlineMs, renewMs, retryMs }: OperatorConfig["times"]): number {
  return Math.min(RENEWAL_TIMEOUT_MS, Math.floor((renewDeadlineMs - renewMs - retryMs) / 2));
}
