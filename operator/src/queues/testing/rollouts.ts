/** Rollouts as tests say them. */
import type { BuildFacts, RolloutFacts, RolloutPlan, Route } from "../core/rollout-facts.ts";
import { taskQueue } from "./task-queues.ts";
import type { Manifest } from "./task-queues.ts";

/** What every build has unless a test says otherwise: a ready worker and no open run. */
export function build(buildId: string, rest: Partial<BuildFacts> = {}): BuildFacts {
  return {
    buildId,
    phase: undefined,
    sinceMs: undefined,
    rampPercent: undefined,
    readyReplicas: 1,
    fault: undefined,
    openRuns: 0,
    ...rest,
  };
}

/** The routing with one current build and draining ones. */
export function routesTo(current: string, ...draining: readonly string[]): readonly Route[] {
  return [
    { buildId: current, role: "Current", sharePercent: 100 },
    ...draining.map((buildId): Route => ({ buildId, role: "Draining", sharePercent: 0 })),
  ];
}

/** A rollout to build `new`. */
export function facts(rest: Partial<RolloutFacts>, versioning: Manifest = {}): RolloutFacts {
  return {
    nowMs: 1_000_000,
    targetBuildId: "new",
    versioning: taskQueue({ versioning }).spec.versioning,
    builds: [],
    routes: [],
    gate: { state: "NotStarted" },
    promote: undefined,
    ...rest,
  };
}

/** The phases of a plan by build. */
export function phasesOf({ versions }: RolloutPlan): Record<string, string> {
  return Object.fromEntries(
    versions.map(({ buildId, phase, rampPercent }) => [
      buildId,
      rampPercent === undefined ? phase : `${phase} ${rampPercent}`,
    ]),
  );
}

/** What the next pass reads when all of a plan was carried out. */
export function afterPlan(before: RolloutFacts, plan: RolloutPlan, nowMs: number): RolloutFacts {
  const builds = plan.versions.map(({ buildId, phase, sinceMs, rampPercent }) => {
    const known = before.builds.find((one) => one.buildId === buildId);
    return { ...build(buildId), ...known, phase, sinceMs, rampPercent };
  });
  return { ...before, nowMs, builds, routes: plan.routes ?? before.routes };
}
