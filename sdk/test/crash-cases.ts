/**
 * One case of the crash matrix: a sample workflow, a worker that stops at one place, and another that takes over.
 *
 * Promises that the crashed worker is dead to the database as soon as it has crashed, so that no case waits for a
 * heartbeat to be missed; and that a case ends when all its runs have.
 */
import { EngineWorker, activityRegistry } from "@memflow/engine";
import type { CrashPoint, Invoke } from "@memflow/engine";
import { Session, eventually, lookAtStore, observeCrashPoints, testSource } from "@memflow/engine/testing";
import type { StopPlace } from "@memflow/engine/testing";
import type { WorkflowHandle, WorkflowOptions } from "@memflow/sdk";
import { intercepted } from "../src/interceptors.ts";
import { recordingOf } from "./recordings.ts";
import type { RecordedRun } from "./recordings.ts";
import * as samples from "./sample-workflows.ts";
import type { TestStore } from "./setup.ts";

/** A sample: which runs are started for it, and what is sent to them. */
export interface Sample {
  readonly name: string;
  /** True: its work completes in any order, so histories are compared as sets. */
  readonly concurrent: boolean;
  /** The runs by a short name. */
  starts(
    caseName: string,
  ): Readonly<Record<string, Pick<WorkflowOptions, "workflowName" | "args" | "config">>>;
  /** Signals from outside, in order, to the run of this short name. */
  readonly signals?: readonly { readonly to: string; readonly id: string; readonly data: unknown }[];
}

/** What a case came to. */
export interface CaseOutcome {
  /** How often the first worker passed each crash point. */
  readonly counts: ReadonlyMap<CrashPoint, number>;
  /** How many of the planned stops happened. */
  readonly stopCount: number;
}

export const SAMPLES: readonly Sample[] = [
  { name: "sequence", concurrent: false, starts: () => ({ run: { workflowName: "sequence", args: [10] } }) },
  { name: "side by side", concurrent: true, starts: () => ({ run: { workflowName: "sideBySide" } }) },
  {
    name: "signals",
    concurrent: true,
    starts: (caseName) => ({
      caller: { workflowName: "callAndResponse", args: [caseName] },
      responder: { workflowName: "responder", args: [caseName] },
    }),
    signals: [1, 2].map((turn) => ({ to: "caller", id: "told", data: { turn } })),
  },
  { name: "family", concurrent: true, starts: () => ({ run: { workflowName: "family" } }) },
  { name: "research", concurrent: true, starts: () => ({ run: { workflowName: "research" } }) },
  {
    name: "persistent",
    concurrent: false,
    starts: () => ({
      run: {
        workflowName: "persistent",
        config: { maximumAttempts: 2, initialInterval: 1, backoffCoefficient: 1 },
      },
    }),
  },
];

/** The samples' functions, as workers and the replay checker take them. */
export const WORKFLOWS: ReadonlyMap<string, Invoke> = new Map(
  Object.entries(samples)
    .filter(([name, value]) => typeof value === "function" && name !== "remoteQueueOf")
    .map(([name, value]) => [name, intercepted(value as Parameters<typeof intercepted>[0])]),
);

/** How the workers of the cases are tuned, those of their own processes too. */
export const TUNING = {
  heartbeat: "none",
  // Seldom: a look costs more than the work of a case.
  pollMs: 500,
  sweepMs: 500,
  beatMs: 1_000,
  pruneMs: 3_600_000,
  log: () => undefined,
} as const;

/**
 * Runs cases one after another in one schema. The worker that took over last is the one that stops next, so
 * that each stop costs one new worker.
 */
export class CaseLane {
  readonly #store: TestStore;
  readonly #session: Session;
  #worker: EngineWorker | undefined;

  constructor(store: TestStore) {
    this.#store = store;
    this.#session = new Session({ source: testSource(), purpose: "test" });
  }

