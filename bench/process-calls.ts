/**
 * What the bench asks of its processes, over the channel that Node gives a forked child.
 */
import type { Job } from "./jobs.ts";
import type { Replay, StarterName, SubjectName } from "./subject.ts";

/** How a process is started: its first argument, as JSON. */
export interface ProcessRole {
  readonly subject: SubjectName | StarterName;
  readonly role: "client" | "worker";
  readonly url: string;
  /** Note how long takeovers take (the engine's worker only; costs a call at each crash point). */
  readonly watchReplays?: boolean;
}

/** Runs of one job, `outstanding` of them at all times, until the window closes or `runsMax` were started. */
export interface Load {
  readonly job: Job;
  readonly outstanding: number;
  /** What ends in this time is not counted. */
  readonly warmUpMs: number;
  readonly windowMs: number;
  readonly runsMax?: number;
}

/** What a load came to. */
export interface LoadResult {
  /** Ended in the window. */
  readonly runs: number;
  readonly elapsedMs: number;
  /** Executed at all. */
  readonly allRuns: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Calls by name: argument and answer. */
export interface Calls {
  load: { readonly argument: Load; readonly answer: LoadResult };
  park: {
    readonly argument: { readonly job: Job; readonly runs: number };
    readonly answer: readonly string[];
  };
  unpark: { readonly argument: string; readonly answer: number };
  stepTimes: { readonly argument: null; readonly answer: readonly number[] };
  replays: { readonly argument: null; readonly answer: readonly Replay[] };
  /** After a full collection. */
  heapBytes: { readonly argument: null; readonly answer: number };
  cpuMs: { readonly argument: null; readonly answer: number };
  close: { readonly argument: null; readonly answer: null };
}

export type CallName = keyof Calls;

/** Parent to child. */
export interface CallMessage {
  readonly id: number;
  readonly name: CallName;
  readonly argument: unknown;
}

/** Child to parent; the first, with id 0, says that the child is ready. */
export interface AnswerMessage {
  readonly id: number;
  readonly answer?: unknown;
  readonly error?: string;
}
