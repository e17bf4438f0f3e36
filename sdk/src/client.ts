/**
 * The client: starts runs and reaches them.
 */
import { OptionError, encodePayload, newId, parseDurationMs, resolveConnection } from "@memflow/engine";
import type { ConnectionSource, RunDescription, SignalReceipt, StoreClient } from "@memflow/engine";
import type { ConnectionConfig } from "./connection.ts";
import { guid } from "./guid.ts";
import { WorkflowHandle } from "./handle.ts";
import type { HookOptions } from "./workflow/index.ts";
import { checkName, checkStart } from "./options.ts";
import type { WorkflowOptions } from "./options.ts";
import { hookOf } from "./outside-hook.ts";
import { sharedClient } from "./shared-clients.ts";

/** The namespace when none is given. */
export const NAMESPACE_DEFAULT = "memflow";

/** MemFlow's client. Connects with its first call; `MemFlow.shutdown()` closes it. */
export class Client {
  readonly workflow: WorkflowClient;
  readonly connection: ConnectionConfig;
  readonly #source: ConnectionSource;
  readonly #namespace: string;

  /**
   * @param config - `connection` as `{ class, options }`, a connection string or a pool; `namespace` is the schema
   *   (default `memflow`).
   * @throws {ConnectionError} `BAD_CONNECTION` when the connection can't be understood.
   *
   * @example
   * const client = new Client({ connection: { class: Postgres, options: { connectionString } } });
   */
  constructor(config: { readonly connection: ConnectionConfig; readonly namespace?: string | undefined }) {
    this.connection = config.connection;
    this.#source = resolveConnection(config.connection);
    this.#namespace = config.namespace ?? NAMESPACE_DEFAULT;
    this.workflow = new WorkflowClient(this.#source, this.#namespace);
  }

  /**
   * The engine's client of a namespace: what the static calls of `Entity` take.
   *
   * @param _taskQueue - Accepted for MemFlow's sake: one engine client serves all queues of a namespace.
   * @param namespace - Default: this client's.
   * @throws {ConnectionError} When the database can't be used; {SchemaError} when its schema doesn't fit.
   *
   * @example
   * const engine = await client.getHotMeshClient(null, 'memflow');
   */
  async getHotMeshClient(_taskQueue?: string | null, namespace?: string): Promise<StoreClient> {
    return await sharedClient(this.#source, namespace ?? this.#namespace);
  }

  /**
   * Makes a namespace ready: its schema with all migrations, where the role may. Clients and workers do so with their first
   * call; this is for deploy scripts.
   *
   * @param namespace - Default: this client's.
   * @param _version - Accepted for MemFlow's sake: a schema has the version of the code that made it.
   * @throws {ConnectionError} When the database can't be used; {SchemaError} when the schema is newer than this code.
   *
   * @example
   * await client.deployAndActivate('memflow', '5');
   */
  async deployAndActivate(namespace?: string, _version?: string): Promise<void> {
    await sharedClient(this.#source, namespace ?? this.#namespace);
  }
}

/** What a list of runs is narrowed by. */
export interface ListFilter {
  readonly status?: string | undefined;
  readonly workflowName?: string | undefined;
  readonly taskQueue?: string | undefined;
  readonly namespace?: string | undefined;
  /** A run id: only runs started before it. */
  readonly before?: string | undefined;
  /** 1 to 1,000 (default 50). */
  readonly limit?: number | undefined;
}

/** Starts, finds and signals runs. */
export class WorkflowClient {
  readonly #source: ConnectionSource;
  readonly #namespace: string;

  /** Made by `Client`. */
  constructor(source: ConnectionSource, namespace: string) {
    this.#source = source;
    this.#namespace = namespace;
  }

  /**
   * Starts a run; settles once it is recorded. No worker needs to live.
   *
   * @param options - Queue, name and arguments. `args` must be JSON values, 2 MiB at most.
   * @returns The run's handle.
   * @throws {DuplicateJobError} When an open run has the workflow id; {OptionError} and {PayloadError} for bad options.
   *
   * @example
   * const handle = await client.workflow.start({
   *   args: ['input data'], taskQueue: 'default', workflowName: 'example', workflowId: MemFlow.guid(),
   * });
   */
  async start(options: WorkflowOptions): Promise<WorkflowHandle> {
    const checked = checkStart(options);
    const workflowId =
      options.workflowId === undefined ? guid() : checkName("workflowId", options.workflowId);
    const client = await this.#client(options.namespace);
    const { taskQueue, workflowName, pendingSeconds } = checked;
    const request = {
      runId: newId(),
      workflowId,
      workflowName,
      taskQueue,
      input: checked.input,
      options: checked.options,
      retentionSeconds: checked.retentionSeconds,
      entityType: checked.entityType,
      search: checked.search,
    };
    const runId =
      pendingSeconds === null
        ? await client.start({ ...request, buildId: checked.buildId, delayMs: checked.delayMs })
        : await client.reserve({ ...request, pendingSeconds });
    return new WorkflowHandle(client, { workflowId, runId, taskQueue, workflowName });
  }

  /** Starts a run and waits for its result. */
  async execute<Result = unknown>(options: WorkflowOptions): Promise<Result> {
    const handle = await this.start(options);
    return await handle.result<Result>();
  }

  /**
   * The handle of a workflow id's open run, else of its latest. With one argument, Temporal's form: the id alone.
   *
   * @throws {WorkflowNotFoundError} When no run has the id.
   */
  async getHandle(
    taskQueueOrId: string,
    workflowName?: string,
    workflowId?: string,
    namespace?: string,
  ): Promise<WorkflowHandle> {
    const id = workflowName === undefined ? taskQueueOrId : checkName("workflowId", workflowId);
    const client = await this.#client(namespace);
    return new WorkflowHandle(client, await client.find(id));
  }

  /** The handle of one run by its run id. */
  async getRun(runId: string, namespace?: string): Promise<WorkflowHandle> {
    const client = await this.#client(namespace);
    return new WorkflowHandle(client, await client.describe(runId));
  }

  /**
   * Signals the run of the namespace that has waited longest for the id; when none waits, it is kept until one does.
   *
   * @param options - `keepFor`: how long it is kept (default one day).
   * @returns The run that got it, or until when it is kept.
   */
  async signal(
    signalId: string,
    data?: unknown,
    namespace?: string,
    options: { readonly keepFor?: string | number | undefined } = {},
  ): Promise<SignalReceipt> {
    const id = checkName("signalId", signalId);
    const payload = encodePayload(data, { field: `data of signal "${id}"` });
    const client = await this.#client(namespace);
    const keepMs = options.keepFor === undefined ? undefined : parseDurationMs(options.keepFor, "keepFor");
    return await client.signal({ signalId: id, payload, ...(keepMs === undefined ? {} : { keepMs }) });
  }

  /**
   * Calls a listener with what runs emit on a topic (`MemFlow.workflow.emit`), from when this settles until the returned
   * function is called or the process shuts down.
   *
   * Delivery is at most once: by NOTIFY, which nobody keeps. What is emitted while the connection is away is not heard,
   * and `onGap` is called when it stands again; a listener that must see all reads the run's history then. The data may be
   * as large as any payload.
   *
   * @param topic - The topic, exactly as it is emitted.
   * @param listener - Gets the topic and the data; what it throws is not caught.
   * @param options - `namespace`, and `onGap`.
   * @returns Ends the subscription.
   * @throws {ConnectionError} `LISTEN_UNAVAILABLE`, when the connection polls or has a pooler and no `direct` way.
   *
   * @example
   * const unsubscribe = await client.workflow.subscribe('order.paid', (topic, data) => console.log(topic, data));
   * await unsubscribe();
   */
  async subscribe(
    topic: string,
    listener: (topic: string, data: unknown) => void,
    options: { readonly namespace?: string | undefined; readonly onGap?: (() => void) | undefined } = {},
  ): Promise<() => Promise<void>> {
    const subscription = { topic: checkName("topic", topic), listener, onGap: options.onGap };
    if (typeof listener !== "function") {
      throw new OptionError({ field: "listener", value: listener, remedy: "give a function (topic, data)" });
    }
    const client = await this.#client(options.namespace);
    return await client.subscribe(subscription);
  }

  /**
   * Starts a hook from outside: a second function inside an open run, which shares its entity and search data, has its own
   * history, and ends with it. From a worker's view it is as if the run had called `MemFlow.workflow.hook`.
   *
   * @param options - `workflowId` names the run; `taskQueue` and `workflowName` (or `entity`) the function; `args` what it
   *   gets; `search` what is set in the run's search data before.
   * @returns The hook's id: `getHandle(id)` reaches it.
   * @throws {WorkflowNotFoundError} When no run has the workflow id; {RunClosedError} when it has ended.
   *
   * @example
   * const hookId = await client.workflow.hook({
   *   workflowId: 'order-17', taskQueue: 'orders', workflowName: 'addNote', args: ['call the customer'],
   * });
   *
   * @see docs/replay.md#hooks-and-the-entity
   */
  async hook(options: HookOptions): Promise<string> {
    const target = checkName("workflowId", options.workflowId);
    const client = await this.#client(options.namespace);
    const run = await client.row((await client.find(target)).runId);
    const request = hookOf(run, options);
    await client.startHook(request);
    return request.workflowId;
  }

  /**
   * Runs your own SQL over runs and their search data: the views `jobs` and `jobs_attributes`, see
   * docs/search.md. It runs read-only, as a role that sees these views alone, for 10 s at most.
   *
   * @param _taskQueue - Accepted for MemFlow's sake, as the next but one: the views hold all runs of the namespace.
   * @param namespace - Default, also for null: this client's.
   * @param _index - Accepted for MemFlow's sake.
   * @param query - The SQL text, then a value for each of its `$1`, `$2`, ...
   * @returns The rows, their values as JSON has them.
   * @throws {SearchError} `SEARCH_REFUSED`, `SEARCH_TIMEOUT`, `SEARCH_TOO_LARGE`, or `SEARCH_NOT_PREPARED` with the SQL for an
   *   administrator.
   *
   * @example
   * const rows = await client.workflow.search('orders', 'order', null, 'sql',
   *   'select job_id from jobs_attributes where field = $1 and value = $2', '_status', 'late');
   */
  async search<Row = Record<string, unknown>>(
    _taskQueue: string | null,
    _workflowName: string | null,
    namespace: string | null,
    _index: string | null,
    ...query: readonly [sql: string, ...parameters: unknown[]]
  ): Promise<Row[]> {
    const [sql, ...parameters] = query;
    if (typeof sql !== "string" || sql.trim() === "" || sql.includes("\0")) {
      throw new OptionError({ field: "query[0]", value: sql, remedy: "give the text of one SQL query" });
    }
    const client = await this.#client(namespace ?? undefined);
    return (await client.search(sql, parameters)) as Row[];
  }

  /** Runs, newest first. */
  async list(filter: ListFilter = {}): Promise<readonly RunDescription[]> {
    const client = await this.#client(filter.namespace);
    return await client.list(filter);
  }

  #client(namespace: string | undefined): Promise<StoreClient> {
    return sharedClient(this.#source, namespace ?? this.#namespace);
  }
}
