/**
 * The decision for one build: what the load asks for, then each rule in turn.
 *
 * The rules are a pipeline: each takes the replicas so far and gives the replicas after it, and what changed them is
 * kept. So status can say both what was asked for and what came of it.
 */
import { boundsOf, shareOf } from "./bounds.ts";
import type { BuildBounds } from "./bounds.ts";
import { limitStep, longestPeriodMs, stabilize } from "./behavior.ts";
import { EMPTY_BUILD_MEMORY, rememberChange, rememberHigh, rememberLow } from "./memory.ts";
import type { BuildMemory } from "./memory.ts";
import type { BuildObservation, QueueObservation, WaitingLoad } from "./observation.ts";
import type { ScalingPolicy } from "./policy.ts";
import type { Limit, Term } from "./reasons.ts";
import { hasWork, loadOf, recommend, tolerate, wakes } from "./recommend.ts";
import type { BuildLoad } from "./recommend.ts";

/** What is decided for one build, and how it came about. */
export interface BuildDecision {
  readonly buildId: string;
  /** Replicas that its Deployment asks for now. */
  readonly current: number;
  /** Replicas that it should ask for. */
  readonly replicas: number;
  /** Replicas that it will come to once what is in flight has ended; `planScaleIn` makes room for that. */
  readonly aim: number;
  /** What each term asks for; null when the load is not known. */
  readonly terms: Readonly<Record<Term, number>> | null;
  /** The largest term, before any rule; null when the load is not known. */
  readonly raw: number | null;
  /** Each rule that changed the figure, with the figure after it; in order. */
  readonly steps: readonly DecisionStep[];
  /** The last of them. */
  readonly limitedBy: Limit;
  /** The load that it answers for; null when it is not known. */
  readonly load: BuildLoad | null;
  readonly inFlight: number;
  /** Pods that hold a busy run or an attempt: no scale-in goes below them. */
  readonly holders: number;
  readonly bounds: BuildBounds;
}

/** A rule that changed the figure. */
export interface DecisionStep {
  readonly limit: Limit;
  readonly replicas: number;
}

/** What the decision for one build starts from. */
export interface BuildQuestion {
  readonly observation: QueueObservation;
  readonly build: BuildObservation;
  readonly policy: ScalingPolicy;
  readonly memory: BuildMemory | undefined;
  readonly failureCount: number;
}

/** A decision and what is to be remembered of it. */
export interface BuildAnswer {
  readonly decision: BuildDecision;
  readonly memory: BuildMemory;
}

/** A gap of this many polls between two observations, and at least {@link GAP_MIN_MS}, is a loss of memory. */
const GAP_POLLS = 3;
const GAP_MIN_MS = 30_000;

/** Decides one build. */
export function decideBuild(question: BuildQuestion): BuildAnswer {
  const { observation, build, policy } = question;
  const { load } = observation;
  const observed = observe(question);
  if (policy.mode !== "Operator" && build.role !== "Draining") return follow(question, observed);
  return load.kind === "Seen" ? decideSeen(question, observed, load.unassigned) : hold(question, observed);
}

/** Terms, then rules. */
function decideSeen(question: BuildQuestion, memory: BuildMemory, unassigned: WaitingLoad): BuildAnswer {
  const { observation, build, policy } = question;
  const nowMs = observation.atMs;
  const current = build.replicas.desired;
  const bounds = boundsOf(build, policy);
  const load = loadOf(build, unassigned);
  const recommendation = recommend(load, build.replicas.ready, policy);
  const wanted = tolerate(recommendation, current, policy.behavior);
  const remembered = rememberRecommendation(memory, { atMs: nowMs, replicas: wanted }, policy);
  const active = hasWork(load, policy);
  const idleSinceMs = active ? null : Math.min(memory.idleSinceMs ?? nowMs, nowMs);
  const cooled = idleSinceMs !== null && nowMs - idleSinceMs >= bounds.cooldownMs;

  const figure = new Figure(recommendation.raw);
  figure.apply("Tolerance", wanted);
  const steady = stabilize(current, remembered);
  // The windows are for replicas beyond the last one: how long that one stays, the cooldown alone says.
  figure.apply("Stabilization", wanted === 0 && steady === 1 ? 0 : steady);
  figure.apply(
    "Step",
    limitStep(current, figure.replicas, { behavior: policy.behavior, memory: remembered, nowMs }),
  );
  figure.apply("Max", Math.min(figure.replicas, bounds.max));
  if (current === 0 && !wakes(load, policy)) figure.apply("Activation", 0);
  figure.apply("Min", Math.max(figure.replicas, bounds.min));
  if (current === 0 && wakes(load, policy))
    figure.apply("Activation", Math.max(figure.replicas, Math.min(1, bounds.max)));
  if (current > 0 && !cooled) figure.apply("Cooldown", Math.max(figure.replicas, Math.min(1, bounds.max)));
  const room = Math.ceil(build.inFlight / policy.slotsPerReplica);
  const aim = Math.max(figure.replicas, Math.min(current, room));
  figure.apply("InFlightFloor", Math.max(figure.replicas, Math.min(current, Math.max(room, build.holders))));
  figure.apply("Paused", pausedAt(figure.replicas, current, question));
  return {
    decision: decisionOf(question, figure, {
      terms: recommendation.terms,
      raw: recommendation.raw,
      load,
      aim: pausedAt(aim, current, question),
    }),
    memory: { ...remembered, idleSinceMs, seen: { atMs: nowMs, desired: current } },
  };
}

