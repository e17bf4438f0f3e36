/**
 * The plan for one queue at one look: the decision for each of its builds, and how to come there without taking away a pod
 * that holds work.
 *
 * Pure: what is written, and to whom, is for `ScaledQueue`.
 */
import { decide } from "../../scaling/core/decide.ts";
import type { ScalingDecision } from "../../scaling/core/decide.ts";
import type { BuildDecision } from "../../scaling/core/decide-build.ts";
import { describeBuild } from "../../scaling/core/describe.ts";
import type { ScalingMemory } from "../../scaling/core/memory.ts";
import type { QueueObservation, UnseenQueue } from "../../scaling/core/observation.ts";
import { readPause } from "../../scaling/core/pause.ts";
import { planScaleIn } from "../../scaling/core/plan-scale-in.ts";
import type { ScaleIn, ScaleInPlan } from "../../scaling/core/plan-scale-in.ts";
import type { ScalingPolicy } from "../../scaling/core/policy.ts";
import { observeQueue } from "../../scaling/core/queue-observation.ts";
import type { QueueLoad } from "../../scaling/core/queue-observation.ts";
import type { EventReason } from "../../scaling/core/reasons.ts";
import { queueBuilds } from "./queue-builds.ts";
import type { BuildDeployment, FixedBuild, FixedRules } from "./queue-builds.ts";
import type { TaskQueueStatus } from "@memflow/crds";
import type { WorkerPod } from "./worker-pods.ts";

/** What a plan is made from. */
export interface QueueState {
  readonly queueName: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly versions: NonNullable<TaskQueueStatus["versions"]>;
  readonly policy: ScalingPolicy;
  readonly deployments: readonly BuildDeployment[];
  readonly pods: readonly WorkerPod[];
  readonly load: QueueLoad | UnseenQueue;
  /** When the load was observed; steady. */
  readonly atMs: number;
  /** The time of day now. */
  readonly wallMs: number;
  readonly memory: ScalingMemory;
}

/** What is to become of one Deployment. */
export interface BuildPlan {
  readonly deployment: BuildDeployment;
  /** What it is to ask for in the end. */
  readonly wanted: number;
  readonly scaleIn: ScaleInPlan;
  /** To be told once the count of `scaleIn` was written; undefined when that changes nothing. */
  readonly event: { readonly reason: EventReason; readonly note: string } | undefined;
}

/** @see planQueue */
export interface QueuePlan {
  readonly observation: QueueObservation;
  readonly decision: ScalingDecision;
  readonly builds: readonly BuildPlan[];
  readonly memory: ScalingMemory;
  /** Annotations that can't be read. */
  readonly faults: readonly string[];
}

const NOTHING_TO_CLEAR: Omit<ScaleInPlan, "replicas"> = {
  costs: [],
  waitingFor: [],
  cordon: [],
  liftCordons: false,
};

/** Plans. */
export function planQueue(state: QueueState): QueuePlan {
  const { queueName, annotations, versions, policy, deployments, pods, load, atMs, wallMs } = state;
  const { pause } = readPause(annotations);
  const rules: FixedRules = { policy, pause, seen: load.kind === "Seen", wallMs };
  const { byLoad, fixed } = queueBuilds(versions, deployments, rules);
  const { observation, faults } = observeQueue({
    queueName,
    atMs,
    load,
    builds: byLoad,
    pods: pods.map(({ name, buildId, gone }) => ({ name, buildId, terminating: gone })),
    annotations,
  });
  const { decision, memory } = decide(observation, policy, state.memory);
  const decided = decision.builds.flatMap((build) => {
    const deployment = deployments.find(({ buildId }) => buildId === build.buildId);
    return deployment === undefined ? [] : [decidedPlan(build, deployment, state, observation)];
  });
  return {
    observation,
    decision,
    builds: [...decided, ...fixed.map((build) => fixedPlan(build, state))],
    memory,
    faults,
  };
}

function decidedPlan(
  decision: BuildDecision,
  deployment: BuildDeployment,
  state: QueueState,
  observation: QueueObservation,
): BuildPlan {
  const { current, replicas: wanted, aim, limitedBy } = decision;
  const holdersMayGo =
    limitedBy === "Manual" || limitedBy === "External" || observation.pause.replicas !== null;
  const scaleIn = planBuild(state, deployment, { current, wanted, aim, holdersMayGo });
  const note = describeBuild({ ...decision, replicas: scaleIn.replicas }, observation, state.policy);
  const reason = reasonOf(current, scaleIn.replicas);
  return { deployment, wanted, scaleIn, event: reason && { reason, note } };
}

function fixedPlan({ deployment, wanted, why }: FixedBuild, state: QueueState): BuildPlan {
  const current = deployment.desired;
  const scaleIn = planBuild(state, deployment, { current, wanted, aim: wanted, holdersMayGo: false });
  const { replicas } = scaleIn;
  const note = `build "${deployment.buildId}" goes from ${current} to ${replicas} replicas: ${why}.`;
  if (replicas === current) return { deployment, wanted, scaleIn, event: undefined };
  return {
    deployment,
    wanted,
    scaleIn,
    event: { reason: replicas > current ? "ScaledUp" : "ScaledDown", note },
  };
}

/** Who holds what is not known while the store is unseen: then no pod is told apart from another. */
function planBuild({ pods, load }: QueueState, { buildId }: BuildDeployment, request: ScaleIn): ScaleInPlan {
  if (load.kind === "Unseen") return { ...NOTHING_TO_CLEAR, replicas: request.wanted };
  return planScaleIn(
    pods.filter((pod) => pod.buildId === buildId),
    load.workers,
    request,
  );
}

function reasonOf(current: number, replicas: number): EventReason | undefined {
  if (replicas === current) return undefined;
  if (replicas > current) return current === 0 ? "Activated" : "ScaledUp";
  return replicas === 0 ? "ScaledToZero" : "ScaledDown";
}
