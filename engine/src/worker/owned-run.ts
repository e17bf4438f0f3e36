/**
 * A run as its owner keeps it: its machine, what it waits for, and what the next flush writes of it.
 *
 * Holds state and small questions about it; decides nothing. Everything here can be lost: the database has it.
 */
import type {
  ActivityCommand,
  EmitCommand,
  EntityCommand,
  InterruptCommand,
  MarkCommand,
  SignalCommand,
  StartCommand,
  TraceCommand,
} from "../core/commands.ts";
import type { EventDraft, HistoryEvent } from "../core/events.ts";
import type { FailureJson } from "../core/failure.ts";
import type { RetryPolicy } from "../core/retry-policy.ts";
import type { ActivityRow } from "./activity-row.ts";
import type { AttemptAbort } from "./attempt-abort.ts";
import type { RunMachine } from "../replay/run-machine.ts";
import type { Shadow } from "../replay/shadow.ts";
import type { RunFacts } from "../replay/run-context.ts";

/** A future event, with what its flush must do besides. */
export interface PendingEvent {
  readonly draft: EventDraft;
  /** The command that the event records and carries out. */
  readonly command?:
    | EntityCommand
    | StartCommand
    | SignalCommand
    | EmitCommand
    | TraceCommand
    | MarkCommand
    | InterruptCommand;
  /** The inbox message that the event records. */
  readonly messageId?: string;
}

/** An activity that this owner is responsible for. */
export interface LocalActivity {
  readonly command: ActivityCommand;
  /** 1-based. */
  attempt: number;
  /**
   * waiting: for a slot; writing: its row must stand before it starts; running; backoff: until its next attempt;
   * remote: the queue has it.
   */
  state: "waiting" | "writing" | "running" | "backoff" | "remote";
  /** Whether a row of `activities` stands for it. */
  written: boolean;
  /** When its next attempt is due (backoff), or when it began to wait or run. */
  sinceMs: number;
  failure: FailureJson | null;
  abort: AttemptAbort | undefined;
}

/** A row of `activities` to write with the next flush. */
export interface ActivityWrite {
  readonly position: number;
  readonly attempt: number;
  readonly state: "queued" | "local";
  readonly dueInMs: number;
  readonly taskQueue: string;
  readonly name: string;
  readonly args: string | null;
  readonly policy: RetryPolicy;
  readonly failure: FailureJson | null;
  /** Start it once the row stands. */
  readonly thenStart: boolean;
}

/** Why a run is taken out of circulation. */
export interface RunProblem {
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly position?: number;
  readonly expected?: string;
  readonly actual?: string;
  readonly place?: string;
  /** The worker, and its build, whose code did not match: others claim the run. */
  readonly worker?: string;
  readonly build?: string;
}

/** What a committed flush recorded of a run, for its machine. */
export interface RunContribution {
  readonly run: OwnedRun;
  readonly eventCount: number;
  /** Whether its row is written, or only locked. */
  readonly rowChanges: boolean;
  readonly busy: boolean;
  readonly wakeAtMs: number | null;
  readonly events: readonly HistoryEvent[];
  readonly pendings: readonly PendingEvent[];
  readonly writes: readonly ActivityWrite[];
  readonly activitiesDone: readonly number[];
  readonly waits: readonly WaitRow[];
  readonly waitsDone: readonly WaitRow[];
  readonly discarded: readonly string[];
  /** Whether its hooks are canceled that still run. */
  readonly cancelsHooks: boolean;
  readonly snapshot: { readonly no: number; readonly document: string; readonly search: string } | undefined;
  readonly end: RunEnd | undefined;
  readonly release: { readonly ready: boolean; readonly problem: RunProblem | undefined } | undefined;
}

export interface RunEnd {
  readonly status: "completed" | "failed";
  readonly result: string | null;
  readonly failure: FailureJson | null;
}

export interface WaitRow {
  readonly position: number;
  readonly signalId: string;
}

