/**
 * What holds of every decision, whatever is observed, asked for and remembered.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HorizontalPodAutoscaler } from "../simulator/horizontal-pod-autoscaler.ts";
import { START_MS, anyObservation, anyPolicy, anyRules, seen } from "../testing/observations.ts";
import { boundsOf, shareOf } from "./bounds.ts";
import { decide } from "./decide.ts";
import type { ScalingDecision } from "./decide.ts";
import { EMPTY_MEMORY, MOMENTS_MAX } from "./memory.ts";
import type { ScalingMemory } from "./memory.ts";
import type { QueueObservation } from "./observation.ts";
import { DEFAULT_POLICY } from "./policy.ts";
import type { ScalingPolicy } from "./policy.ts";
import { LIMITS } from "./reasons.ts";

/** A policy, and what was observed before with it: some past, so that memories are as they come to be. */
const situation: fc.Arbitrary<{
  readonly policy: ScalingPolicy;
  readonly observation: QueueObservation;
  readonly memory: ScalingMemory;
}> = fc
  .record({
    policy: anyPolicy,
    past: fc.array(fc.tuple(fc.integer({ min: 0, max: 40_000 }), anyObservation(0)), { maxLength: 8 }),
    now: anyObservation(0),
  })
  .map(({ policy, past, now }) => {
    let atMs = START_MS;
    let memory = EMPTY_MEMORY;
    for (const [afterMs, observation] of past) {
      ({ memory } = decide({ ...observation, atMs }, policy, memory));
      atMs += afterMs;
    }
    return { policy, observation: { ...now, atMs }, memory };
  });

/** Each build's decision beside what was observed of it. */
function each(decision: ScalingDecision, { builds }: QueueObservation) {
  return decision.builds.map((decided, index) => {
    const build = builds[index];
    if (build === undefined) throw new Error("a decision without a build");
    return { decided, build };
  });
}

