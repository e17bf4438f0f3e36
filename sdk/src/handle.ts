/**
 * The handle of a run: its result, and what can be done to it.
 */
import {
  InterruptedError,
  RunClosedError,
  TerminatedError,
  decodeFailure,
  decodePayload,
  encodeFailure,
  encodePayload,
} from "@memflow/engine";
import type { EventDescription, FailureJson, Json, RunDescription, StoreClient } from "@memflow/engine";
import { checkName } from "./options.ts";

/** How to wait for a result. */
export interface ResultOptions {
  /** False: a failure is returned instead of thrown. */
  readonly throwOnError?: boolean | undefined;
  /** Accepted for MemFlow's sake. */
  readonly state?: boolean | undefined;
}

/** How a run is interrupted. */
export interface JobInterruptOptions {
  /** Default `Job Interrupted`. */
  readonly reason?: string | undefined;
  /** Default 410. */
  readonly code?: number | undefined;
  /** False: who waits for the result gets undefined instead of the error. */
  readonly throw?: boolean | undefined;
  /** Interrupt the run's children too. */
  readonly descend?: boolean | undefined;
  /** Seconds that the ended run is kept. */
  readonly expire?: number | undefined;
  /** True: a run that has ended already is no error. */
  readonly suppress?: boolean | undefined;
}

/** MemFlow's view of a run's state. */
export interface WorkflowState {
  readonly done: boolean;
  readonly response?: unknown;
  readonly $error?: FailureJson;
  readonly workflowId: string;
  /** When it was started and last changed, as ISO texts. */
  readonly jc: string;
  readonly ju: string;
}

/** What an export can hold. */
export type ExportPart = "data" | "state" | "status" | "timeline" | "transitions";

/** A run's whole story. */
export interface WorkflowExport {
  readonly data?: Json;
  readonly state?: WorkflowState;
  readonly status?: number;
  readonly timeline?: readonly EventDescription[];
  readonly transitions?: readonly { readonly status: string; readonly at: string }[];
}

/** Statuses as MemFlow's semaphore: above 0 running, 0 done, far below 0 stopped from outside. */
const STOPPED = -1_000_000_000;

export class WorkflowHandle {
  readonly workflowId: string;
  readonly runId: string;
  readonly #client: StoreClient;

  /** Made by `client.workflow.start` and `getHandle`. */
  constructor(client: StoreClient, ids: { readonly workflowId: string; readonly runId: string }) {
    this.#client = client;
    this.workflowId = ids.workflowId;
    this.runId = ids.runId;
  }

  /**
   * Waits for the run to end; may be asked any number of times.
   *
   * @param options - `throwOnError: false` returns a failure instead of throwing it.
   * @returns The workflow's result.
   * @throws What the workflow threw, as its class, with its message, code and cause; {InterruptedError} 410 after an interrupt;
   *   {TerminatedError} after a termination.
   *
   * @example
   * const result = await handle.result<string>();
   */
  async result<Result = unknown>(options: ResultOptions = {}): Promise<Result> {
    const outcome = await this.#client.outcome(this.runId);
    if (outcome.failure === null) return decodePayload(outcome.result) as Result;
    if (outcome.failure.data?.["quiet"] === true) return undefined as Result;
    if (options.throwOnError === false) return outcome.failure as Result;
    throw decodeFailure(outcome.failure);
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
    return semaphore(await this.describe());
  }

  /** MemFlow's state; with `metadata`, beside its facts. */
  async state(
    metadata: true,
  ): Promise<{ readonly metadata: RunDescription & { readonly js: number }; readonly data: WorkflowState }>;
  async state(metadata?: false): Promise<WorkflowState>;
  async state(metadata = false): Promise<unknown> {
    const row = await this.#client.row(this.runId);
    const data = stateOf(row);
    return metadata ? { metadata: { ...(await this.describe()), js: semaphore(row) }, data } : data;
  }

  /** The run's facts, as of now. */
  async describe(): Promise<RunDescription> {
    return await this.#client.describe(this.runId);
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

  /** The run's story as plain data. `allow` and `block` name its parts; `values: false` leaves payloads out. */
  async export(
    options: {
      readonly allow?: readonly ExportPart[] | undefined;
      readonly block?: readonly ExportPart[] | undefined;
      readonly values?: boolean | undefined;
    } = {},
  ): Promise<WorkflowExport> {
    const wanted = (part: ExportPart): boolean =>
      (options.allow?.includes(part) ?? true) && options.block?.includes(part) !== true;
    const row = await this.#client.row(this.runId);
    const events = wanted("timeline") ? await this.history() : [];
    const withoutValues = events.map((event) => ({ ...event, payload: undefined }));
    return {
      ...(wanted("data") ? { data: await this.#client.entity(row.entityId) } : {}),
      ...(wanted("state") ? { state: stateOf(row) } : {}),
      ...(wanted("status") ? { status: semaphore(row) } : {}),
      ...(wanted("timeline") ? { timeline: options.values === false ? withoutValues : events } : {}),
      ...(wanted("transitions") ? { transitions: transitionsOf(row) } : {}),
    };
  }

  /**
   * Ends the run from outside with MemFlow's code 410; its code is not asked.
   *
   * @throws {RunClosedError} When it has ended, unless `suppress` is true.
   */
  async interrupt(options: JobInterruptOptions = {}): Promise<void> {
    const reason = options.reason ?? "Job Interrupted";
    const error = new InterruptedError({ workflowId: this.workflowId, reason, code: options.code ?? 410 });
    const failure = encodeFailure(error);
    await this.#stop({
      status: "canceled",
      failure: options.throw === false ? { ...failure, data: { ...failure.data, quiet: true } } : failure,
      descend: options.descend === true,
      retentionSeconds: options.expire,
      suppress: options.suppress === true,
    });
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

/** A status as MemFlow's semaphore. */
export function semaphore({ status }: { readonly status: string }): number {
  if (status === "running") return 1;
  return status === "canceled" || status === "terminated" ? STOPPED : 0;
}

function stateOf(
  row: RunDescription & { readonly result: string | null; readonly failure: string | null },
): WorkflowState {
  const done = row.status !== "running";
  const response = decodePayload(row.result);
  return {
    done,
    ...(response === undefined ? {} : { response }),
    ...(row.failure === null ? {} : { $error: JSON.parse(row.failure) as FailureJson }),
    workflowId: row.workflowId,
    jc: row.startedAt.toISOString(),
    ju: (row.closedAt ?? row.startedAt).toISOString(),
  };
}

function transitionsOf(row: RunDescription): readonly { readonly status: string; readonly at: string }[] {
  const started = { status: "running", at: row.startedAt.toISOString() };
  return row.closedAt === null
    ? [started]
    : [started, { status: row.status, at: row.closedAt.toISOString() }];
}