export class OwnedRun {
  readonly facts: RunFacts;
  readonly epoch: number;
  readonly machine: RunMachine;
  /** Repeats the run from scratch after each activation, in the test mode that asks for it. */
  readonly shadow: Shadow | undefined;
  readonly lane: number;
  /** True when earlier owners died on it: attempts are written before they start. */
  readonly suspect: boolean;
  /** Its row counts takeovers that found it busy. */
  blamed: boolean;
  /** Recorded events. */
  eventCount: number;
  /** Events to record, in order. */
  pending: PendingEvent[] = [];
  /** Recorded events that the machine has not seen yet. */
  unapplied: HistoryEvent[] = [];
  /** Messages to delete without an event (answers to attempts that were given up). */
  discarded: string[] = [];
  readonly activities: Map<number, LocalActivity> = new Map();
  /** Open timers by position, due in epoch milliseconds of the database. */
  readonly timers: Map<number, number> = new Map();
  /** Rows to write, by position: the last one says it all. */
  writes: Map<number, ActivityWrite> = new Map();
  activitiesDone: number[] = [];
  /** Rows of attempts or waits may stand that its end must remove. */
  rowsOutside: boolean;
  /** Wait rows that stand. */
  readonly waitRows: Map<number, string> = new Map();
  /** Waits without a row yet. */
  readonly newWaits: Map<number, string> = new Map();
  /** Hooks may still run that its end must cancel. They are not listed: nobody says when a detached one has ended. */
  hasHooks: boolean = false;
  /** The next flush cancels the hooks that still run: their attempt of the workflow failed. */
  cancelsHooks: boolean = false;
  end: RunEnd | undefined;
  /** What history answers positions with, the last event of each, while it is replayed. */
  replayed: ReadonlyMap<number, HistoryEvent> | undefined;
  /** What to go on with once the entity's changes are read. */
  afterFeed: readonly ActivityRow[] = [];
  /** When a failed workflow starts anew. */
  restartAtMs: number | undefined;
  restartFired: boolean = false;
  problem: RunProblem | undefined;
  /** Its history is replayed to find the place of its problem: nothing is recorded meanwhile. */
  diagnosing: boolean = false;
  /** Give the run up with the next flush. */
  releasing: boolean = false;
  /** Record one event per flush: Postgres refuses one of several. */
  oneByOne: boolean = false;
  /** Its machine waits for changes of its entity to be read. */
  feeding: boolean = false;
  /** Its inbox, as it was at the claim, is not read yet: it may hold what the code waits for. */
  unread: boolean = false;
  /** No longer owned: whatever still comes for it is dropped. */
  dropped: boolean = false;
  /** The newest message that was read. */
  lastMessageId: string = "0";
  /** What the row says, to write only what changed. */
  readonly recorded: { busy: boolean; wakeAtMs: number | null } = { busy: true, wakeAtMs: null };
  snapshotNo: number = 0;
  snapshotBytes: number = 0;
  changedBytes: number = 0;
  usedAtMs: number = 0;
  /** The time of its last event. */
  lastEventMs: number;

  constructor(options: {
    readonly facts: RunFacts;
    readonly epoch: number;
    readonly machine: RunMachine;
    readonly shadow?: Shadow | undefined;
    readonly lane: number;
    readonly suspect: boolean;
    readonly eventCount: number;
    readonly blamed: boolean;
  }) {
    this.facts = options.facts;
    this.epoch = options.epoch;
    this.machine = options.machine;
    this.shadow = options.shadow;
    this.lane = options.lane;
    this.suspect = options.suspect;
    this.eventCount = options.eventCount;
    this.blamed = options.blamed;
    // Earlier owners may have left some.
    this.rowsOutside = options.epoch > 1;
    this.lastEventMs = options.facts.startedMs;
  }

  get id(): string {
    return this.facts.runId;
  }

  /**
   * Local work is outstanding: code to run, an attempt that runs or waits for a slot, rows that must stand first, or an
   * inbox to read. A run that is not busy has its waits in rows: else nobody who takes it over could be woken by them.
   */
  get busy(): boolean {
    if (this.end !== undefined || this.pending.length > 0 || this.unapplied.length > 0) return true;
    if (this.feeding || this.unread) return true;
    for (const activity of this.activities.values()) {
      if (activity.state === "running" || activity.state === "waiting" || activity.state === "writing")
        return true;
    }
    return false;
  }

  /** The earliest moment at which the run goes on by itself. */
  get wakeAtMs(): number | null {
    let earliest = this.restartAtMs ?? Infinity;
    for (const dueMs of this.timers.values()) earliest = Math.min(earliest, dueMs);
    for (const activity of this.activities.values()) {
      if (activity.state === "backoff") earliest = Math.min(earliest, activity.sinceMs);
    }
    return earliest === Infinity ? null : earliest;
  }
}
