/**
 * The decision by example: what each rule does, and how it is told.
 */
import { describe, expect, test } from "vitest";
import { START_MS, seen, unseen } from "../testing/observations.ts";
import type { QueueState } from "../testing/observations.ts";
import { decide } from "./decide.ts";
import type { ScalingDecision } from "./decide.ts";
import { EMPTY_MEMORY } from "./memory.ts";
import type { ScalingMemory } from "./memory.ts";
import { DEFAULT_POLICY } from "./policy.ts";
import type { ScalingPolicy } from "./policy.ts";

/** Decides for a queue as if it had been observed like this for the whole stabilisation window. */
function settled(state: QueueState, policy: ScalingPolicy = DEFAULT_POLICY): ScalingDecision {
  return after(300_000, state, state, policy);
}

/** Decides `afterMs` after the queue was first seen as `before`; looks every 5 s. */
function after(
  afterMs: number,
  before: QueueState,
  now: QueueState,
  policy: ScalingPolicy = DEFAULT_POLICY,
): ScalingDecision {
  let memory: ScalingMemory = EMPTY_MEMORY;
  for (let ms = 0; ms < afterMs; ms += 5_000) {
    ({ memory } = decide(seen({ ...before, atMs: START_MS + ms }), policy, memory));
  }
  return decide(seen({ ...now, atMs: START_MS + afterMs }), policy, memory).decision;
}

function first({ builds }: ScalingDecision) {
  const [build] = builds;
  if (build === undefined) throw new Error("no build");
  return build;
}

describe("the terms", () => {
  test("10,000 ready runs ask for 1,000 replicas, and get what the step, then the bound allows", () => {
    const policy = { ...DEFAULT_POLICY, maxReplicas: 20 };
    const steps: number[] = [];
    let desired = 1;
    let memory = EMPTY_MEMORY;
    for (let look = 0; look < 5; look += 1) {
      const answer = decide(seen({ atMs: START_MS + look * 15_000, ready: 10_000, desired }), policy, memory);
      ({ memory } = answer);
      expect(first(answer.decision)).toMatchObject({ raw: 1_000, terms: { backlog: 1_000 } });
      desired = first(answer.decision).replicas;
      steps.push(desired);
    }
    expect(steps).toEqual([5, 10, 20, 20, 20]);
  });

  test("work in flight asks for the slots that it needs", () => {
    expect(first(settled({ desired: 1, inFlight: 225, holders: 1 }))).toMatchObject({
      terms: { inFlight: 3, backlog: 0 },
      replicas: 3,
      limitedBy: "None",
    });
  });

  test("an old task asks for as many times the replicas as it is older than the target, at most for twice", () => {
    const policy = { ...DEFAULT_POLICY, targetScheduleToStartMs: 5_000 };
    const state = { desired: 4, ready: 20 };
    expect(first(settled({ ...state, oldestAgeMs: 5_000 }, policy)).terms?.age).toBe(0);
    expect(first(settled({ ...state, oldestAgeMs: 7_500 }, policy)).terms?.age).toBe(6);
    expect(first(settled({ ...state, oldestAgeMs: 60_000 }, policy)).terms?.age).toBe(8);
  });

  test("an old task does not multiply replicas that still start, nor asks for more of them than there are tasks", () => {
    const policy = { ...DEFAULT_POLICY, targetScheduleToStartMs: 5_000 };
    const state = { desired: 8, oldestAgeMs: 60_000 };
    expect(first(settled({ ...state, readyReplicas: 2, ready: 20 }, policy)).terms?.age).toBe(4);
    expect(first(settled({ ...state, ready: 1 }, policy)).terms?.age).toBe(1);
  });

  test("a timer within the look-ahead asks for one replica before it is due", () => {
    expect(first(settled({ desired: 0, nextTimerInMs: 30_001 }))).toMatchObject({ replicas: 0 });
    expect(first(settled({ desired: 0, nextTimerInMs: 30_000 }))).toMatchObject({
      replicas: 1,
      terms: { timer: 1 },
    });
  });

  test("what no worker knows by name keeps one replica, and asks for no more", () => {
    expect(first(settled({ desired: 3, unserved: 500 }))).toMatchObject({
      replicas: 1,
      raw: 1,
      terms: { unserved: 1, backlog: 0 },
    });
  });
});

