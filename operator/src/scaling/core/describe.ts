/**
 * A scaling decision in one sentence, for status and Events: what changes, what asked for it, what limits it.
 */
import type { BuildDecision } from "./decide-build.ts";
import type { QueueObservation } from "./observation.ts";
import type { ScalingPolicy } from "./policy.ts";
import type { Limit, Term } from "./reasons.ts";

/** What a sentence is made of. */
interface Facts {
  readonly decision: BuildDecision;
  readonly policy: ScalingPolicy;
  /** Why the store is unseen. */
  readonly trouble: string;
}

/** How a limit reads after what was asked for. */
const LIMIT_CLAUSES: Readonly<Record<Limit, (facts: Facts) => string>> = {
  None: () => "",
  Tolerance: () => "; within the tolerance",
  Stabilization: ({ decision, policy }) =>
    `; the window of ${windowSeconds(decision, policy)} s recommended otherwise`,
  Step: () => "; the step policy allows no more at once",
  Max: ({ decision }) => `; at most ${decision.bounds.max}`,
  Min: ({ decision }) => `; at least ${decision.bounds.min}`,
  Activation: ({ decision, policy }) =>
    decision.replicas > 0 ? "; activated from zero" : `; ${policy.activationBacklog} activate it`,
  Cooldown: ({ decision }) => `; the last one stays until idle for ${seconds(decision.bounds.cooldownMs)} s`,
  InFlightFloor: ({ decision }) =>
    `; ${count(decision.holders, "worker")} hold${decision.holders === 1 ? "s" : ""} ${decision.inFlight} in flight`,
  Hold: ({ trouble }) => `; held: ${trouble}`,
  Paused: () => "; paused",
  Manual: () => "; spec.replicas decides (mode Manual)",
  External: () => "; the scale subresource decides (mode External)",
};

/** Describes the decision for one build. */
export function describeBuild(
  decision: BuildDecision,
  { load }: QueueObservation,
  policy: ScalingPolicy,
): string {
  const { current, replicas, buildId } = decision;
  const change =
    replicas === current
      ? `stays at ${count(replicas, "replica")}`
      : `goes from ${current} to ${count(replicas, "replica")}`;
  const trouble = load.kind === "Unseen" ? `${load.message} (${load.code})` : "";
  const limit = LIMIT_CLAUSES[decision.limitedBy]({ decision, policy, trouble });
  return `build "${buildId}" ${change}${asks(decision)}${limit}.`;
}

/** What the load asks for, and the terms that ask for most. */
function asks({ terms, raw, load }: BuildDecision): string {
  if (terms === null || raw === null || load === null) return "";
  if (raw === 0) return ": idle";
  const { waiting, inFlight } = load;
  const words: Readonly<Record<Term, string>> = {
    backlog: `${waiting.ready} ready`,
    inFlight: `${inFlight} in flight`,
    age: `the oldest ready (${seconds(waiting.oldestAgeMs ?? 0)} s)`,
    timer: `a timer due in ${seconds(waiting.nextTimerInMs ?? 0)} s`,
    unserved: `${waiting.unserved} ready of names that no worker knows`,
  };
  const highest = (Object.keys(words) as Term[]).filter((term) => terms[term] === raw);
  return `: asked for ${raw} by ${highest.map((term) => words[term]).join(" and ")}`;
}

function windowSeconds({ raw, replicas }: BuildDecision, { behavior }: ScalingPolicy): number {
  const rules = raw !== null && raw > replicas ? behavior.scaleUp : behavior.scaleDown;
  return seconds(rules.stabilizationWindowMs);
}

function seconds(ms: number): number {
  return Math.round(ms / 1_000);
}

function count(replicas: number, noun: string): string {
  return `${replicas} ${noun}${replicas === 1 ? "" : "s"}`;
}
