/**
 * What a worker can be told, with its defaults.
 */
import type { ConnectionSource } from "../store/connection-source.ts";
import type { Invoke } from "../replay/run-machine.ts";
import type { ActivityFunction } from "./activity-registry.ts";
import { shareConnections } from "./connection-shares.ts";
import type { ConnectionShares } from "./connection-shares.ts";

/** A line for the log: a short message and its facts. */
export interface WorkerLog {
  (
    level: "debug" | "info" | "warn" | "error",
    message: string,
    facts?: Readonly<Record<string, unknown>>,
  ): void;
}

/** How to run a worker process. Durations in milliseconds. */
export interface WorkerOptions {
  readonly source: ConnectionSource;
  readonly schema: string;
  readonly buildId?: string | undefined;
  /** Attempts that run at once (default 100). */
  readonly maxConcurrentActivities?: number | undefined;
  /** Runs with local work at once (default 1,000). */
  readonly maxConcurrentRuns?: number | undefined;
  /** Runs in memory, parked ones included (default 10,000). */
  readonly maxCachedRuns?: number | undefined;
  /** Flushes that may be on their way at once (default 2). */
  readonly lanes?: number | undefined;
  /** Connections that it may open, 4 or more (default: as many as it likes, which is 8). */
  readonly maxConnections?: number | undefined;
  /** Silence after which the worker counts as dead (default 10,000). */
  readonly deadAfterMs?: number | undefined;
  /** Between two heartbeats (default 3,000). */
  readonly beatMs?: number | undefined;
  /** The main loop may be blocked by one turn of user code for this long (default 30,000). */
  readonly blockedLoopKillMs?: number | undefined;
  /** Between two looks for ready work when no notification comes (default 6,000). */
  readonly pollMs?: number | undefined;
  /** Between two looks after dead workers (default 6,000). */
  readonly sweepMs?: number | undefined;
  /** Between two rounds of removing expired history (default 60,000). */
  readonly pruneMs?: number | undefined;
  readonly log?: WorkerLog | undefined;
  /** Told when the worker can't go on, after it has stopped. */
  readonly onFatal?: ((error: unknown) => void) | undefined;
  /** A process that runs activities and workflows under test keeps its heartbeat on the main thread's clock. */
  readonly heartbeat?: "thread" | "none" | undefined;
  /**
   * For tests of workflows: repeats each run from scratch after each activation and parks it when anything differs
   * (default false). Costs the square of a run's length.
   */
  readonly paranoid?: boolean | undefined;
}

/** What a queue's worker serves. */
export interface QueueService {
  readonly taskQueue: string;
  /** Workflow and hook functions by name. */
  readonly workflows: ReadonlyMap<string, Invoke>;
}

/** Finds activities of this process. */
export interface ActivityFinder {
  find(taskQueue: string, name: string): ActivityFunction | undefined;
  names(taskQueue: string): readonly string[];
}

/** A run found busy at this many takeovers without progress is replayed alone. */
export const SUSPECT_AFTER = 2;
/** And parked as stuck at this many. */
export const STUCK_AFTER = 10;

/** The options with their defaults filled in. */
export type ResolvedWorkerOptions = {
  readonly [Name in Exclude<keyof WorkerOptions, "buildId" | "maxConnections" | "onFatal">]-?: NonNullable<
    WorkerOptions[Name]
  >;
} & Pick<WorkerOptions, "buildId" | "onFatal"> & { readonly shares: ConnectionShares };

export function resolveWorkerOptions(options: WorkerOptions): ResolvedWorkerOptions {
  const shares = shareConnections(options.maxConnections, options.lanes ?? 2);
  return {
    shares,
    source: options.source,
    schema: options.schema,
    buildId: options.buildId,
    maxConcurrentActivities: options.maxConcurrentActivities ?? 100,
    maxConcurrentRuns: options.maxConcurrentRuns ?? 1_000,
    maxCachedRuns: options.maxCachedRuns ?? 10_000,
    lanes: shares.lanes,
    deadAfterMs: options.deadAfterMs ?? 10_000,
    beatMs: options.beatMs ?? 3_000,
    blockedLoopKillMs: options.blockedLoopKillMs ?? 30_000,
    pollMs: options.pollMs ?? 6_000,
    sweepMs: options.sweepMs ?? 6_000,
    pruneMs: options.pruneMs ?? 60_000,
    log: options.log ?? logToStderr,
    onFatal: options.onFatal,
    heartbeat: options.heartbeat ?? "thread",
    paranoid: options.paranoid ?? false,
  };
}

function logToStderr(level: string, message: string, facts: Readonly<Record<string, unknown>> = {}): void {
  if (level === "debug" || level === "info") return;
  process.stderr.write(`${JSON.stringify({ level, message, ...facts })}\n`);
}
