/** How builds take over from each other. */
import { expect, test } from "vitest";
import { afterPlan, build, facts, phasesOf, routesTo } from "../testing/rollouts.ts";
import { planRollout } from "./plan-rollout.ts";
import type { RolloutFacts } from "./rollout-facts.ts";

const STEPS = [
  { percent: 10, pause: "30s" },
  { percent: 50, pause: "60s" },
];
const PROGRESSIVE = { rollout: { strategy: "Progressive", steps: STEPS } };
const MANUAL = { rollout: { strategy: "Manual" } };
const GATE = { rollout: { gate: { workflow: "smoke", timeout: "10s" } } };
const OLD = build("old", { phase: "Current", sinceMs: 5 });
const PENDING = build("new", { phase: "Pending", sinceMs: 7 });

/** The build `old` serves, and `new` has just been made. */
function takeover(rest: Partial<RolloutFacts> = {}, versioning = {}): RolloutFacts {
  return facts({ builds: [OLD, PENDING], routes: routesTo("old"), ...rest }, versioning);
}

test("the first build of a queue gets new runs at once, ready or not", () => {
  const builds = [build("new", { readyReplicas: 0 })];
  const plan = planRollout(facts({ builds }, { ...GATE }));
  expect(phasesOf(plan)).toEqual({ new: "Current" });
  expect(plan.routes).toEqual(routesTo("new"));
  expect(plan).toMatchObject({ startGate: false, progress: { reason: "RolloutComplete" } });
  expect(plan.events.map(({ reason }) => reason)).toEqual(["VersionPromoted"]);
});

test("a current build that stays is nothing to do, and nothing to look for", () => {
  const builds = [build("new", { phase: "Current", sinceMs: 5 })];
  const plan = planRollout(facts({ builds, routes: routesTo("new") }));
  expect(plan).toMatchObject({ events: [], removed: [], lookAgainMs: undefined });
  expect(plan.versions).toEqual([{ buildId: "new", phase: "Current", sinceMs: 5, rampPercent: undefined }]);
});

test("without a build of the spec nothing is said of progress, and the routing stays", () => {
  expect(planRollout(facts({}))).toMatchObject({ progress: undefined, routes: undefined });
  const plan = planRollout(facts({ builds: [OLD], routes: routesTo("old") }));
  expect(plan).toMatchObject({ progress: undefined, routes: routesTo("old") });
});

test("a new build gets no run before one of its workers is ready", () => {
  const waiting = takeover({ builds: [OLD, { ...PENDING, readyReplicas: 0 }] });
  const plan = planRollout(waiting);
  expect(plan).toMatchObject({ progress: { reason: "NewBuildStarting" }, routes: routesTo("old") });
  const next = planRollout(takeover());
  expect(phasesOf(next)).toEqual({ old: "Draining", new: "Current" });
  expect(next.routes).toEqual([
    { buildId: "old", role: "Draining", sharePercent: 0 },
    { buildId: "new", role: "Current", sharePercent: 100 },
  ]);
});

test("a new build that crashes is never promoted, even when a worker of it is ready in between", () => {
  const plan = planRollout(takeover({ builds: [OLD, { ...PENDING, fault: "it crashes" }] }));
  expect(phasesOf(plan)).toEqual({ old: "Current", new: "Pending" });
  expect(plan.progress).toEqual({ reason: "NewBuildStarting", message: 'build "new": it crashes' });
  expect(plan.events).toMatchObject([{ type: "Warning", reason: "RolloutBlocked" }]);
});

test("a gate is run once a worker is ready, and only its success promotes", () => {
  const states = {
    start: planRollout(takeover({}, GATE)),
    running: planRollout(takeover({ gate: { state: "Running", startedMs: 995_000 } }, GATE)),
    late: planRollout(takeover({ gate: { state: "Running", startedMs: 990_000 } }, GATE)),
    failed: planRollout(takeover({ gate: { state: "Failed", message: "boom" } }, GATE)),
    ended: planRollout(takeover({ gate: { state: "TimedOut" } }, GATE)),
    passed: planRollout(takeover({ gate: { state: "Completed" } }, GATE)),
  };
  expect(states.start).toMatchObject({
    startGate: true,
    progress: { reason: "GateRunning" },
    lookAgainMs: 2_000,
  });
  expect(states.running).toMatchObject({ startGate: false, progress: { reason: "GateRunning" } });
  expect(states.late).toMatchObject({ progress: { reason: "GateTimedOut" }, lookAgainMs: undefined });
  expect(states.late.endedGates).toEqual([{ buildId: "new", why: "TimedOut" }]);
  expect(states.ended.progress).toEqual(states.late.progress);
  expect(states.failed).toMatchObject({
    progress: { reason: "GateFailed", message: expect.stringContaining("boom") as string },
    events: [{ reason: "GateFailed" }],
  });
  expect(states.passed).toMatchObject({ progress: { reason: "RolloutComplete" } });
  for (const name of ["start", "running", "failed", "ended", "passed"] as const) {
    expect(states[name].endedGates).toEqual([]);
  }
  for (const name of ["start", "running", "late", "failed", "ended"] as const) {
    expect(states[name].routes).toEqual(routesTo("old"));
  }
});