describe("a decision", () => {
  test("keeps the bounds, but for what is in flight in replicas that are there already", () => {
    fc.assert(
      fc.property(situation, ({ policy, observation, memory }) => {
        const { decision } = decide(observation, policy, memory);
        for (const { decided, build } of each(decision, observation)) {
          const { min, max } = boundsOf(build, policy);
          expect(Number.isInteger(decided.replicas)).toBe(true);
          expect(decided.replicas).toBeGreaterThanOrEqual(min);
          if (observation.load.kind === "Unseen") continue;
          const floor = Math.max(build.holders, Math.ceil(build.inFlight / policy.slotsPerReplica));
          const held = Math.min(build.replicas.desired, floor);
          expect(decided.replicas).toBeLessThanOrEqual(Math.max(max, min, held));
        }
      }),
    );
  });

  test("takes no replica away that the work in flight needs, nor one of the workers that hold an attempt", () => {
    fc.assert(
      fc.property(situation, ({ policy, observation, memory }) => {
        const { decision } = decide(observation, policy, memory);
        for (const { decided, build } of each(decision, observation)) {
          if (decided.replicas >= build.replicas.desired) continue;
          expect(decided.replicas).toBeGreaterThanOrEqual(build.holders);
          expect(decided.replicas * policy.slotsPerReplica).toBeGreaterThanOrEqual(build.inFlight);
        }
      }),
    );
  });

  test("never asks for fewer replicas because more is ready", () => {
    fc.assert(
      fc.property(situation, fc.nat(10_000), ({ policy, observation, memory }, more) => {
        const { load } = observation;
        if (load.kind === "Unseen") return;
        const { unassigned } = load;
        const longer: QueueObservation = {
          ...observation,
          load: {
            kind: "Seen",
            unassigned: {
              ...unassigned,
              ready: unassigned.ready + more,
              oldestAgeMs: unassigned.oldestAgeMs ?? 0,
            },
          },
        };
        const before = decide(observation, policy, memory).decision.builds;
        const after = decide(longer, policy, memory).decision.builds;
        before.forEach(({ replicas }, index) =>
          expect(after[index]?.replicas).toBeGreaterThanOrEqual(replicas),
        );
      }),
    );
  });

  test("takes nothing away when the store can't be seen", () => {
    fc.assert(
      fc.property(
        situation,
        fc.constantFrom("Hold", "HoldIfHigher"),
        fc.nat(20),
        ({ policy, observation, memory }, behavior, replicas) => {
          const load = { kind: "Unseen", code: "DATABASE_UNREACHABLE", message: "down" } as const;
          const blind = { ...policy, onMetricsError: { afterFailures: 1, behavior, replicas } };
          const { decision } = decide({ ...observation, load }, blind, memory);
          for (const { decided } of each(decision, observation))
            expect(decided.replicas).toBeGreaterThanOrEqual(decided.current);
        },
      ),
    );
  });

  test("starts at least one replica of a build at zero that has work, whatever windows and policies say", () => {
    fc.assert(
      fc.property(situation, ({ policy, observation, memory }) => {
        const { decision } = decide(observation, policy, memory);
        for (const { decided, build } of each(decision, observation)) {
          const { load } = decided;
          if (load === null || build.replicas.desired > 0 || boundsOf(build, policy).max === 0) continue;
          if (load.waiting.ready + load.waiting.unserved + load.inFlight === 0) continue;
          expect(decided.replicas).toBeGreaterThanOrEqual(1);
        }
      }),
    );
  });

  test("takes the last replica only after the cooldown without backlog, work in flight or a timer ahead", () => {
    const waits = fc.record({ ready: fc.constantFrom(0, 0, 0, 1), nextTimerInMs: fc.option(fc.nat(90_000)) });
    fc.assert(
      fc.property(
        anyPolicy,
        fc.array(fc.tuple(fc.integer({ min: 500, max: 20_000 }), waits), { minLength: 1, maxLength: 100 }),
        (policy, trace) => {
          let atMs = START_MS;
          let memory = EMPTY_MEMORY;
          let idleSinceMs: number | null = null;
          let desired = 1;
          for (const [afterMs, state] of trace) {
            const observation = seen({ ...state, atMs, desired });
            const answer = decide(observation, policy, memory);
            const near = state.nextTimerInMs !== null && state.nextTimerInMs <= policy.timerLookaheadMs;
            idleSinceMs = state.ready > 0 || near ? null : (idleSinceMs ?? atMs);
            const replicas = answer.decision.builds[0]?.replicas ?? -1;
            if (desired > 0 && replicas === 0) {
              expect(atMs - (idleSinceMs ?? atMs)).toBeGreaterThanOrEqual(policy.cooldownMs);
            }
            ({ memory } = answer);
            desired = replicas;
            atMs += afterMs;
          }
        },
      ),
    );
  });

  test("does not flap: under a constant load the replicas go one way, then stay", () => {
    const steady = fc.record({
      ready: fc.nat(2_000),
      inFlight: fc.nat(3_000),
      from: fc.nat(30),
    });
    fc.assert(
      fc.property(anyPolicy, steady, ({ ...policy }, { ready, inFlight, from }) => {
        const constant = { ...policy, targetScheduleToStartMs: null };
        let memory = EMPTY_MEMORY;
        let desired = from;
        const changes: number[] = [];
        for (let look = 0; look < 300; look += 1) {
          const atMs = START_MS + look * 5_000;
          const answer = decide(seen({ atMs, ready, inFlight, desired }), constant, memory);
          const replicas = answer.decision.builds[0]?.replicas ?? -1;
          if (replicas !== desired) changes.push(Math.sign(replicas - desired));
          ({ memory } = answer);
          desired = replicas;
        }
        expect(new Set(changes).size).toBeLessThanOrEqual(1);
      }),
      { numRuns: 50 },
    );
  });

  test("with Manual and External is spec.replicas, or what is there: the load decides nothing", () => {
    fc.assert(
      fc.property(
        situation,
        fc.constantFrom("Manual", "External"),
        fc.option(fc.nat(50)),
        ({ policy, observation, memory }, mode, replicas) => {
          const { decision } = decide(observation, { ...policy, mode, replicas }, memory);
          for (const { decided, build } of each(decision, observation)) {
            if (build.role === "Draining") continue;
            expect(decided.replicas).toBe(
              replicas === null ? build.replicas.desired : shareOf(replicas, build),
            );
            expect(decided.limitedBy).toBe(mode);
          }
        },
      ),
    );
  });

  test("takes nothing away at once after its memory was lost, but for a bound that was lowered", () => {
    fc.assert(
      fc.property(situation, ({ policy, observation }) => {
        const { scaleDown } = policy.behavior;
        if (scaleDown.stabilizationWindowMs === 0) return;
        const { decision } = decide(observation, policy, EMPTY_MEMORY);
        for (const { decided, build } of each(decision, observation)) {
          const { max } = boundsOf(build, policy);
          expect(decided.replicas).toBeGreaterThanOrEqual(Math.min(build.replicas.desired, max));
        }
      }),
    );
  });

  test("names the rule that had the last word, and every rule that changed the figure", () => {
    fc.assert(
      fc.property(situation, ({ policy, observation, memory }) => {
        const { decision } = decide(observation, policy, memory);
        for (const { limitedBy, steps, replicas, raw } of decision.builds) {
          expect(Object.keys(LIMITS)).toContain(limitedBy);
          expect(steps.at(-1)?.limit ?? "None").toBe(limitedBy);
          expect(steps.at(-1)?.replicas ?? raw).toBe(replicas);
        }
        expect(decision.lookAgainInMs).toBeGreaterThan(0);
        expect(decision.lookAgainInMs).toBeLessThanOrEqual(policy.pollIntervalMs);
      }),
    );
  });
});

