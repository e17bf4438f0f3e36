/**
 * What is measured: a client that starts runs and waits for their results, a worker that executes them.
 */
import type { Job } from "./jobs.ts";

/** The subjects; each is a pair of processes, but for DBOS, whose client executes. */
export type SubjectName = "raw" | "engine" | "dbos";

/** Clients that only start runs: the engine's own, and one of a gateway. */
export type StarterName = "starts" | "http-starts";

/** A client in its own process. */
export interface SubjectClient {
  /** Starts a run; settles with its result. */
  run(job: Job): Promise<unknown>;
  /** Starts a run of `park` and settles with its id once it is recorded. */
  park?(job: Job): Promise<string>;
  /** Lets parked runs go on; settles with the result. */
  unpark?(workflowId: string): Promise<unknown>;
  close(): Promise<void>;
}

/** A worker in its own process. */
export interface SubjectWorker {
  /** How long each history took to load and to replay since the last call. */
  takeReplays?(): readonly Replay[];
  /** Hands over and ends. */
  close(): Promise<void>;
}

/** A takeover as the worker saw it. */
export interface Replay {
  readonly loadMs: number;
  readonly replayMs: number;
}