test("new runs move step by step, each step for its pause", () => {
  const first = planRollout(takeover({}, PROGRESSIVE));
  expect(phasesOf(first)).toEqual({ old: "Current", new: "Ramping 10" });
  expect(first.routes).toEqual([
    { buildId: "old", role: "Current", sharePercent: 90 },
    { buildId: "new", role: "Ramping", sharePercent: 10 },
  ]);
  expect(first.lookAgainMs).toBe(30_000);
  const waiting = afterPlan(takeover({}, PROGRESSIVE), first, 1_010_000);
  const still = planRollout(waiting);
  expect(still).toMatchObject({ routes: first.routes, lookAgainMs: 20_000, progress: { reason: "Ramping" } });
  const second = planRollout({ ...waiting, nowMs: 1_030_000 });
  expect(phasesOf(second)).toEqual({ old: "Current", new: "Ramping 50" });
  const last = planRollout(afterPlan(waiting, second, 1_090_000));
  expect(phasesOf(last)).toEqual({ old: "Draining", new: "Current" });
});

test("a rollout stays where it is while the new build crashes, and moves on with edited steps", () => {
  const ramping = { ...PENDING, phase: "Ramping", rampPercent: 30, sinceMs: 0 } as const;
  const routes = [
    { buildId: "old", role: "Current", sharePercent: 70 },
    { buildId: "new", role: "Ramping", sharePercent: 30 },
  ] as const;
  const crashing = takeover({ builds: [OLD, { ...ramping, fault: "it crashes" }], routes }, PROGRESSIVE);
  expect(planRollout(crashing)).toMatchObject({ routes, progress: { reason: "Ramping" } });
  const edited = takeover({ builds: [OLD, ramping], routes }, PROGRESSIVE);
  expect(phasesOf(planRollout(edited))).toEqual({ old: "Current", new: "Ramping 50" });
  const later = { rollout: { strategy: "Progressive", steps: [{ percent: 90, pause: "60s" }] } };
  expect(phasesOf(planRollout(takeover({ builds: [OLD, ramping], routes }, later)))).toMatchObject({
    new: "Ramping 90",
  });
  expect(phasesOf(planRollout(takeover({ builds: [OLD, ramping], routes })))).toMatchObject({
    new: "Current",
  });
  const held = planRollout(takeover({ builds: [OLD, ramping], routes }, MANUAL));
  expect(held).toMatchObject({ routes, progress: { reason: "WaitingForPromotion" } });
});

test("by hand, a build is promoted when the annotation names it", () => {
  const waiting = planRollout(takeover({ promote: "other" }, MANUAL));
  expect(waiting).toMatchObject({ routes: routesTo("old"), progress: { reason: "WaitingForPromotion" } });
  expect(phasesOf(planRollout(takeover({ promote: "new" }, MANUAL)))).toMatchObject({ new: "Current" });
});

test.each(["Draining", "Drained"] as const)("back to a build that is %s: it is current at once", (phase) => {
  const builds = [OLD, build("new", { phase, readyReplicas: 0, sinceMs: 3 })];
  const routes = phase === "Draining" ? routesTo("old", "new") : routesTo("old");
  const plan = planRollout(facts({ builds, routes }, PROGRESSIVE));
  expect(phasesOf(plan)).toEqual({ old: "Draining", new: "Current" });
  expect(planRollout(facts({ builds, routes }, MANUAL)).progress?.reason).toBe("WaitingForPromotion");
});

test("a gate's time passes too while the build's workers are not ready", () => {
  const builds = [OLD, { ...PENDING, readyReplicas: 0, fault: "it crashes" }];
  const plan = planRollout(takeover({ builds, gate: { state: "Running", startedMs: 990_000 } }, GATE));
  expect(plan).toMatchObject({
    progress: { reason: "GateTimedOut" },
    endedGates: [{ buildId: "new", why: "TimedOut" }],
  });
  const early = planRollout(takeover({ builds, gate: { state: "Running", startedMs: 995_000 } }, GATE));
  expect(early).toMatchObject({ progress: { reason: "NewBuildStarting" }, lookAgainMs: 5_000 });
});

test("what gates have started ends when they decide nothing any more", () => {
  const builds = [OLD, { ...PENDING, openRuns: 1 }];
  const givenUp = [{ buildId: "new", why: "GivenUp" }];
  const another = planRollout(takeover({ builds }, GATE));
  expect(another).toMatchObject({ startGate: true, endedGates: givenUp });
  expect(planRollout(takeover({ builds })).endedGates).toEqual(givenUp);
  const failed = takeover({ builds, gate: { state: "Failed", message: "boom" } }, GATE);
  expect(planRollout(failed).endedGates).toEqual(givenUp);
  const running = takeover({ builds, gate: { state: "Running", startedMs: 995_000 } }, GATE);
  expect(planRollout(running).endedGates).toEqual([]);
});

