/**
 * Takes claimed runs in: makes their machines and begins, or replays, them.
 *
 * Promises that a run on which many owners died without progress is parked as stuck instead of begun.
 */
import { StuckError } from "../core/errors.ts";
import { RunMachine } from "../replay/run-machine.ts";
import { Shadow } from "../replay/shadow.ts";
import type { IncarnationContext } from "./incarnation-context.ts";
import type { Life } from "./life.ts";
import { OwnedRun } from "./owned-run.ts";
import type { RunDriver } from "./run-driver.ts";
import type { ClaimedRun, LoadedRun } from "./run-loader.ts";
import type { RunTable } from "./run-table.ts";
import { STUCK_AFTER, SUSPECT_AFTER } from "./worker-options.ts";

/** What came with a claim. */
export interface Intake {
  readonly claim: ClaimedRun;
  /** What it had recorded; undefined for a run that nobody began. */
  readonly loaded: LoadedRun | undefined;
  /** It was told of a message meanwhile. */
  readonly woken: boolean;
}

export class RunIntake {
  readonly #context: IncarnationContext;
  readonly #life: Life;
  readonly #runs: RunTable;
  readonly #driver: RunDriver;
  readonly #host: { mark(run: OwnedRun): void; read(run: OwnedRun): void };

  constructor(options: {
    readonly context: IncarnationContext;
    readonly life: Life;
    readonly runs: RunTable;
    readonly driver: RunDriver;
    /** `mark`: it has something to record; `read`: its inbox is to be read. */
    readonly host: { mark(run: OwnedRun): void; read(run: OwnedRun): void };
  }) {
    this.#context = options.context;
    this.#life = options.life;
    this.#runs = options.runs;
    this.#driver = options.driver;
    this.#host = options.host;
  }

  /** Owns the run from here on; to be called in a macrotask. */
  take({ claim, loaded, woken }: Intake): void {
    if (!this.#life.working) return;
    const { facts } = claim;
    this.#runs.lose(facts.runId);
    const { options, services } = this.#context;
    const invoke = services.get(facts.taskQueue)?.workflows.get(facts.workflowName);
    if (invoke === undefined) return;
    const machine = new RunMachine(facts, invoke);
    const run = new OwnedRun({
      facts,
      epoch: claim.epoch,
      machine,
      shadow: options.paranoid ? new Shadow(machine) : undefined,
      // A child's end locks its parent's row: in one lane they never wait for each other.
      lane: laneOf(facts.parentRunId ?? facts.runId, options.lanes),
      suspect: claim.busyTakeovers >= SUSPECT_AFTER,
      eventCount: loaded?.events.at(-1)?.eventNo ?? 0,
      blamed: claim.busyTakeovers > 0,
    });
    this.#runs.add(run);
    if (claim.busyTakeovers >= STUCK_AFTER) {
      this.#stick(run, claim.busyTakeovers);
      return;
    }
    for (const { position, signalId } of loaded?.waits ?? []) run.waitRows.set(position, signalId);
    this.#driver.begin(run, loaded?.events ?? [], loaded?.rows ?? []);
    run.unread = claim.hasInbox || loaded !== undefined || woken;
    if (run.unread) this.#host.read(run);
  }

  #stick(run: OwnedRun, takeoverCount: number): void {
    const error = new StuckError({ workflowId: run.facts.workflowId, runId: run.id, takeoverCount });
    run.problem = { name: error.name, code: error.code, message: error.message };
    run.releasing = true;
    logParked(this.#context, run, error);
    this.#host.mark(run);
  }
}

/** Says that a run was given up until other code, or a person, resumes it. */
export function logParked(context: IncarnationContext, run: OwnedRun, error: unknown): void {
  const { runId, workflowId, workflowName } = run.facts;
  context.options.log("error", "run parked", {
    runId,
    workflowId,
    workflowName,
    problem: run.problem?.code,
    error: error instanceof Error ? error.message : String(error),
  });
}

function laneOf(runId: string, laneCount: number): number {
  return Number.parseInt(runId.slice(-4), 16) % laneCount;
}
