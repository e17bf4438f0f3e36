/** What a rollout is decided from, and what is decided. */
import type { TaskQueueSpec, TaskQueueStatus } from "@memflow/crds";

/** One build as a status shows it. */
export type VersionStatus = NonNullable<TaskQueueStatus["versions"]>[number];
export type Phase = NonNullable<VersionStatus["phase"]>;
export type Versioning = TaskQueueSpec["versioning"];

/** A row of the routing table: which builds get new runs. */
export interface Route {
  readonly buildId: string;
  readonly role: "Current" | "Ramping" | "Draining";
  readonly sharePercent: number;
}

/** The run that judges a build. */
export type GateRun =
  | { readonly state: "NotStarted" }
  | { readonly state: "Running"; readonly startedMs: number }
  | { readonly state: "Completed" }
  /** It took longer than it may, and was ended. */
  | { readonly state: "TimedOut" }
  | { readonly state: "Failed"; readonly message: string };

/** A build that has a template in the cluster. */
export interface BuildFacts {
  readonly buildId: string;
  /** Of the status as it was read; undefined when it says nothing of the build. */
  readonly phase: Phase | undefined;
  readonly sinceMs: number | undefined;
  readonly rampPercent: number | undefined;
  readonly readyReplicas: number;
  /** Why its pods don't run. */
  readonly fault: string | undefined;
  /** Open runs that stay with it; undefined when they were not counted. */
  readonly openRuns: number | undefined;
}

/** @see planRollout */
export interface RolloutFacts {
  readonly nowMs: number;
  /** Build of the spec. It may not be among the builds yet. */
  readonly targetBuildId: string;
  readonly versioning: Versioning;
  readonly builds: readonly BuildFacts[];
  /** As they stand in the database. */
  readonly routes: readonly Route[];
  readonly gate: GateRun;
  /** Value of the annotation memflow.io/promote. */
  readonly promote: string | undefined;
}

/** A build in its phase. */
export interface Version {
  readonly buildId: string;
  readonly phase: Phase;
  readonly sinceMs: number;
  /** Of new runs, while it is Ramping. */
  readonly rampPercent: number | undefined;
}

/** How far the build of the spec is. */
export interface Progress {
  readonly reason:
    | "RolloutComplete"
    | "NewBuildStarting"
    | "GateRunning"
    | "GateFailed"
    | "GateTimedOut"
    | "Ramping"
    | "WaitingForPromotion";
  readonly message: string;
}

/** What happened to a build. */
export interface VersionEvent {
  readonly type: "Normal" | "Warning";
  readonly reason:
    | "VersionCreated"
    | "VersionPromoted"
    | "VersionDrained"
    | "VersionDeleted"
    | "GateStarted"
    | "GateFailed"
    | "RolloutBlocked";
  readonly note: string;
}

/** What a build's gates have started is to end: nobody waits for it any more. */
export interface GateEnd {
  readonly buildId: string;
  readonly why: "TimedOut" | "GivenUp";
}

/** What is to be. */
export interface RolloutPlan {
  readonly versions: readonly Version[];
  /** The whole routing of the queue; undefined when it can't be said yet, and stays. */
  readonly routes: readonly Route[] | undefined;
  /** Builds whose objects go. */
  readonly removed: readonly string[];
  /** Before a gate is started: of the same build, one that was asked for before. */
  readonly endedGates: readonly GateEnd[];
  readonly startGate: boolean;
  /** Undefined while the build of the spec has no template. */
  readonly progress: Progress | undefined;
  readonly events: readonly VersionEvent[];
  /** Undefined: only a change makes a difference. */
  readonly lookAgainMs: number | undefined;
}