describe("the memory", () => {
  test("is JSON, is bounded, and forgets builds that are gone", () => {
    fc.assert(
      fc.property(situation, ({ policy, observation, memory }) => {
        const next = decide(observation, policy, memory).memory;
        expect(JSON.parse(JSON.stringify(next))).toEqual(next);
        expect(Object.keys(next.builds)).toEqual(observation.builds.map(({ buildId }) => buildId));
        for (const build of Object.values(next.builds)) {
          for (const list of [build.highs, build.lows, build.scaleUps, build.scaleDowns]) {
            expect(list.length).toBeLessThanOrEqual(MOMENTS_MAX);
          }
        }
      }),
    );
  });

  test("when its entries are merged holds replicas for longer, and by less than two of its spans", () => {
    const windowMs = 300_000;
    const policy: ScalingPolicy = { ...DEFAULT_POLICY, maxReplicas: 1_000 };
    const replicasAt = (looks: number): number => {
      let memory = EMPTY_MEMORY;
      let replicas = 0;
      // Falling by one a second: each recommendation is an entry of its own.
      for (let look = 0; look < looks; look += 1) {
        const state = { atMs: START_MS + look * 1_000, ready: (1_000 - look) * 10, desired: 1_000 };
        const answer = decide(seen(state), policy, memory);
        ({ memory } = answer);
        replicas = answer.decision.builds[0]?.replicas ?? -1;
      }
      return replicas;
    };
    const exact = 1_000 - (600 - windowMs / 1_000);
    expect(replicasAt(600)).toBeGreaterThanOrEqual(exact);
    expect(replicasAt(600)).toBeLessThanOrEqual(exact + (2 * 2 * windowMs) / MOMENTS_MAX / 1_000);
  });
});

test("windows, policies and tolerance do what a HorizontalPodAutoscaler does, on any trace", () => {
  const trace = fc.array(
    fc.record({
      afterMs: fc.integer({ min: 1, max: 25 }).map((seconds) => seconds * 1_000),
      ready: fc.nat(600),
    }),
    { minLength: 1, maxLength: 60 },
  );
  fc.assert(
    fc.property(
      fc.record({ scaleUp: anyRules, scaleDown: anyRules }),
      trace,
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 10 }),
      (behavior, samples, from, min) => {
        const policy = { ...DEFAULT_POLICY, minReplicas: min, maxReplicas: 50, behavior };
        const hpa = new HorizontalPodAutoscaler({
          minReplicas: min,
          maxReplicas: 50,
          targetAverageValue: policy.targetBacklogPerReplica,
          behavior,
        });
        let atMs = START_MS;
        let memory = EMPTY_MEMORY;
        let desired = Math.max(from, min);
        for (const { afterMs, ready } of samples) {
          const answer = decide(seen({ atMs, ready, desired }), policy, memory);
          const expected = hpa.sync(atMs, desired, ready);
          expect(answer.decision.builds[0]?.replicas).toBe(expected);
          ({ memory } = answer);
          desired = expected;
          atMs += afterMs;
        }
      },
    ),
    { numRuns: 1_000 },
  );
});
