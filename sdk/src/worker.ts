/**
 * The worker: runs workflows and activities of a task queue in this process.
 */
import {
  ConnectionError,
  EngineWorker,
  OptionError,
  activityRegistry,
  resolveConnection,
} from "@memflow/engine";
import type { Invoke, WorkerLog, WorkerOptions as EngineWorkerOptions, WorkerStatus } from "@memflow/engine";
import { activityFunctions } from "./activity-functions.ts";
import { NAMESPACE_DEFAULT } from "./client.ts";
import type { ConnectionConfig } from "./connection.ts";
import { intercepted } from "./interceptors.ts";
import type { WorkflowFunction } from "./interceptors.ts";
import { checkName } from "./options.ts";
import type { WorkflowSearchOptions } from "./search-options.ts";

/** What a worker can be told; durations in milliseconds. */
export interface WorkerTuning {
  /**
   * The version of the code that this worker runs (default: none). On a queue whose builds are declared, it claims what is
   * its build's; elsewhere it claims all that no build has.
   */
  readonly buildId?: string | undefined;
  readonly maxConcurrentActivities?: number | undefined;
  readonly maxConcurrentRuns?: number | undefined;
  readonly maxCachedRuns?: number | undefined;
  /** Connections that the engine may open, 4 or more (default: as many as it likes, which is 8). */
  readonly maxConnections?: number | undefined;
  readonly deadAfterMs?: number | undefined;
  readonly beatMs?: number | undefined;
  readonly blockedLoopKillMs?: number | undefined;
  readonly pollMs?: number | undefined;
  readonly sweepMs?: number | undefined;
  readonly pruneMs?: number | undefined;
  /**
   * For tests of workflows: repeats each run from scratch after each activation and parks it when anything differs
   * (default false). Costs the square of a run's length.
   */
  readonly paranoid?: boolean | undefined;
  readonly log?: WorkerLog | undefined;
  readonly onFatal?: ((error: unknown) => void) | undefined;
  /** Accepted for MemFlow's sake; a start's `config` and a proxy's `retryPolicy` decide. */
  readonly logLevel?: string | undefined;
  readonly maximumAttempts?: number | undefined;
  readonly backoffCoefficient?: number | undefined;
  readonly maximumInterval?: string | undefined;
}

/** How a worker is made. */
export interface WorkerConfig {
  readonly connection: ConnectionConfig;
  /** The schema (default `memflow`). */
  readonly namespace?: string | undefined;
  readonly taskQueue: string;
  /** A workflow function, or functions by name; hooks are workflow functions too. */
  readonly workflow?: WorkflowFunction | Readonly<Record<string, unknown>> | undefined;
  /** Activities that this worker has besides those its workflows proxy. */
  readonly activities?: Readonly<Record<string, unknown>> | undefined;
  readonly options?: WorkerTuning | undefined;
  /** Accepted for MemFlow's sake: search data needs no declaration, and every incarnation has an id of its own. */
  readonly search?: WorkflowSearchOptions | undefined;
  readonly guid?: string | undefined;
}

interface SharedWorker {
  readonly engine: Promise<EngineWorker>;
  users: number;
}

const shared = new Map<string, SharedWorker>();

export class Worker {
  readonly #key: string;
  readonly #engine: EngineWorker;
  #stopped: Promise<void> | undefined;

  private constructor(key: string, engine: EngineWorker) {
    this.#key = key;
    this.#engine = engine;
  }