test("a build that is left before it served is removed, once no run of its gate is open", () => {
  const left = build("left", { phase: "Pending" });
  const builds = (openRuns: number | undefined): RolloutFacts =>
    takeover({ builds: [OLD, { ...left, openRuns }, { ...PENDING, readyReplicas: 0 }] });
  expect(planRollout(builds(0)).removed).toEqual(["left"]);
  for (const openRuns of [1, undefined]) {
    const plan = planRollout(builds(openRuns));
    expect(phasesOf(plan)).toMatchObject({ left: "Pending" });
    expect(plan).toMatchObject({ removed: [], lookAgainMs: 15_000 });
    expect(plan.endedGates).toEqual(openRuns === 1 ? [{ buildId: "left", why: "GivenUp" }] : []);
  }
});

test("a build that is left on its way drains as one that served", () => {
  const routes = [
    { buildId: "old", role: "Current", sharePercent: 70 },
    { buildId: "left", role: "Ramping", sharePercent: 30 },
  ] as const;
  const builds = [
    OLD,
    build("left", { phase: "Ramping", rampPercent: 30 }),
    { ...PENDING, readyReplicas: 0 },
  ];
  const plan = planRollout(takeover({ builds, routes }));
  expect(phasesOf(plan)).toEqual({ old: "Current", left: "Draining", new: "Pending" });
  expect(plan.routes).toEqual(routesTo("old", "left"));
});

test("an old build drains while runs are open, then stays for its delays, then goes", () => {
  const draining = { draining: { scaledownDelay: "10s", deleteDelay: "20s" } };
  const at = (nowMs: number, phase: "Draining" | "Drained", openRuns: number | undefined): RolloutFacts =>
    facts(
      {
        nowMs,
        builds: [build("new", { phase: "Current" }), build("old", { phase, sinceMs: 0, openRuns })],
        routes: phase === "Draining" ? routesTo("new", "old") : routesTo("new"),
      },
      draining,
    );
  expect(planRollout(at(1, "Draining", 3))).toMatchObject({ lookAgainMs: 15_000, removed: [] });
  expect(planRollout(at(1, "Draining", undefined))).toMatchObject({ lookAgainMs: 15_000 });
  const drained = planRollout(at(1, "Draining", 0));
  expect(phasesOf(drained)).toEqual({ new: "Current", old: "Drained" });
  expect(drained).toMatchObject({ events: [{ reason: "VersionDrained" }], lookAgainMs: 30_000 });
  expect(drained.routes).toEqual(routesTo("new"));
  expect(planRollout(at(29_000, "Drained", 0))).toMatchObject({ removed: [], lookAgainMs: 1_000 });
  expect(planRollout(at(30_000, "Drained", undefined))).toMatchObject({ removed: [], lookAgainMs: 15_000 });
  expect(phasesOf(planRollout(at(30_000, "Drained", 1)))).toMatchObject({ old: "Draining" });
  expect(planRollout(at(30_000, "Drained", 0))).toMatchObject({
    removed: ["old"],
    events: [{ reason: "VersionDeleted" }],
    routes: routesTo("new"),
  });
});

test("a build that got new runs until this moment is not drained by what was counted before", () => {
  expect(phasesOf(planRollout(takeover()))).toMatchObject({ old: "Draining" });
});

test("a drained build that served again meanwhile is not taken for drained, though the status says so", () => {
  const builds = [build("new", { phase: "Draining" }), build("old", { phase: "Drained", sinceMs: 0 })];
  const plan = planRollout(facts({ builds, routes: routesTo("new", "old") }));
  expect(plan).toMatchObject({
    removed: [],
    versions: [{ buildId: "new" }, { buildId: "old", sinceMs: 1_000_000 }],
  });
});

test("a status that is behind the database gives way to it, and one that is lost is made anew from it", () => {
  const builds = [{ ...OLD, openRuns: 1 }, PENDING];
  const cut = planRollout(takeover({ builds, routes: routesTo("new", "old") }));
  expect(phasesOf(cut)).toEqual({ old: "Draining", new: "Current" });
  expect(cut.events).toEqual([]);
  const lost = planRollout(
    takeover({ builds: [build("old", { openRuns: 1 }), build("new")], routes: routesTo("old", "new") }),
  );
  expect(phasesOf(lost)).toEqual({ old: "Draining", new: "Current" });
});

test("a database that lost its routing gets it back from the status, and no other build is promoted", () => {
  const plan = planRollout(takeover({ builds: [OLD, { ...PENDING, readyReplicas: 0 }], routes: [] }));
  expect(plan.routes).toEqual(routesTo("old"));
  const ramping = { ...PENDING, phase: "Ramping", rampPercent: 10, sinceMs: 999_999 } as const;
  const on = planRollout(takeover({ builds: [OLD, ramping], routes: [] }, PROGRESSIVE));
  expect(phasesOf(on)).toEqual({ old: "Current", new: "Ramping 10" });
  const unsaid = { ...ramping, rampPercent: undefined };
  expect(phasesOf(planRollout(takeover({ builds: [OLD, unsaid], routes: [] }, PROGRESSIVE)))).toMatchObject({
    new: "Ramping 10",
  });
});