describe("the rules", () => {
  test("a demand within the tolerance changes nothing", () => {
    expect(first(settled({ desired: 10, ready: 95 }))).toMatchObject({ replicas: 10, limitedBy: "None" });
    expect(first(settled({ desired: 5, ready: 54 }))).toMatchObject({
      replicas: 5,
      raw: 6,
      limitedBy: "Tolerance",
    });
    expect(first(settled({ desired: 5, ready: 56 }))).toMatchObject({ replicas: 6 });
  });

  test("a peak of the window holds the replicas until the window is over", () => {
    const peak = { desired: 8, ready: 80 };
    const low = { desired: 8, ready: 10 };
    let memory = decide(seen(peak), DEFAULT_POLICY, EMPTY_MEMORY).memory;
    for (let ms = 5_000; ms < 300_000; ms += 5_000) {
      const answer = decide(seen({ ...low, atMs: START_MS + ms }), DEFAULT_POLICY, memory);
      expect(first(answer.decision)).toMatchObject({ replicas: 8, limitedBy: "Stabilization", raw: 1 });
      ({ memory } = answer);
    }
    const answer = decide(seen({ ...low, atMs: START_MS + 300_000 }), DEFAULT_POLICY, memory);
    expect(first(answer.decision)).toMatchObject({ replicas: 1, limitedBy: "None" });
  });

  test("a bound that was lowered holds at once, but for workers that hold an attempt", () => {
    const policy = { ...DEFAULT_POLICY, maxReplicas: 3 };
    const state = { desired: 9, ready: 500, inFlight: 5, holders: 5 };
    expect(first(settled(state, policy))).toMatchObject({ replicas: 5, limitedBy: "InFlightFloor" });
    expect(first(settled({ ...state, inFlight: 0, holders: 0 }, policy))).toMatchObject({
      replicas: 3,
      limitedBy: "Max",
    });
  });

  test("of five replicas the one with a long activity and an empty backlog stays", () => {
    expect(first(settled({ desired: 5, inFlight: 1, holders: 1 }))).toMatchObject({
      replicas: 1,
      limitedBy: "None",
    });
    const spread = first(settled({ desired: 5, inFlight: 3, holders: 3 }));
    expect(spread).toMatchObject({ raw: 1, replicas: 3, limitedBy: "InFlightFloor" });
  });

  test("zero is reached once the queue was idle for the cooldown, not before", () => {
    const policy = {
      ...DEFAULT_POLICY,
      cooldownMs: 600_000,
    };
    expect(first(after(595_000, { desired: 2 }, { desired: 2 }, policy))).toMatchObject({
      replicas: 1,
      limitedBy: "Cooldown",
    });
    expect(first(after(600_000, { desired: 2 }, { desired: 2 }, policy))).toMatchObject({ replicas: 0 });
  });

  test("a cooldown shorter than the window takes the last replica, and no other", () => {
    const policy = { ...DEFAULT_POLICY, cooldownMs: 60_000 };
    const peak = decide(seen({ desired: 1, ready: 5 }), policy, EMPTY_MEMORY);
    let { memory } = peak;
    const lookAt = (ms: number, desired: number) => {
      const answer = decide(seen({ desired, atMs: START_MS + ms }), policy, memory);
      ({ memory } = answer);
      return first(answer.decision);
    };
    for (let ms = 5_000; ms < 65_000; ms += 5_000)
      expect(lookAt(ms, 1)).toMatchObject({ replicas: 1, limitedBy: "Cooldown" });
    expect(lookAt(65_000, 1)).toMatchObject({ replicas: 0, limitedBy: "None" });

    ({ memory } = decide(seen({ desired: 3, ready: 30 }), policy, EMPTY_MEMORY));
    for (let ms = 5_000; ms < 300_000; ms += 5_000)
      expect(lookAt(ms, 3)).toMatchObject({ replicas: 3, limitedBy: "Stabilization" });
    expect(lookAt(300_000, 3)).toMatchObject({ replicas: 0, limitedBy: "None" });
  });

  test("a build at zero is activated at once, also when a policy forbids every step", () => {
    const still = { ...DEFAULT_POLICY.behavior.scaleUp, selectPolicy: "Disabled" as const };
    const policy = { ...DEFAULT_POLICY, behavior: { ...DEFAULT_POLICY.behavior, scaleUp: still } };
    expect(first(decide(seen({ desired: 0, ready: 1 }), policy, EMPTY_MEMORY).decision)).toMatchObject({
      replicas: 1,
      limitedBy: "Activation",
    });
  });

  test("less than activation.backlog leaves a build at zero, unless a timer is near; one that runs is not taken away", () => {
    const policy = { ...DEFAULT_POLICY, activationBacklog: 5 };
    expect(first(settled({ desired: 0, ready: 4 }, policy))).toMatchObject({
      replicas: 0,
      raw: 1,
      limitedBy: "Activation",
    });
    expect(first(settled({ desired: 0, ready: 5 }, policy)).replicas).toBe(1);
    expect(first(settled({ desired: 0, ready: 1, nextTimerInMs: 100 }, policy)).replicas).toBe(1);
    expect(first(settled({ desired: 1, ready: 1 }, policy)).replicas).toBe(1);
    expect(settled({ desired: 0, ready: 4 }, policy).message).toBe(
      'build "b1" stays at 0 replicas: asked for 1 by 4 ready; 5 activate it.',
    );
  });

  test("a pause holds what Manual and External ask for, too", () => {
    const policy: ScalingPolicy = { ...DEFAULT_POLICY, mode: "Manual", replicas: 1 };
    expect(first(settled({ desired: 4, pause: { scaleIn: true } }, policy)).replicas).toBe(4);
  });

  test("a pause freezes its direction; a number of replicas wins over everything", () => {
    const paused = (pause: QueueState["pause"], state: QueueState) =>
      first(settled({ ...state, ...(pause === undefined ? {} : { pause }) })).replicas;
    const idle = { desired: 4 };
    const busy = { desired: 4, ready: 80 };
    expect(paused({ scaleIn: true }, idle)).toBe(4);
    expect(paused({ scaleIn: true }, busy)).toBe(8);
    expect(paused({ scaleOut: true }, busy)).toBe(4);
    expect(paused({ scaleOut: true }, idle)).toBe(0);
    expect(paused({ replicas: 2 }, { ...busy, holders: 4 })).toBe(2);
    const policy = { ...DEFAULT_POLICY, paused: { scaleIn: true, scaleOut: true } };
    expect(first(settled(busy, policy))).toMatchObject({ replicas: 4, limitedBy: "Paused" });
  });
});

