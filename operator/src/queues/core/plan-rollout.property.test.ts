/** What holds of builds whatever happens to them, in whatever order. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { afterPlan, build, facts } from "../testing/rollouts.ts";
import { planRollout, versionsOf } from "./plan-rollout.ts";
import type { BuildFacts, GateRun, RolloutFacts, RolloutPlan } from "./rollout-facts.ts";

const BUILD_IDS = ["a", "b", "c", "d"] as const;
const STRATEGIES = [
  {},
  { rollout: { strategy: "Manual" } },
  { rollout: { gate: { workflow: "smoke", timeout: "20s" } } },
  {
    rollout: {
      strategy: "Progressive",
      steps: [
        { percent: 20, pause: "30s" },
        { percent: 60, pause: "30s" },
      ],
    },
  },
  { draining: { scaledownDelay: "0s", deleteDelay: "0s" } },
] as const;

interface Turn {
  readonly target: (typeof BUILD_IDS)[number];
  readonly strategy: number;
  readonly passMs: number;
  readonly ready: boolean;
  readonly fault: boolean;
  readonly openRuns: number | undefined;
  readonly gate: GateRun["state"];
  readonly promote: (typeof BUILD_IDS)[number] | undefined;
  /** Where the pass is cut short: the routing stands or not, the status never. */
  readonly cut: "whole" | "before" | "after";
}

const turn: fc.Arbitrary<Turn> = fc.record({
  target: fc.constantFrom(...BUILD_IDS),
  strategy: fc.nat(STRATEGIES.length - 1),
  passMs: fc.nat(60_000),
  ready: fc.boolean(),
  fault: fc.boolean(),
  openRuns: fc.constantFrom(undefined, 0, 0, 3),
  gate: fc.constantFrom("NotStarted", "Running", "Completed", "Failed", "TimedOut"),
  promote: fc.option(fc.constantFrom(...BUILD_IDS), { nil: undefined }),
  cut: fc.constantFrom("whole", "whole", "before", "after"),
});

function gateOf(state: GateRun["state"], nowMs: number): GateRun {
  if (state === "Running") return { state, startedMs: nowMs - 5_000 };
  return state === "Failed" ? { state, message: "boom" } : { state };
}

/** What a pass reads after a turn: the build of the spec is made, and its pods and runs are as the turn says. */
function read(before: RolloutFacts, one: Turn): RolloutFacts {
  const nowMs = before.nowMs + one.passMs;
  const known = before.builds.some(({ buildId }) => buildId === one.target);
  const builds = known ? before.builds : [...before.builds, build(one.target)];
  const observed = builds.map((each): BuildFacts => {
    const isTarget = each.buildId === one.target;
    return {
      ...each,
      readyReplicas: isTarget && !one.ready ? 0 : 1,
      fault: isTarget && one.fault ? "it crashes" : undefined,
      openRuns: one.openRuns,
    };
  });
  const versioning = facts({}, STRATEGIES[one.strategy]).versioning;
  return {
    ...before,
    nowMs,
    targetBuildId: one.target,
    versioning,
    builds: observed,
    gate: gateOf(one.gate, nowMs),
    promote: one.promote,
  };
}

function carryOut(current: RolloutFacts, plan: RolloutPlan, { cut }: Turn): RolloutFacts {
  if (cut === "whole") return afterPlan(current, plan, current.nowMs);
  return cut === "before" ? current : { ...current, routes: plan.routes ?? current.routes };
}

/** Calls back with each pass of a random story. */
function story(
  turns: readonly Turn[],
  look: (current: RolloutFacts, plan: RolloutPlan, one: Turn) => void,
): void {
  let current = facts({ nowMs: 0 });
  for (const one of turns) {
    current = read(current, one);
    const plan = planRollout(current);
    look(current, plan, one);
    current = carryOut(current, plan, one);
  }
}

const stories = fc.array(turn, { minLength: 1, maxLength: 25 });

test("once there is a build, exactly one is current, and those that get new runs share them all", () => {
  fc.assert(
    fc.property(stories, (turns) => {
      story(turns, (_current, { versions, routes }) => {
        expect(versions.filter(({ phase }) => phase === "Current")).toHaveLength(1);
        expect(versions.filter(({ phase }) => phase === "Ramping").length).toBeLessThanOrEqual(1);
        expect((routes ?? []).reduce((sum, { sharePercent }) => sum + sharePercent, 0)).toBe(100);
      });
    }),
  );
});

test("no build gets its first new run without proof while another one serves", () => {
  fc.assert(
    fc.property(stories, (turns) => {
      story(turns, (current, { routes = [] }, one) => {
        const before = versionsOf(current);
        const served = before.some(({ phase }) => phase === "Current");
        const gate = current.versioning.rollout.gate;
        for (const { buildId, sharePercent } of routes) {
          const was = before.find((version) => version.buildId === buildId)?.phase;
          if (sharePercent === 0 || was !== "Pending" || !served) continue;
          expect([buildId, one.ready, one.fault]).toEqual([one.target, true, false]);
          if (gate !== undefined) expect(one.gate).toBe("Completed");
        }
      });
    }),
  );
});

test("a build with open runs, or of which nobody counted them, is never removed; nor is who gets new runs", () => {
  fc.assert(
    fc.property(stories, (turns) => {
      story(turns, (current, { removed, versions }) => {
        for (const buildId of removed) {
          expect(current.builds.find((each) => each.buildId === buildId)?.openRuns).toBe(0);
          expect(versions.some((version) => version.buildId === buildId)).toBe(false);
          expect(current.routes.some((route) => route.buildId === buildId && route.sharePercent > 0)).toBe(
            false,
          );
        }
      });
    }),
  );
});

test("a pass that was cut short anywhere comes to the same phases when it is made again", () => {
  fc.assert(
    fc.property(stories, (turns) => {
      story(turns, (current, plan) => {
        const again = planRollout({ ...current, routes: plan.routes ?? current.routes });
        const isStep = plan.versions.map(({ buildId, phase, rampPercent }) => ({
          buildId,
          phase,
          rampPercent,
        }));
        // What a second look may find on top of it: an old build, of which it now knows that it gets no new runs, is drained.
        const expected = again.versions.map(({ buildId, phase, rampPercent }) => {
          const first = isStep.find((version) => version.buildId === buildId)?.phase;
          return { buildId, phase: phase === "Drained" && first === "Draining" ? first : phase, rampPercent };
        });
        expect(expected).toEqual(isStep);
      });
    }),
  );
});