  /** Runs a sample once; a worker stops at each of the places in turn, and one more worker is not disturbed. */
  async run(sample: Sample, caseName: string, stops: readonly StopPlace[] = []): Promise<CaseOutcome> {
    let worker = (this.#worker ??= await this.#startWorker());
    const first = observeCrashPoints(worker, stops[0]);
    let observer = first;
    const workflowIds = workflowIdsOf(sample, caseName);
    await serve(worker, caseName);
    const ended = this.#allEnded(workflowIds, await startRuns(this.#store, sample, caseName));
    let stopCount = 0;
    for (const next of [...stops.slice(1), undefined]) {
      const stopped = await Promise.race([observer.stopped.then(() => true), ended.then(() => false)]);
      if (!stopped) break;
      stopCount += 1;
      const dead = worker.status.workerId;
      worker = this.#worker = await this.#startWorker();
      observer.stop();
      observer = observeCrashPoints(worker, next);
      await this.#bury(dead);
      await serve(worker, caseName);
    }
    await ended;
    observer.stop();
    return { counts: first.counts, stopCount };
  }

  /** Runs a sample once on a process that `begin` starts; when that has ended, a worker of this process takes over. */
  async runElsewhere(
    sample: Sample,
    caseName: string,
    begin: () => Promise<{ ended(): Promise<unknown> }>,
  ): Promise<void> {
    const workflowIds = workflowIdsOf(sample, caseName);
    const elsewhere = await begin();
    const ended = this.#allEnded(workflowIds, await startRuns(this.#store, sample, caseName));
    await Promise.race([elsewhere.ended(), ended]);
    this.#worker ??= await this.#startWorker();
    // No run of this process made them known: who takes over need not replay a run that only waits for them.
    activityRegistry.register(samples.remote, samples.remoteQueueOf(caseName));
    await serve(this.#worker, caseName);
    await ended;
  }

  async close(): Promise<void> {
    this.#worker?.crash();
    await this.#session.close();
  }

  async #startWorker(): Promise<EngineWorker> {
    return await EngineWorker.start({ ...TUNING, source: testSource(), schema: this.#store.namespace });
  }

  /** Does what others do when they miss a heartbeat for long. */
  async #bury(workerId: string): Promise<void> {
    const schema = this.#store.namespace;
    const text = `update ${schema}.workers set dead_at = clock_timestamp() where worker_id = $1`;
    await this.#session.query({ text, values: [workerId] });
    await this.#session.query({ text: `select from ${schema}.release_dead(1000)` });
  }

  /** The runs that were started, and then what they started. */
  async #allEnded(workflowIds: readonly string[], handles: readonly WorkflowHandle[]): Promise<void> {
    const schema = this.#store.namespace;
    let results = 0;
    let failure: Error | undefined;
    for (const handle of handles)
      handle.result({ throwOnError: false }).then(
        () => (results += 1),
        (error: unknown) => (failure = error instanceof Error ? error : new Error(String(error))),
      );
    await eventually(`the end of ${workflowIds.join(", ")}`, () => {
      if (failure !== undefined) throw failure;
      return results === handles.length;
    });
    await eventually(`the end of all that ${workflowIds.join(", ")} started`, async () => {
      const { rows } = await this.#session.query<{ open: number }>({
        text: `
          with recursive family (run_id, status) as (
            select r.run_id, r.status from ${schema}.runs r where r.workflow_id = any ($1)
            union
            select r.run_id, r.status from family join ${schema}.runs r on r.parent_run_id = family.run_id
          )
          select (count(*) filter (where status = 'running'))::integer as open from family`,
        values: [workflowIds],
      });
      return rows[0]?.open === 0;
    });
  }
}

/** What cases of a sample left behind, by their names: read at once when all have ended, for a look costs a connection. */
export async function recordCases(
  store: TestStore,
  sample: Sample,
  caseNames: readonly string[],
): Promise<ReadonlyMap<string, readonly RecordedRun[]>> {
  return await lookAtStore({ source: testSource(), schema: store.namespace }, async (snapshot) => {
    const recordings = new Map<string, readonly RecordedRun[]>();
    for (const caseName of caseNames)
      recordings.set(caseName, await recordingOf(snapshot, workflowIdsOf(sample, caseName), caseName));
    return recordings;
  });
}

function workflowIdsOf(sample: Sample, caseName: string): string[] {
  return Object.keys(sample.starts(caseName)).map((name) => `${caseName}-${name}`);
}

/** Serves a case. The queue of the workflows last: a worker that crashes while it is told what to serve was told it all. */
export async function serve(worker: EngineWorker, caseName: string): Promise<void> {
  try {
    await worker.serve(samples.remoteQueueOf(caseName), new Map());
    await worker.serve(caseName, WORKFLOWS);
  } catch (error) {
    if (worker.status.state !== "stopped") throw error;
  }
}

async function startRuns(store: TestStore, sample: Sample, caseName: string): Promise<WorkflowHandle[]> {
  const handles = await Promise.all(
    Object.entries(sample.starts(caseName)).map(async ([name, options]) => {
      const workflowId = `${caseName}-${name}`;
      const handle = await store.client.workflow.start({ ...options, taskQueue: caseName, workflowId });
      return [name, handle] as const;
    }),
  );
  const byName = new Map(handles);
  for (const { to, id, data } of sample.signals ?? []) await byName.get(to)?.signal(id, data);
  return [...byName.values()];
}