describe("an outage", () => {
  test("holds, says so once, and starts window and cooldown anew when it is over", () => {
    const events: string[] = [];
    let memory = EMPTY_MEMORY;
    let replicas = 6;
    for (let look = 0; look <= 200; look += 1) {
      const state = { atMs: START_MS + look * 5_000, desired: replicas };
      const down = look >= 20 && look < 100;
      const answer = decide(down ? unseen(state) : seen(state), DEFAULT_POLICY, memory);
      ({ memory } = answer);
      for (const { reason } of answer.decision.events) events.push(`${look}: ${reason}`);
      replicas = first(answer.decision).replicas;
    }
    // 300 s after the last blind look (99) the window is over, 300 s after the first that saw (100) the cooldown.
    expect(events).toEqual([
      "20: ScalingHeld",
      "100: ScalingResumed",
      "159: ScaledDown",
      "160: ScaledToZero",
    ]);
  });

  test("raises to a stated number after some failures, where that is wanted", () => {
    const policy: ScalingPolicy = {
      ...DEFAULT_POLICY,
      onMetricsError: { afterFailures: 2, behavior: "HoldIfHigher", replicas: 4 },
    };
    const once = decide(unseen({ desired: 2 }), policy, EMPTY_MEMORY);
    expect(first(once.decision)).toMatchObject({ replicas: 2, limitedBy: "Hold", terms: null, raw: null });
    const twice = decide(unseen({ desired: 2, atMs: START_MS + 5_000 }), policy, once.memory);
    expect(first(twice.decision)).toMatchObject({ replicas: 4, limitedBy: "Hold" });
    const higher = decide(unseen({ desired: 7, atMs: START_MS + 10_000 }), policy, twice.memory);
    expect(first(higher.decision).replicas).toBe(7);
  });
});

