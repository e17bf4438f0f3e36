/**
 * What a scaling decision is made from: one queue's load and replicas at one moment.
 *
 * The time is in it, so that a decision needs no clock: `atMs` counts where the decisions are made, and everything that
 * the database knows of time comes as a distance from its own now. Nothing here is read by anybody but `decide`.
 */

/** Work that waits: of one build, or for whichever build gets new runs. */
export interface WaitingLoad {
  /** Ready runs and attempts that a living worker could claim now. */
  readonly ready: number;
  /** How long the oldest of them has been ready; null without any. */
  readonly oldestAgeMs: number | null;
  /** Until the next due time of a run or attempt that is not ready yet; 0 when it is due, null without any. */
  readonly nextTimerInMs: number | null;
  /** Ready runs and attempts whose names no living worker of the queue knows; not part of `ready`. */
  readonly unserved: number;
}

/** Current gets new runs, Ramping a share of them, Draining none. */
export type BuildRole = "Current" | "Ramping" | "Draining";

/** One build of the queue: its Deployment, and what is its own of the load. */
export interface BuildObservation {
  readonly buildId: string;
  readonly role: BuildRole;
  /** Share of new runs in percent: 100 for the current build alone, 0 for a draining one. */
  readonly sharePercent: number;
  readonly replicas: {
    /** `spec.replicas` of the Deployment. */
    readonly desired: number;
    readonly ready: number;
    /** Desired and not ready: they start, or fail to. */
    readonly unavailable: number;
  };
  /** What waits for this build alone. */
  readonly waiting: WaitingLoad;
  /** Busy runs and leased attempts of the build's living workers. */
  readonly inFlight: number;
  /** Pods that are not being deleted and hold a busy run or an attempt. */
  readonly holders: number;
}

/** The load of the store could be read. */
export interface SeenQueue {
  readonly kind: "Seen";
  /** What waits for whichever build gets new runs. */
  readonly unassigned: WaitingLoad;
}

/** The load of the store could not be read. */
export interface UnseenQueue {
  readonly kind: "Unseen";
  /** A stable code, as of MemFlow's errors: `CONNECTION_LOST`. */
  readonly code: string;
  /** What a person is told. */
  readonly message: string;
}

/** What annotations say; they win over `policy.paused`. */
export interface Pause {
  readonly scaleIn: boolean;
  readonly scaleOut: boolean;
  /** Replicas to hold while paused; null for those that are there. */
  readonly replicas: number | null;
}

/** @see decide */
export interface QueueObservation {
  readonly queueName: string;
  readonly atMs: number;
  readonly load: SeenQueue | UnseenQueue;
  /** At most one Current and one Ramping; with `Unseen` their load is not looked at. */
  readonly builds: readonly BuildObservation[];
  readonly pause: Pause;
}

/** No load at all. */
export const NOTHING_WAITS: WaitingLoad = { ready: 0, oldestAgeMs: null, nextTimerInMs: null, unserved: 0 };

/** Nothing is paused. */
export const NOT_PAUSED: Pause = { scaleIn: false, scaleOut: false, replicas: null };
