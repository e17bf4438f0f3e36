/**
 * Observations for tests: of one build that gets all new runs, or as random as they come.
 */
import fc from "fast-check";
import { NOTHING_WAITS, NOT_PAUSED } from "../core/observation.ts";
import type { BuildObservation, QueueObservation, WaitingLoad } from "../core/observation.ts";
import { DEFAULT_POLICY } from "../core/policy.ts";
import type { ScalingPolicy, ScalingRules } from "../core/policy.ts";

/** Any moment: nothing may depend on where time begins. */
export const START_MS = 1_800_000_000_000;

/** What a test says of a queue with one build; everything else is 0 or unset. */
export interface QueueState extends Partial<WaitingLoad> {
  readonly atMs?: number;
  readonly desired?: number;
  readonly readyReplicas?: number;
  readonly inFlight?: number;
  readonly holders?: number;
  readonly pause?: Partial<QueueObservation["pause"]>;
  readonly build?: Partial<BuildObservation>;
}

/** A queue whose store can be seen. */
export function seen(state: QueueState): QueueObservation {
  const { atMs = START_MS, desired = 1, inFlight = 0, holders = 0, pause, build } = state;
  const { readyReplicas = desired } = state;
  return {
    queueName: "orders",
    atMs,
    load: {
      kind: "Seen",
      unassigned: {
        ready: state.ready ?? 0,
        oldestAgeMs: state.oldestAgeMs ?? null,
        nextTimerInMs: state.nextTimerInMs ?? null,
        unserved: state.unserved ?? 0,
      },
    },
    pause: { ...NOT_PAUSED, ...pause },
    builds: [
      {
        buildId: "b1",
        role: "Current",
        sharePercent: 100,
        replicas: { desired, ready: readyReplicas, unavailable: desired - readyReplicas },
        waiting: NOTHING_WAITS,
        inFlight,
        holders,
        ...build,
      },
    ],
  };
}

/** The same queue, whose store can't be seen. */
export function unseen(state: QueueState): QueueObservation {
  const load = {
    kind: "Unseen",
    code: "DATABASE_UNREACHABLE",
    message: "database db:5432/app is down",
  } as const;
  return { ...seen(state), load };
}

const waiting: fc.Arbitrary<WaitingLoad> = fc
  .record({
    ready: fc.oneof(fc.constant(0), fc.nat(5), fc.nat(100_000)),
    ageMs: fc.nat(3_600_000),
    nextTimerInMs: fc.option(fc.nat(600_000)),
    unserved: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(10) }),
  })
  .map(({ ageMs, ...load }) => ({ ...load, oldestAgeMs: load.ready === 0 ? null : ageMs }));

/** Replicas first, so that holders and ready ones are among them. */
function buildOf(
  buildId: string,
  role: BuildObservation["role"],
  sharePercent: number,
): fc.Arbitrary<BuildObservation> {
  return fc.nat(60).chain((desired) =>
    fc
      .record({
        ready: fc.nat(desired),
        waiting,
        inFlight: fc.oneof(fc.constant(0), fc.nat(5_000)),
        holders: fc.nat(desired),
      })
      .map(({ ready, waiting, inFlight, holders }) => ({
        buildId,
        role,
        sharePercent,
        waiting,
        inFlight: Math.max(inFlight, holders),
        holders,
        replicas: { desired, ready, unavailable: desired - ready },
      })),
  );
}

const builds: fc.Arbitrary<readonly BuildObservation[]> = fc.oneof(
  buildOf("b1", "Current", 100).map((current) => [current]),
  fc.tuple(buildOf("b1", "Draining", 0), buildOf("b2", "Current", 100)),
  fc
    .integer({ min: 1, max: 99 })
    .chain((percent) =>
      fc.tuple(
        buildOf("b1", "Draining", 0),
        buildOf("b2", "Current", 100 - percent),
        buildOf("b3", "Ramping", percent),
      ),
    ),
);

/** Any observation at a moment; the store can be seen but for one in eight. */
export function anyObservation(atMs: number): fc.Arbitrary<QueueObservation> {
  return fc
    .record({ builds, unassigned: waiting, up: fc.integer({ min: 0, max: 7 }) })
    .map(({ builds, unassigned, up }) => ({
      queueName: "orders",
      atMs,
      pause: NOT_PAUSED,
      load:
        up === 0
          ? { kind: "Unseen" as const, code: "DATABASE_UNREACHABLE", message: "down" }
          : { kind: "Seen" as const, unassigned },
      builds,
    }));
}

/** The rules of one direction. */
export const anyRules: fc.Arbitrary<ScalingRules> = fc.record({
  stabilizationWindowMs: fc.oneof(
    fc.constant(0),
    fc.integer({ min: 1, max: 600 }).map((s) => s * 1_000),
  ),
  selectPolicy: fc.constantFrom("Max", "Min", "Disabled"),
  policies: fc.array(
    fc.record({
      type: fc.constantFrom("Pods", "Percent"),
      value: fc.integer({ min: 1, max: 200 }),
      periodMs: fc.integer({ min: 1, max: 120 }).map((s) => s * 1_000),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  tolerancePercent: fc.integer({ min: 0, max: 50 }),
});

/** Any policy of mode Operator that the API accepts. */
export const anyPolicy: fc.Arbitrary<ScalingPolicy> = fc
  .record({
    min: fc.nat(5),
    more: fc.nat(50),
    targetBacklogPerReplica: fc.integer({ min: 1, max: 1_000 }),
    targetScheduleToStartMs: fc.option(fc.integer({ min: 100, max: 60_000 })),
    slotsPerReplica: fc.integer({ min: 1, max: 1_000 }),
    targetSlotUtilizationPercent: fc.integer({ min: 10, max: 100 }),
    scaleUp: anyRules,
    scaleDown: anyRules,
    cooldownMs: fc.nat(600_000),
    timerLookaheadMs: fc.nat(120_000),
    draining: fc.record({
      minReplicas: fc.constant(0),
      maxReplicas: fc.nat(5),
      scaledownDelayMs: fc.nat(600_000),
    }),
  })
  .map(({ min, more, scaleUp, scaleDown, ...rest }) => ({
    ...DEFAULT_POLICY,
    ...rest,
    minReplicas: min,
    maxReplicas: Math.max(1, min + more),
    behavior: { scaleUp, scaleDown },
  }));