describe("builds side by side", () => {
  test("a draining build has its own bounds, its own load and its own cooldown", () => {
    const build = {
      role: "Draining" as const,
      sharePercent: 0,
      waiting: { ready: 500, oldestAgeMs: 1_000, nextTimerInMs: null, unserved: 0 },
    };
    expect(first(settled({ desired: 1, ready: 10_000, build }))).toMatchObject({
      raw: 50,
      replicas: 2,
      limitedBy: "Max",
    });
    const drained = { role: "Draining" as const, sharePercent: 0 };
    expect(first(settled({ desired: 1, build: drained }))).toMatchObject({
      replicas: 1,
      limitedBy: "Cooldown",
    });
    const state = { desired: 1, build: drained };
    expect(first(after(600_000, state, state))).toMatchObject({ replicas: 0 });
  });

  test("builds that get new runs divide bounds and backlog by their share, rounded up", () => {
    const policy = { ...DEFAULT_POLICY, minReplicas: 2, maxReplicas: 10 };
    const ramping = { role: "Ramping" as const, sharePercent: 25 };
    expect(first(settled({ desired: 0, build: ramping }, policy))).toMatchObject({
      replicas: 1,
      limitedBy: "Min",
    });
    const busy = first(settled({ desired: 2, ready: 1_000, build: ramping }, policy));
    expect(busy).toMatchObject({ raw: 25, replicas: 3, limitedBy: "Max", bounds: { min: 1, max: 3 } });
  });

  test("a draining build follows its load also where somebody else decides for the current one", () => {
    const policy: ScalingPolicy = { ...DEFAULT_POLICY, mode: "External", replicas: 7 };
    const draining = seen({ desired: 2, build: { buildId: "b0", role: "Draining", sharePercent: 0 } });
    const { decision } = decide(
      { ...draining, builds: [...draining.builds, ...seen({ desired: 1, ready: 90 }).builds] },
      policy,
      EMPTY_MEMORY,
    );
    expect(decision.builds.map(({ replicas, limitedBy }) => [replicas, limitedBy])).toEqual([
      [2, "Stabilization"],
      [7, "External"],
    ]);
  });
});