  /**
   * Begins to serve a task queue; settles when it does. Workers of one process, connection and namespace share one engine.
   *
   * @param config - Connection, queue, workflow functions.
   * @throws {ConnectionError} When the database can't be used; {SchemaError} when its schema doesn't fit; {OptionError} for
   *   bad options.
   *
   * @example
   * await Worker.create({
   *   connection: { class: Postgres, options: { connectionString } }, taskQueue: 'default', workflow: workflows.example,
   * });
   */
  static async create(config: WorkerConfig): Promise<Worker> {
    const taskQueue = checkName("taskQueue", config.taskQueue);
    const namespace = config.namespace ?? NAMESPACE_DEFAULT;
    const source = resolveConnection(config.connection);
    if (source.readonly) {
      throw new ConnectionError("BAD_CONNECTION", {
        message:
          "the worker's connection is readonly; a readonly connection may start and read runs, not execute them",
      });
    }
    const workflows = functionsOf(config.workflow, config.connection);
    if (workflows.size === 0 && config.activities === undefined) {
      throw new OptionError({
        field: "workflow",
        value: config.workflow,
        remedy: "give a workflow function, or an object of named functions",
      });
    }
    if (config.activities !== undefined)
      activityRegistry.register(Object.fromEntries(activityFunctions(config.activities, "activities")));
    const engineOptions: EngineWorkerOptions = {
      ...tuningOf(config.options ?? {}),
      source,
      schema: namespace,
    };
    const key = `${source.key} ${namespace} ${JSON.stringify(tuningOf(config.options ?? {}))}`;
    const entry = shared.get(key) ?? share(key, engineOptions);
    entry.users += 1;
    try {
      const engine = await entry.engine;
      await engine.serve(taskQueue, workflows);
      return new Worker(key, engine);
    } catch (error) {
      entry.users -= 1;
      if (entry.users === 0) await unshare(key, entry);
      throw error;
    }
  }

  /** MemFlow's form: a created worker is running already. */
  async run(): Promise<void> {
    await Promise.resolve();
  }

  /** What it is doing. */
  status(): WorkerStatus {
    return this.#engine.status;
  }

  /**
   * Stops serving: hands runs over at once and lets running activities end for `graceMs` (default 10,000). The last worker
   * of a shared engine stops it.
   */
  async shutdown(options: { readonly graceMs?: number } = {}): Promise<void> {
    this.#stopped ??= this.#stop(options);
    await this.#stopped;
  }

  /** Stops every worker of the process. */
  static async shutdown(options: { readonly graceMs?: number } = {}): Promise<void> {
    const engines = [...shared.values()].map(({ engine }) => engine);
    shared.clear();
    for (const engine of await Promise.allSettled(engines)) {
      if (engine.status === "fulfilled") await engine.value.shutdown(options);
    }
  }

  async #stop(options: { readonly graceMs?: number }): Promise<void> {
    const entry = shared.get(this.#key);
    if (entry !== undefined) {
      entry.users -= 1;
      if (entry.users > 0) return;
      shared.delete(this.#key);
    }
    await this.#engine.shutdown(options);
  }
}

/** Starts an engine that later workers share; one that can't go on is shared no more. */
function share(key: string, options: EngineWorkerOptions): SharedWorker {
  const onFatal = (error: unknown): void => {
    if (shared.get(key) === entry) shared.delete(key);
    options.onFatal?.(error);
  };
  const entry: SharedWorker = { engine: EngineWorker.start({ ...options, onFatal }), users: 0 };
  shared.set(key, entry);
  return entry;
}

/** Stops an engine that nobody uses after all. */
async function unshare(key: string, entry: SharedWorker): Promise<void> {
  if (shared.get(key) === entry) shared.delete(key);
  const [engine] = await Promise.allSettled([entry.engine]);
  if (engine.status === "fulfilled") await engine.value.shutdown({ graceMs: 0 });
}

/** Workflow functions by every name they are known by. */
function functionsOf(workflow: WorkerConfig["workflow"], connection: ConnectionConfig): Map<string, Invoke> {
  const functions = new Map<string, Invoke>();
  if (typeof workflow === "function") {
    functions.set(checkName("workflow.name", workflow.name), intercepted(workflow, connection));
    return functions;
  }
  for (const [key, value] of Object.entries(workflow ?? {})) {
    if (typeof value !== "function") continue;
    functions.set(key, intercepted(value as WorkflowFunction, connection));
    if (value.name !== "" && !functions.has(value.name))
      functions.set(value.name, intercepted(value as WorkflowFunction, connection));
  }
  return functions;
}

function tuningOf(options: WorkerTuning): Omit<EngineWorkerOptions, "source" | "schema"> {
  const {
    logLevel: _l,
    maximumAttempts: _a,
    backoffCoefficient: _b,
    maximumInterval: _i,
    ...tuning
  } = options;
  if (tuning.buildId !== undefined) checkName("options.buildId", tuning.buildId);
  return tuning;
}
