/**
 * Which builds of a queue get their replicas by what: the load decides for those that have or get runs; a build that has yet
 * to prove itself gets one replica, and one that has no run left loses its own after a while.
 *
 * The phases are said by who looks after the rollout. A Deployment without a phase is left alone: nobody has said yet what it
 * is for.
 */
import { dateTimeMs } from "@memflow/crds";
import type { TaskQueueStatus } from "@memflow/crds";
import type { BuildRole, Pause } from "../../scaling/core/observation.ts";
import type { BuildReplicas } from "../../scaling/core/queue-observation.ts";
import type { ScalingPolicy } from "../../scaling/core/policy.ts";

/** A Deployment of the queue. */
export interface BuildDeployment {
  readonly name: string;
  readonly buildId: string;
  /** What it was told last, as far as we know. */
  readonly desired: number;
  readonly ready: number;
}

/** A build whose replicas do not depend on the load. */
export interface FixedBuild {
  readonly deployment: BuildDeployment;
  readonly wanted: number;
  /** Completes "build … goes from 0 to 1 replica: …". */
  readonly why: string;
}

/** All builds that have a Deployment and a phase. */
export interface QueueBuilds {
  /** Current, then Ramping, then Draining. */
  readonly byLoad: readonly BuildReplicas[];
  readonly fixed: readonly FixedBuild[];
}

type Version = NonNullable<TaskQueueStatus["versions"]>[number];

/** What besides the phases decides about a fixed build. */
export interface FixedRules {
  readonly policy: ScalingPolicy;
  readonly pause: Pause;
  /** The store could be observed: without that nothing goes, and nothing is started in vain. */
  readonly seen: boolean;
  /** The time of day. */
  readonly wallMs: number;
}

const ROLES: readonly BuildRole[] = ["Current", "Ramping", "Draining"];

/** Sorts the builds. */
export function queueBuilds(
  versions: readonly Version[],
  deployments: readonly BuildDeployment[],
  rules: FixedRules,
): QueueBuilds {
  const placed = versions.flatMap((version) => {
    const deployment = deployments.find(({ buildId }) => buildId === version.buildId);
    return deployment === undefined ? [] : [{ version, deployment }];
  });
  const ramping = versions.reduce((sum, version) => sum + rampingPercent(version), 0);
  const sharePercents: Readonly<Record<BuildRole, number>> = {
    Current: 100 - ramping,
    Ramping: ramping,
    Draining: 0,
  };
  return {
    byLoad: ROLES.flatMap((role) =>
      placed
        .filter(({ version }) => version.phase === role)
        .map(({ deployment }) => ({
          buildId: deployment.buildId,
          role,
          sharePercent: sharePercents[role],
          replicas: {
            desired: deployment.desired,
            ready: deployment.ready,
            unavailable: Math.max(0, deployment.desired - deployment.ready),
          },
        })),
    ),
    fixed: placed.flatMap(({ version, deployment }) => {
      if (version.phase === "Pending") return [pendingBuild(deployment, rules)];
      return version.phase === "Drained" ? [drainedBuild(version, deployment, rules)] : [];
    }),
  };
}

function rampingPercent({ phase, rampPercent }: Version): number {
  return phase === "Ramping" ? (rampPercent ?? 0) : 0;
}

function pendingBuild(deployment: BuildDeployment, { policy, pause, seen }: FixedRules): FixedBuild {
  const stays = !seen || pause.scaleOut || policy.paused.scaleOut || pause.replicas !== null;
  return { deployment, wanted: stays ? deployment.desired : 1, why: "it is new and has to prove itself" };
}

function drainedBuild(
  { since }: Version,
  deployment: BuildDeployment,
  { policy, pause, seen, wallMs }: FixedRules,
): FixedBuild {
  const paused = pause.scaleIn || policy.paused.scaleIn || pause.replicas !== null;
  const sinceMs = dateTimeMs(since ?? "") ?? -Infinity;
  const stays = !seen || paused || wallMs - sinceMs < policy.draining.scaledownDelayMs;
  return { deployment, wanted: stays ? deployment.desired : 0, why: "it has had no run for long enough" };
}
