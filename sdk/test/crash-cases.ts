/**
 * One case of the crash matrix: a sample workflow, a worker that crashes at one place, and another that takes over.
 *
 * Promises that the crashed worker is dead to the database as soon as it has crashed, so that no case waits for a
 * heartbeat to be missed; and that a case ends when all its runs have.
 */
import type { EngineWorker, Invoke } from "@memflow/engine";
import { lookAtStore, observeCrashPoints, testSource } from "@memflow/engine/testing";
import type { CrashPlace } from "@memflow/engine/testing";
import type { WorkflowOptions } from "@memflow/sdk";
import { intercepted } from "../src/interceptors.ts";
import { recordingOf } from "./recordings.ts";
import type { RecordedRun } from "./recordings.ts";
import * as samples from "./sample-workflows.ts";
import { eventually } from "./setup.ts";
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
  readonly recording: readonly RecordedRun[];
  /** How often the first worker passed each crash point. */
  readonly counts: ReadonlyMap<string, number>;
  /** How many of the planned crashes happened. */
  readonly crashCount: number;
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
    signals: [1, 2, 3].map((turn) => ({ to: "caller", id: "told", data: { turn } })),
  },
  { name: "family", concurrent: true, starts: () => ({ run: { workflowName: "family" } }) },
  { name: "research", concurrent: true, starts: () => ({ run: { workflowName: "research" } }) },
  {
    name: "persistent",
    concurrent: false,
    starts: () => ({
      run: {
        workflowName: "persistent",
        config: { maximumAttempts: 3, initialInterval: 1, backoffCoefficient: 1 },
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

const TUNING = { pollMs: 50, sweepMs: 50, beatMs: 1_000, pruneMs: 3_600_000, log: () => undefined } as const;

/**
 * Runs a sample once, with a crash at each of `crashes` in turn: the first worker at the first place, the second at the
 * second, and one more that is not disturbed.
 */
export async function runCase(
  store: TestStore,
  sample: Sample,
  { caseName, crashes = [] }: { readonly caseName: string; readonly crashes?: readonly CrashPlace[] },
): Promise<CaseOutcome> {
  const starts = Object.entries(sample.starts(caseName));
  const workflowIds = starts.map(([name]) => `${caseName}-${name}`);
  const first = await startWorker(store);
  const observers = [observeCrashPoints(first, crashes[0])];
  const ended = allEnded(store, workflowIds);
  await serve(first, caseName);
  await startRuns(store, sample, caseName);
  let worker = first;
  let crashCount = 0;
  for (const next of [...crashes.slice(1), undefined]) {
    const crashed = await Promise.race([observers.at(-1)?.crashed.then(() => true), ended.then(() => false)]);
    if (crashed !== true) break;
    crashCount += 1;
    const successor = await startWorker(store);
    observers.push(observeCrashPoints(successor, next));
    await store.bury(worker.status.workerId);
    await serve(successor, caseName);
    worker = successor;
  }
  await ended;
  for (const observer of observers) observer.stop();
  worker.crash();
  const recording = await lookAtStore({ source: testSource(), schema: store.namespace }, (snapshot) =>
    recordingOf(snapshot, workflowIds, caseName),
  );
  return { recording, counts: observers[0]?.counts ?? new Map(), crashCount };
}

async function startWorker(store: TestStore): Promise<EngineWorker> {
  return await store.engine({ taskQueue: "unused", workflows: new Map(), tuning: TUNING });
}

/** The queue of the workflows last: a worker that crashes while it is told what to serve was told it all. */
async function serve(worker: EngineWorker, caseName: string): Promise<void> {
  try {
    await worker.serve(samples.remoteQueueOf(caseName), new Map());
    await worker.serve(caseName, WORKFLOWS);
  } catch (error) {
    if (worker.status.state !== "stopped") throw error;
  }
}

async function startRuns(store: TestStore, sample: Sample, caseName: string): Promise<void> {
  const handles = await Promise.all(
    Object.entries(sample.starts(caseName)).map(async ([name, options]) => {
      const workflowId = `${caseName}-${name}`;
      return [
        name,
        await store.client.workflow.start({ ...options, taskQueue: caseName, workflowId }),
      ] as const;
    }),
  );
  const byName = new Map(handles);
  for (const { to, id, data } of sample.signals ?? []) await byName.get(to)?.signal(id, data);
}

/** Looks at the rows: a client would hear of it later when the crash took the notification along. */
async function allEnded(store: TestStore, workflowIds: readonly string[]): Promise<void> {
  await eventually(`the end of ${workflowIds.join(", ")}`, async () => {
    const [row] = await store.query<{ started: number; open: number }>(
      `with recursive family (run_id, status) as (
        select r.run_id, r.status from runs r where r.workflow_id = any ($1)
        union
        select r.run_id, r.status from family join runs r on r.parent_run_id = family.run_id
      )
      select count(*)::integer as started, (count(*) filter (where status = 'running'))::integer as open from family`,
      [workflowIds],
    );
    return row !== undefined && row.started >= workflowIds.length && row.open === 0;
  });
}