describe("what is told", () => {
  test.each<[string, QueueState, Partial<ScalingPolicy>, string]>([
    [
      "a step up",
      { desired: 2, ready: 34 },
      {},
      'build "b1" goes from 2 to 4 replicas: asked for 4 by 34 ready.',
    ],
    [
      "a bound",
      { desired: 2, ready: 900 },
      { maxReplicas: 3 },
      'build "b1" goes from 2 to 3 replicas: asked for 90 by 900 ready; at most 3.',
    ],
    [
      "a minimum",
      { desired: 0 },
      { minReplicas: 1 },
      'build "b1" goes from 0 to 1 replica: idle; at least 1.',
    ],
    [
      "work in hand",
      { desired: 5, inFlight: 3, holders: 3 },
      {},
      'build "b1" goes from 5 to 3 replicas: asked for 1 by 3 in flight; 3 workers hold 3 in flight.',
    ],
    [
      "one that stays",
      { desired: 1, inFlight: 1, holders: 1 },
      { minReplicas: 1 },
      'build "b1" stays at 1 replica: asked for 1 by 1 in flight.',
    ],
    [
      "a timer",
      { desired: 0, nextTimerInMs: 12_000 },
      {},
      'build "b1" goes from 0 to 1 replica: asked for 1 by a timer due in 12 s.',
    ],
    [
      "unknown names",
      { desired: 1, unserved: 2 },
      {},
      'build "b1" stays at 1 replica: asked for 1 by 2 ready of names that no worker knows.',
    ],
    [
      "age",
      { desired: 4, ready: 8, oldestAgeMs: 60_000 },
      { targetScheduleToStartMs: 5_000 },
      'build "b1" goes from 4 to 8 replicas: asked for 8 by the oldest ready (60 s).',
    ],
    [
      "the tolerance",
      { desired: 5, ready: 54 },
      {},
      'build "b1" stays at 5 replicas: asked for 6 by 54 ready; within the tolerance.',
    ],
    [
      "a policy",
      { desired: 4, ready: 200 },
      { maxReplicas: 50 },
      'build "b1" goes from 4 to 8 replicas: asked for 20 by 200 ready; the step policy allows no more at once.',
    ],
    [
      "Manual",
      { desired: 4, ready: 200 },
      { mode: "Manual", replicas: 2 },
      'build "b1" goes from 4 to 2 replicas: asked for 20 by 200 ready; spec.replicas decides (mode Manual).',
    ],
    [
      "External",
      { desired: 4 },
      { mode: "External" },
      'build "b1" stays at 4 replicas: idle; the scale subresource decides (mode External).',
    ],
    [
      "a pause",
      { desired: 4, pause: { scaleIn: true } },
      {},
      'build "b1" stays at 4 replicas: idle; paused.',
    ],
  ])("%s", (_what, state, changes, sentence) => {
    expect(settled(state, { ...DEFAULT_POLICY, ...changes }).message).toBe(sentence);
  });

  test("the window, in both directions", () => {
    const slow = { ...DEFAULT_POLICY.behavior.scaleUp, stabilizationWindowMs: 60_000 };
    const policy = { ...DEFAULT_POLICY, behavior: { ...DEFAULT_POLICY.behavior, scaleUp: slow } };
    const message = (state: QueueState) => decide(seen(state), policy, EMPTY_MEMORY).decision.message;
    expect(message({ desired: 2, ready: 40 })).toBe(
      'build "b1" stays at 2 replicas: asked for 4 by 40 ready; the window of 60 s recommended otherwise.',
    );
    expect(message({ desired: 2, ready: 4 })).toBe(
      'build "b1" stays at 2 replicas: asked for 1 by 4 ready; the window of 300 s recommended otherwise.',
    );
  });

  test("the cooldown", () => {
    expect(
      after(400_000, { desired: 1 }, { desired: 1 }, { ...DEFAULT_POLICY, cooldownMs: 500_000 }).message,
    ).toBe('build "b1" stays at 1 replica: idle; the last one stays until idle for 500 s.');
  });

  test("an outage, with its code; and the condition is False", () => {
    const { decision } = decide(unseen({ desired: 2 }), DEFAULT_POLICY, EMPTY_MEMORY);
    expect(decision.message).toBe(
      'build "b1" stays at 2 replicas; held: database db:5432/app is down (DATABASE_UNREACHABLE).',
    );
    expect(decision.conditions).toMatchObject([
      { type: "ScalingActive", status: "False", reason: "ObservationFailed" },
      { type: "ScalingLimited", status: "True", reason: "MetricsUnavailable" },
    ]);
  });

  test.each<[QueueState, Partial<ScalingPolicy>, readonly [string, string]]>([
    [{ ready: 10 }, {}, ["Observed", "NotLimited"]],
    [{ ready: 900 }, { maxReplicas: 3 }, ["Observed", "TooManyReplicas"]],
    [{}, { mode: "Manual", replicas: 1 }, ["ManualMode", "NotLimited"]],
    [{}, { mode: "External" }, ["ExternalMode", "NotLimited"]],
    [{ pause: { replicas: 3 } }, {}, ["Paused", "Paused"]],
    [{ desired: 2, ready: 40, pause: { scaleOut: true } }, {}, ["Observed", "Paused"]],
    [{ desired: 2, ready: 40 }, { paused: { scaleIn: true, scaleOut: true } }, ["Paused", "Paused"]],
  ])("the conditions of %j with %j are %j", (state, changes, reasons) => {
    const { conditions } = settled(state, { ...DEFAULT_POLICY, ...changes });
    expect(conditions.map(({ reason }) => reason)).toEqual(reasons);
    expect(conditions.map(({ status }) => status)).toEqual([
      reasons[0] === "Observed" ? "True" : "False",
      reasons[1] === "NotLimited" ? "False" : "True",
    ]);
  });

  test("every change of replicas is an Event with its reason", () => {
    const reasons = (state: QueueState, policy = DEFAULT_POLICY) =>
      settled(state, policy).events.map(({ reason }) => reason);
    expect(reasons({ desired: 0, ready: 1 })).toEqual(["Activated"]);
    expect(reasons({ desired: 1, ready: 20 })).toEqual(["ScaledUp"]);
    expect(reasons({ desired: 3, ready: 20 })).toEqual(["ScaledDown"]);
    expect(reasons({ desired: 3 })).toEqual(["ScaledToZero"]);
    expect(reasons({ desired: 2, ready: 20 })).toEqual([]);
  });
});

