/** The conditions that a TaskQueue's life leads to, but for those of scaling. */
import type { TASK_QUEUE_CONDITIONS } from "@memflow/crds";
import type { ClaimOf } from "../../api/conditions.ts";
import type { PodFault } from "./pod-faults.ts";
import type { Progress } from "./rollout-facts.ts";

type Claim = ClaimOf<typeof TASK_QUEUE_CONDITIONS>;
export type ClaimFor<Type extends Claim["type"]> = Extract<Claim, { readonly type: Type }>;

/** Types that are claimed here: the rest of the catalog is of those who write replicas. */
export const CLAIMED_CONDITIONS = [
  "Ready",
  "Available",
  "Progressing",
  "Draining",
  "StoreReady",
  "CodeReady",
] as const;

/** Something that is not as it should be. */
export interface Hindrance<Reason extends string> {
  readonly reason: Reason;
  readonly message: string;
}

/** What the conditions are made from. */
export interface ClaimFacts {
  readonly store: Hindrance<"StoreNotFound" | "StoreNotReady" | "QueueNameTaken"> | undefined;
  /** Undefined: the code is there, as far as anybody had to know. */
  readonly code: Hindrance<Exclude<ClaimFor<"CodeReady">["reason"], "SourceReady">> | undefined;
  /** Why there is no rollout under way to speak of, or how far it is; undefined while it can't be known. */
  readonly progress: Progress | Hindrance<"TooManyBuilds" | "InvalidTemplate"> | undefined;
  /** The current build's workers; undefined without a current build. */
  readonly current:
    | {
        readonly buildId: string;
        readonly desired: number;
        readonly ready: number;
        readonly fault: PodFault | undefined;
      }
    | undefined;
  /** Old builds with the open runs that stay with them; undefined when they were not counted. */
  readonly draining: readonly { readonly buildId: string; readonly openRuns: number | undefined }[];
  /** The queue is being deleted. */
  readonly deletion: Hindrance<"Deleting" | "TimedOut"> | undefined;
}

/** Of these, none goes on by itself. */
const STANDSTILL: readonly string[] = ["RolloutComplete", "GateFailed", "GateTimedOut", "InvalidTemplate"];

/** Claims all of them; Progressing is left out while nothing is known of it. */
export function queueClaims(facts: ClaimFacts): readonly Claim[] {
  const { progress } = facts;
  const progressing: readonly Claim[] =
    progress === undefined
      ? []
      : [
          {
            type: "Progressing",
            status: STANDSTILL.includes(progress.reason) ? "False" : "True",
            ...progress,
          },
        ];
  const available = availableClaim(facts);
  return [
    readyClaim(facts, available),
    available,
    ...progressing,
    drainingClaim(facts),
    facts.store === undefined
      ? { type: "StoreReady", status: "True", reason: "StoreReady", message: "the Store is ready" }
      : { type: "StoreReady", status: "False", ...facts.store },
    facts.code === undefined
      ? {
          type: "CodeReady",
          status: "True",
          reason: "SourceReady",
          message: "the source of the workers is there",
        }
      : { type: "CodeReady", status: "False", ...facts.code },
  ];
}

function readyClaim(facts: ClaimFacts, available: ClaimFor<"Available">): ClaimFor<"Ready"> {
  const { store, code, progress, deletion, current } = facts;
  const no = (reason: ClaimFor<"Ready">["reason"], message: string): ClaimFor<"Ready"> => ({
    type: "Ready",
    status: "False",
    reason,
    message,
  });
  if (deletion !== undefined) return no("Deleting", deletion.message);
  if (store !== undefined) return no("StoreNotReady", store.message);
  if (code !== undefined) return no("CodeNotReady", code.message);
  if (progress === undefined) return no("RolloutInProgress", "the build of the spec has not been made yet");
  if (progress.reason !== "RolloutComplete") return no("RolloutInProgress", progress.message);
  if (available.status !== "True") return no("WorkersNotReady", available.message);
  const isIdle = current?.desired === 0;
  return {
    type: "Ready",
    status: "True",
    reason: isIdle ? "ScaledToZero" : "Serving",
    message: isIdle ? "the next task wakes the queue" : available.message,
  };
}

function availableClaim({ current }: ClaimFacts): ClaimFor<"Available"> {
  if (current === undefined) {
    const message = "there is no current build yet";
    return { type: "Available", status: "False", reason: "MinimumReplicasNotReady", message };
  }
  const { buildId, desired, ready, fault } = current;
  const workers = `${ready} of ${desired} workers of build "${buildId}" are ready`;
  if (desired === 0) {
    const message = "the queue is at zero: the next task wakes it";
    return { type: "Available", status: "True", reason: "ScaledToZero", message };
  }
  if (ready > 0) {
    return { type: "Available", status: "True", reason: "MinimumReplicasReady", message: workers };
  }
  const reason =
    fault === undefined || fault.reason === "ConfigMissing" ? "MinimumReplicasNotReady" : fault.reason;
  const message = fault === undefined ? workers : `${workers}: ${fault.message}`;
  return { type: "Available", status: "False", reason, message };
}

function drainingClaim({ draining, deletion }: ClaimFacts): ClaimFor<"Draining"> {
  if (deletion !== undefined) return { type: "Draining", status: "True", ...deletion };
  if (draining.length === 0) {
    const message = "no old build has open runs";
    return { type: "Draining", status: "False", reason: "NothingToDrain", message };
  }
  const builds = draining.map(({ buildId, openRuns }) => `build "${buildId}": ${openRuns ?? "?"} open runs`);
  return { type: "Draining", status: "True", reason: "PinnedRuns", message: builds.join(", ") };
}