/** Nobody knows the load: nothing goes, and the time of it counts for no cooldown and no window. */
function hold(question: BuildQuestion, memory: BuildMemory): BuildAnswer {
  const { observation, build, policy, failureCount } = question;
  const nowMs = observation.atMs;
  const current = build.replicas.desired;
  const bounds = boundsOf(build, policy);
  const { afterFailures, behavior, replicas } = policy.onMetricsError;
  const raised = behavior === "HoldIfHigher" && failureCount >= afterFailures && build.role !== "Draining";
  const figure = new Figure(Number.NaN);
  figure.apply("Hold", raised ? Math.max(current, Math.min(shareOf(replicas, build), bounds.max)) : current);
  figure.apply("Min", Math.max(figure.replicas, bounds.min));
  figure.apply("Paused", pausedAt(figure.replicas, current, question));
  return {
    decision: decisionOf(question, figure, { terms: null, raw: null, load: null, aim: figure.replicas }),
    memory: {
      ...rememberRecommendation(memory, { atMs: nowMs, replicas: current }, policy),
      idleSinceMs: null,
      seen: { atMs: nowMs, desired: current },
    },
  };
}

/** Somebody else decides: the build takes its share of `spec.replicas`, or stays while nobody has written it. */
function follow(question: BuildQuestion, memory: BuildMemory): BuildAnswer {
  const { observation, build, policy } = question;
  const current = build.replicas.desired;
  const load = observation.load.kind === "Seen" ? loadOf(build, observation.load.unassigned) : null;
  const asked = load === null ? null : recommend(load, build.replicas.ready, policy);
  const figure = new Figure(Number.NaN);
  figure.apply(
    policy.mode === "Manual" ? "Manual" : "External",
    policy.replicas === null ? current : shareOf(policy.replicas, build),
  );
  figure.apply("Paused", pausedAt(figure.replicas, current, question));
  return {
    decision: decisionOf(question, figure, {
      terms: asked?.terms ?? null,
      raw: asked?.raw ?? null,
      load,
      aim: figure.replicas,
    }),
    // A later switch to Auto starts from what is there then.
    memory: {
      ...EMPTY_BUILD_MEMORY,
      scaleUps: memory.scaleUps,
      scaleDowns: memory.scaleDowns,
      seen: { atMs: observation.atMs, desired: current },
    },
  };
}

/**
 * What is known once this observation is there: changes since the last one, and, after a gap or with no memory, the
 * present replicas as if they had been recommended now.
 */
function observe({ observation, build, policy, memory = EMPTY_BUILD_MEMORY }: BuildQuestion): BuildMemory {
  const nowMs = observation.atMs;
  const current = build.replicas.desired;
  const gapMs = Math.max(GAP_MIN_MS, GAP_POLLS * policy.pollIntervalMs);
  const periodMs = longestPeriodMs(policy.behavior);
  const { seen } = memory;
  // What changed was decided when it was seen last, so that its period begins there.
  const change = seen === null ? 0 : current - seen.desired;
  const atMs = Math.min(seen?.atMs ?? nowMs, nowMs);
  const known: BuildMemory = {
    ...memory,
    scaleUps: rememberChange(memory.scaleUps, { atMs, replicas: Math.max(change, 0) }, { nowMs, periodMs }),
    scaleDowns: rememberChange(
      memory.scaleDowns,
      { atMs, replicas: Math.max(-change, 0) },
      { nowMs, periodMs },
    ),
  };
  if (seen !== null && Math.abs(nowMs - seen.atMs) <= gapMs) return known;
  return {
    ...rememberRecommendation(known, { atMs: nowMs, replicas: current }, policy),
    idleSinceMs: null,
  };
}

function rememberRecommendation(
  memory: BuildMemory,
  latest: { readonly atMs: number; readonly replicas: number },
  { behavior }: ScalingPolicy,
): BuildMemory {
  return {
    ...memory,
    highs: rememberHigh(memory.highs, latest, behavior.scaleDown.stabilizationWindowMs),
    lows: rememberLow(memory.lows, latest, behavior.scaleUp.stabilizationWindowMs),
  };
}

function pausedAt(replicas: number, current: number, { observation, policy }: BuildQuestion): number {
  const { pause } = observation;
  if (pause.replicas !== null) return pause.replicas;
  const upTo = pause.scaleOut || policy.paused.scaleOut ? Math.min(replicas, current) : replicas;
  return pause.scaleIn || policy.paused.scaleIn ? Math.max(upTo, current) : upTo;
}

function decisionOf(
  { build, policy }: BuildQuestion,
  figure: Figure,
  asked: Pick<BuildDecision, "aim" | "terms" | "raw" | "load">,
): BuildDecision {
  return {
    buildId: build.buildId,
    current: build.replicas.desired,
    replicas: figure.replicas,
    ...asked,
    steps: figure.steps,
    limitedBy: figure.steps.at(-1)?.limit ?? "None",
    inFlight: build.inFlight,
    holders: build.holders,
    bounds: boundsOf(build, policy),
  };
}

/** The replicas so far, and which rules changed them. */
class Figure {
  readonly steps: DecisionStep[] = [];
  replicas: number;

  /** @param raw - What the load asks for; NaN when it is not known: the first rule decides. */
  constructor(raw: number) {
    this.replicas = raw;
  }

  apply(limit: Limit, replicas: number): void {
    if (replicas === this.replicas) return;
    this.replicas = replicas;
    this.steps.push({ limit, replicas });
  }
}
