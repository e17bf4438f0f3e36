/**
 * What every workload gets: the server, how long to measure, and where its figures go.
 */
import type { Report } from "./report.ts";
import type { BenchServer } from "./server.ts";

/** How long to measure. */
export interface Effort {
  /** Repetitions of each subject, in turns. */
  readonly repetitions: number;
  readonly warmUpMs: number;
  readonly windowMs: number;
  /** Runs of one latency repetition. */
  readonly latencyRuns: number;
  readonly growthSteps: number;
  readonly replays: number;
  readonly idleMs: number;
}

export const FULL: Effort = {
  repetitions: 5,
  warmUpMs: 700,
  windowMs: 2_000,
  latencyRuns: 200,
  growthSteps: 10_000,
  replays: 6,
  idleMs: 30_000,
};

export const QUICK: Effort = {
  repetitions: 3,
  warmUpMs: 400,
  windowMs: 800,
  latencyRuns: 60,
  growthSteps: 3_000,
  replays: 4,
  idleMs: 10_000,
};

/** @see Effort */
export interface Bench {
  readonly server: BenchServer;
  readonly effort: Effort;
  readonly report: Report;
  /** False where DBOS is not installed. */
  readonly dbos: boolean;
}
