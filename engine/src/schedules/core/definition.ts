/**
 * What a schedule is told: when it fires, what it starts, and what happens when runs overlap. Kept as JSON in its row.
 *
 * Whoever writes it has checked it; times are milliseconds since the Unix epoch.
 */

/** What happens at a time while a run of the schedule is open. */
export type OverlapPolicy =
  | "Skip"
  | "BufferOne"
  | "BufferAll"
  | "CancelOther"
  | "TerminateOther"
  | "AllowAll";

/** At which times it fires. */
export interface ScheduleWhen {
  /** Cron expressions as the kind Schedule has them: five fields or a word such as `@daily`. */
  readonly cron: readonly string[];
  /** Interval, counted from the Unix epoch; null for none. */
  readonly everyMs: number | null;
  /** Shifts the interval. */
  readonly offsetMs: number;
  /** IANA time zone of the cron expressions. */
  readonly timeZone: string;
  /** Each time is put off by up to this. */
  readonly jitterMs: number;
  /** No time before it, and none after the end; both may be times themselves. */
  readonly startAtMs: number | null;
  readonly endAtMs: number | null;
}

/** A span of the past whose times are made up for, once under its name. */
export interface Backfill {
  readonly name: string;
  readonly startAtMs: number;
  readonly endAtMs: number;
  readonly overlap: OverlapPolicy;
}

/** The run that it starts. */
export interface ScheduledRun {
  /** Its workflow id is `<prefix>-<time>`. */
  readonly workflowIdPrefix: string;
  readonly workflowName: string;
  readonly taskQueue: string;
  /** JSON text of the argument list; null for none. */
  readonly input: string | null;
  /** JSON text of the run's options; null for none. */
  readonly options: string | null;
  /** How long it stays once it is closed; null: as its workflow's definition says, or the store's settings. */
  readonly retentionSeconds: number | null;
}

/** A schedule as it is asked for. */
export interface ScheduleDefinition {
  readonly when: ScheduleWhen;
  readonly run: ScheduledRun;
  readonly overlap: OverlapPolicy;
  /** How late a time is still made up for. */
  readonly catchupWindowMs: number;
  readonly pauseOnFailure: boolean;
  /** No time fires; triggers and backfills do. */
  readonly paused: boolean;
  /** Runs started by times after which no time fires; null for no limit. */
  readonly limitRuns: number | null;
  readonly backfills: readonly Backfill[];
  /** Starts a run once for every new value; null for none yet. */
  readonly trigger: string | null;
}
