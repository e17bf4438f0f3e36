/**
 * The handle of a run: its result, and what can be done to it.
 */
import {
  FATAL_CODE,
  GetStateError,
  RunClosedError,
  TerminatedError,
  WorkflowNotFoundError,
  decodeFailure,
  decodePayload,
  encodeFailure,
  encodePayload,
  toErrorObject,
} from "@memflow/engine";
import type {
  EventDescription,
  FailureJson,
  Json,
  RunDescription,
  RunRecord,
  StoreClient,
} from "@memflow/engine";
import {
  EXPORT_FORMAT,
  exportedEvent,
  exportedRun,
  metadataOf,
  semaphoreOf,
  stateOf,
  transitionsOf,
} from "./export.ts";
import type { ExportOptions, ExportPart, WorkflowExport, WorkflowState } from "./export.ts";
import { checkInterrupt } from "./interrupt-options.ts";
import { checkName } from "./options.ts";

/** How to wait for a result. */
export interface ResultOptions {
  /** False: a failure is returned instead of thrown (default: as the run's `config.throwOnError` says, else true). */
  readonly throwOnError?: boolean | undefined;
  /** Accepted for MemFlow's sake: the state is always looked at. */
  readonly state?: boolean | undefined;
}

/** How a run is interrupted. */
export interface JobInterruptOptions {
  /** Default `Job Interrupted`. */
  readonly reason?: string | undefined;
  /** Default 410. */
  readonly code?: number | undefined;
  /** The stack that the error shows (default: that of this call). */
  readonly stack?: string | undefined;
  /** False: who waits for the result gets undefined instead of the error. */
  readonly throw?: boolean | undefined;
  /** Interrupt the run's children too. */
  readonly descend?: boolean | undefined;
  /** Seconds that the ended run is kept. */
  readonly expire?: number | undefined;
  /** True: a run that has ended already is no error. */
  readonly suppress?: boolean | undefined;
}

/** What can be asked of a run and done to it. Made by `client.workflow.start` and `getHandle`. */
export class WorkflowHandle {
  readonly workflowId: string;
  readonly runId: string;
  /** `queue-name`, as MemFlow writes it. */
  readonly workflowTopic: string;
  /** The engine's client, as `client.getHotMeshClient` gives it. */
  readonly hotMesh: StoreClient;
  readonly #client: StoreClient;

  /** Made by `client.workflow.start` and `getHandle`. */
  constructor(
    client: StoreClient,
    run: Pick<RunDescription, "workflowId" | "runId" | "taskQueue" | "workflowName">,
  ) {
    this.#client = client;
    this.hotMesh = client;
    this.workflowId = run.workflowId;
    this.runId = run.runId;
    this.workflowTopic = `${run.taskQueue}-${run.workflowName}`;
  }

  /**
   * Waits for the run to end; may be asked any number of times.
   *
   * @param options - `throwOnError: false` returns a failure, as a plain object, instead of throwing it.
   * @returns The workflow's result, as it returned it; undefined after an interrupt with `throw: false`.
   * @throws What the workflow threw, as its class, with its message, code, cause and fields. An error without a code has 597
   *   when its retries are used up and 598 when it is never retried. {InterruptedError} 410 after an interrupt;
   *   {TerminatedError} after a termination.
   *
   * @example
   * const result = await handle.result<string>();
   * const outcome = await handle.result<string | ErrorObject>({ throwOnError: false });
   * if (typeof outcome === 'object') console.error(outcome.code, outcome.message);
   *
   * @see docs/replay.md#errors-and-retries
   */
  async result<Result = unknown>(options: ResultOptions = {}): Promise<Result> {
    const outcome = await this.#client.outcome(this.runId);
    if (outcome.failure === null) return decodePayload(outcome.result) as Result;
    if (outcome.failure.data?.["quiet"] === true) return undefined as Result;
    if (options.throwOnError ?? !outcome.failureIsResult) throw decodeFailure(outcome.failure);
    return toErrorObject(outcome.failure, FATAL_CODE) as Result;
  }

  /**
   * Sends a signal to this run; recorded when it settles. Signals of one sender arrive in order, each once.
   *
   * @throws {RunClosedError} When the run has ended.
   */
  async signal(signalId: string, data?: unknown): Promise<void> {
    const id = checkName("signalId", signalId);
    const payload = encodePayload(data, { field: `data of signal "${id}"` });
    await this.#client.signal({ signalId: id, payload, toRunId: this.runId });
  }