describe("the next look", () => {
  const lookIn = (state: QueueState, policy: Partial<ScalingPolicy> = {}): number =>
    settled(state, { ...DEFAULT_POLICY, pollIntervalMs: 60_000, ...policy }).lookAgainInMs;

  test("is after the poll interval when nothing is known to change", () => {
    expect(lookIn({ desired: 0 })).toBe(60_000);
  });

  test("is when a timer comes into the look-ahead, and when it is due", () => {
    expect(lookIn({ desired: 0, nextTimerInMs: 37_000 })).toBe(7_000);
    expect(lookIn({ desired: 1, nextTimerInMs: 11_000 })).toBe(11_000);
  });

  test("is when the cooldown ends", () => {
    expect(lookIn({ desired: 1 }, { cooldownMs: 320_000 })).toBe(20_000);
  });

  test("is when a window or a policy lets go", () => {
    const answer = decide(
      seen({ desired: 2, ready: 4 }),
      { ...DEFAULT_POLICY, pollIntervalMs: 600_000 },
      EMPTY_MEMORY,
    );
    expect(answer.decision.lookAgainInMs).toBe(300_000);
    const stepped = decide(
      seen({ desired: 6, ready: 400, atMs: START_MS + 1_000 }),
      { ...DEFAULT_POLICY, pollIntervalMs: 600_000, maxReplicas: 100 },
      answer.memory,
    );
    expect(stepped.decision.lookAgainInMs).toBe(14_000);
  });

  test("is never closer than half a second", () => {
    expect(lookIn({ desired: 0, nextTimerInMs: 30_010 })).toBe(500);
  });
});

test("a clock that is set back delays a scale-in, and never hurries it", () => {
  const { memory } = decide(seen({ desired: 3 }), DEFAULT_POLICY, EMPTY_MEMORY);
  const back = decide(seen({ desired: 3, atMs: START_MS - 3_600_000 }), DEFAULT_POLICY, memory);
  expect(first(back.decision)).toMatchObject({ replicas: 3, limitedBy: "Stabilization" });
  const soon = decide(seen({ desired: 3, atMs: START_MS - 3_590_000 }), DEFAULT_POLICY, back.memory);
  expect(first(soon.decision)).toMatchObject({ replicas: 3 });
});
