/**
 * Follows a run with its hooks and children: what was recorded since the last look, in the order of its time.
 *
 * Reads committed history alone, so it shows the same to a host, to a guest and to whoever comes after a crash. It does not
 * wait and does not print.
 */
import { describeStep } from "../show/describe-step.ts";
import type { StepEvent, StepText } from "../show/describe-step.ts";

/** As much of a run as progress needs. */
export interface RunFacts {
  readonly runId: string;
  readonly workflowName: string;
  readonly status: string;
  /** Why the run is parked until other code, or a person, resumes it. */
  readonly problem: { readonly message: string } | null;
}

/** Where runs and their events are read. */
export interface HistorySource {
  /** A run with its hooks and children. */
  family(runId: string): Promise<readonly RunFacts[]>;
  /** Events after those that were seen. */
  events(
    seen: readonly { readonly runId: string; readonly eventNo: number }[],
  ): Promise<
    readonly (StepEvent & { readonly runId: string; readonly eventNo: number; readonly at: Date })[]
  >;
}

/** A line of progress. */
export interface Step extends StepText {
  readonly at: Date;
  readonly workflowName: string;
}

/** What one look found. */
export interface Look {
  readonly steps: readonly Step[];
  /** The run's own, read before the steps: what led to its end is among them. */
  readonly status: string;
  /** Set when the run, or one that it waits for, is parked. */
  readonly problem: string | undefined;
}

/** The progress of one run. */
export class RunProgress {
  readonly #source: HistorySource;
  readonly #runId: string;
  readonly #seen = new Map<string, number>();

  constructor(source: HistorySource, runId: string) {
    this.#source = source;
    this.#runId = runId;
  }

  /** Everything recorded since the last look. */
  async look(): Promise<Look> {
    const family = await this.#source.family(this.#runId);
    const names = new Map(family.map((run) => [run.runId, run.workflowName]));
    const seen = family.map(({ runId }) => ({ runId, eventNo: this.#seen.get(runId) ?? 0 }));
    const events = await this.#source.events(seen);
    for (const { runId, eventNo } of events)
      this.#seen.set(runId, Math.max(eventNo, this.#seen.get(runId) ?? 0));
    const steps = events.flatMap((event) => {
      const text = describeStep(event);
      return text === undefined
        ? []
        : [{ ...text, at: event.at, workflowName: names.get(event.runId) ?? "" }];
    });
    const parked = family.find((run) => run.problem !== null);
    const status = family.find(({ runId }) => runId === this.#runId)?.status ?? "unknown";
    return { steps, status, problem: parked?.problem?.message };
  }
}