  /** MemFlow's semaphore: above 0 while it runs, 0 when it is done, about -1e9 when it was stopped from outside. */
  async status(): Promise<number> {
    return semaphoreOf(await this.#row());
  }

  /** MemFlow's state; with `metadata`, beside its facts. */
  async state(metadata: true): Promise<NonNullable<WorkflowExport["state"]>>;
  async state(metadata?: false): Promise<WorkflowState>;
  async state(metadata = false): Promise<unknown> {
    const row = await this.#row();
    const data = stateOf(row);
    return metadata ? { metadata: metadataOf(row), data } : data;
  }

  /** The run's facts, as of now. */
  async describe(): Promise<RunDescription> {
    return await this.#client.describe(this.runId);
  }

  /**
   * The run's search data as of its last recorded change.
   *
   * @param fields - The keys that are wanted (default: all); of these, those that are set are given.
   * @returns Texts by key.
   * @throws {GetStateError} 404 when the run is no longer kept.
   *
   * @example
   * const { counter } = await handle.queryState(['counter']);
   */
  async queryState(fields?: readonly string[]): Promise<Readonly<Record<string, string>>> {
    const { search } = await this.#client.memory((await this.#row()).entityId);
    const wanted = fields === undefined ? undefined : new Set(fields);
    return Object.fromEntries(Object.entries(search).filter(([key]) => wanted?.has(key) ?? true));
  }

  /** The run's entity as of its last recorded change. */
  async entity<Document = Json>(): Promise<Document> {
    const { entityId } = await this.describe();
    return (await this.#client.entity(entityId)) as Document;
  }

  /**
   * The run's recorded events in order.
   *
   * @param options - `afterEvent` leaves out what was seen; `descend` adds the histories of hooks and children.
   */
  async history(
    options: { readonly afterEvent?: number | undefined; readonly descend?: boolean | undefined } = {},
  ): Promise<readonly EventDescription[]> {
    const afterEvent = options.afterEvent ?? 0;
    if (options.descend !== true)
      return await this.#client.events([{ runId: this.runId, eventNo: afterEvent }]);
    const family = await this.#client.family(this.runId);
    return await this.#client.events(
      family.map(({ runId }) => ({ runId, eventNo: runId === this.runId ? afterEvent : 0 })),
    );
  }

  /** The run with its hooks and children, itself first. */
  async family(): Promise<readonly RunDescription[]> {
    return await this.#client.family(this.runId);
  }

  /**
   * The run's story as plain JSON: its facts, state, data and memory, and its timeline, which `MemFlow.replay` takes back.
   *
   * @param options - `allow` and `block` name the parts (default: all); `values: false` leaves payloads out.
   * @returns The parts, and the `format` they are in.
   * @throws {GetStateError} 404 when the run is no longer kept.
   *
   * @example
   * const { status, timeline } = await handle.export({ allow: ['status', 'timeline'], values: false });
   *
   * @see docs/export.md
   */
  async export(options: ExportOptions = {}): Promise<WorkflowExport> {
    const wanted = (part: ExportPart): boolean =>
      (options.allow?.includes(part) ?? true) && options.block?.includes(part) !== true;
    const values = options.values !== false;
    const client = this.#client;
    // The history is read first: what the row says then is at least as new.
    const events = wanted("timeline") ? await this.history() : [];
    const row = await this.#row();
    const memory = await client.memory(row.entityId);
    return {
      format: EXPORT_FORMAT,
      ...(wanted("run") ? { run: exportedRun(row, client.schema, values) } : {}),
      ...(wanted("data") && values ? { data: memory.search } : {}),
      ...(wanted("entity") && values ? { entity: memory.document } : {}),
      ...(wanted("entityLog") && values ? { entityLog: await this.#entityLog(row.entityId) } : {}),
      ...(wanted("state") ? { state: { data: stateOf(row, values), metadata: metadataOf(row) } } : {}),
      ...(wanted("status") ? { status: semaphoreOf(row) } : {}),
      ...(wanted("timeline") ? { timeline: events.map((event) => exportedEvent(event, values)) } : {}),
      ...(wanted("transitions") ? { transitions: transitionsOf(row) } : {}),
    };
  }

  /**
   * Ends the run from outside with MemFlow's code 410; its code is not asked.
   *
   * @throws {RunClosedError} When it has ended, unless `suppress` is true.
   */
  async interrupt(options: JobInterruptOptions = {}): Promise<void> {
    await this.#stop({ status: "canceled", ...checkInterrupt(this.workflowId, options) });
  }

  /** Interrupts the run; MemFlow's cancel is one with its interrupt. */
  async cancel(): Promise<void> {
    await this.interrupt();
  }

  /** Ends the run at once with a reason; its code is not asked. */
  async terminate(reason?: string): Promise<void> {
    const failure = encodeFailure(new TerminatedError({ workflowId: this.workflowId, reason }));
    await this.#stop({
      status: "terminated",
      failure,
      descend: false,
      retentionSeconds: undefined,
      suppress: false,
    });
  }

  /** Makes a run that is parked with a problem ready again; false when it is not parked. */
  async resume(): Promise<boolean> {
    return await this.#client.resume(this.runId);
  }

  async #entityLog(entityId: string): Promise<NonNullable<WorkflowExport["entityLog"]>> {
    const changes = await this.#client.foreignChanges(entityId, this.runId);
    return changes.map(({ entityNo, payload }) => ({ entityNo, change: JSON.parse(payload) as Json }));
  }

  async #row(): Promise<RunRecord> {
    try {
      return await this.#client.row(this.runId);
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
      throw new GetStateError({ workflowId: this.workflowId, runId: this.runId });
    }
  }

  async #stop(options: {
    readonly status: "canceled" | "terminated";
    readonly failure: FailureJson;
    readonly descend: boolean;
    readonly retentionSeconds: number | undefined;
    readonly suppress: boolean;
  }): Promise<void> {
    const { suppress, ...rest } = options;
    const ended = await this.#client.stop({ runId: this.runId, ...rest });
    if (ended || suppress) return;
    const { status } = await this.describe();
    throw new RunClosedError({ workflowId: this.workflowId, runId: this.runId, status });
  }
}
