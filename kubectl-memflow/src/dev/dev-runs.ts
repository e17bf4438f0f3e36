/**
 * The runs of `memflow dev` in one Store: start one, or find the one that an earlier start left open; read what happened.
 *
 * Promises that two starts of the same thing at once give one run. Which runs are its own is known from their ids, and
 * those are in the database.
 */
import { DuplicateJobError, StoreClient, decodePayload, resolveConnection } from "@memflow/engine";
import type { RunDescription } from "@memflow/engine";
import { Client, MemFlow } from "@memflow/sdk";
import { DEV_RUN_PREFIX } from "./dev-plan.ts";
import type { RunPlan } from "./dev-plan.ts";
import type { HistorySource } from "./run-progress.ts";

/** A run that is shown. */
export interface DevRun {
  readonly runId: string;
  readonly workflowId: string;
  readonly workflowName: string;
  readonly startedAt: Date;
  /** True when it was open already. */
  readonly isContinued: boolean;
}

/** How a run ended. */
export interface RunEnding {
  readonly status: string;
  readonly result: unknown;
  /** Why, when it has no result. */
  readonly reason: string;
  readonly elapsedMs: number;
}

const OPEN_RUN_MAX = 1_000;

/** The runs of one Store. */
export class DevRuns {
  readonly #client: Client;
  readonly #store: StoreClient;

  /** Connects; the schema must be provisioned. */
  static async open(databaseUrl: string, schema: string): Promise<DevRuns> {
    const store = await StoreClient.open(resolveConnection(databaseUrl), schema);
    return new DevRuns(new Client({ connection: { connectionString: databaseUrl } }), store);
  }

  private constructor(client: Client, store: StoreClient) {
    this.#client = client;
    this.#store = store;
  }

  /** Where progress is read. */
  get history(): HistorySource {
    return this.#store;
  }

  /**
   * Starts the planned run, or finds it open.
   *
   * A plan that nobody asked for explicitly gives way to any open run of an earlier start.
   */
  async startOrContinue(plan: RunPlan): Promise<DevRun> {
    const open = plan.isExplicit ? undefined : await this.#findOpen();
    if (open !== undefined) return describeRun(open, true);
    try {
      await this.#client.workflow.start({
        namespace: this.#store.schema,
        taskQueue: plan.taskQueue,
        workflowName: plan.workflowName,
        workflowId: plan.workflowId,
        args: plan.args,
        config: plan.retry,
      });
      return describeRun(await this.#store.find(plan.workflowId), false);
    } catch (error) {
      if (!(error instanceof DuplicateJobError)) throw error;
      return describeRun(await this.#store.find(plan.workflowId), true);
    }
  }

  /** How the run ended. */
  async ending(runId: string): Promise<RunEnding> {
    const { status, result, failure, startedAt, closedAt } = await this.#store.row(runId);
    const { message } = (failure === null ? {} : JSON.parse(failure)) as { readonly message?: string };
    return {
      status,
      result: decodePayload(result),
      reason: message ?? "no reason was given",
      elapsedMs: (closedAt ?? startedAt).getTime() - startedAt.getTime(),
    };
  }

  async close(): Promise<void> {
    await this.#store.close();
    await MemFlow.shutdown();
  }

  /** The open run that an earlier start began last. */
  async #findOpen(): Promise<RunDescription | undefined> {
    const open = await this.#store.list({ status: "running", limit: OPEN_RUN_MAX });
    return open.find((run) => run.parentRunId === null && run.workflowId.startsWith(DEV_RUN_PREFIX));
  }
}

function describeRun(run: RunDescription, isContinued: boolean): DevRun {
  const { runId, workflowId, workflowName, startedAt } = run;
  return { runId, workflowId, workflowName, startedAt, isContinued };
}
