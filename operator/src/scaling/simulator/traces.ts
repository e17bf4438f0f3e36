/**
 * The loads that the simulator plays: what arrives when, and what goes wrong meanwhile.
 */
import { exponential, seededRandom } from "./random.ts";
import type { Random } from "./random.ts";

/** A task to be done. */
export interface Arrival {
  readonly atMs: number;
  readonly serviceMs: number;
}

/** A span of time. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** One load. */
export interface Trace {
  readonly name: string;
  /** What it is, for people. */
  readonly title: string;
  /** By time. */
  readonly arrivals: readonly Arrival[];
  readonly durationMs: number;
  /** The arrivals are timers: the store knows of the next one before it is due. */
  readonly timers: boolean;
  /** The store answers nobody. */
  readonly outages: readonly Span[];
  /** From a pod's creation until it takes tasks. */
  readonly podStartMs: number;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60_000;
const DURATION_MS = 60 * MINUTE_MS;
const POD_START_MS = 8 * SECOND_MS;
const SLOW_POD_START_MS = 120 * SECOND_MS;
/** Mean service time of a short task. */
const SHORT_MS = 2 * SECOND_MS;
const LONG_MS = 30 * MINUTE_MS;

/** Every load, in the order of the docs. */
export function allTraces(): readonly Trace[] {
  return [
    trace("constant", "20 tasks a second, 2 s each", (random) => atRate(random, () => 20)),
    trace("ramp", "From 0 to 50 tasks a second and back", (random) =>
      atRate(random, (atMs) => 50 * Math.max(0, 1 - Math.abs(atMs / MINUTE_MS - 25) / 25)),
    ),
    trace("spike", "2 tasks a second, and 10,000 at once after 10 minutes", withSpike),
    trace("sawtooth", "40 tasks a second for 3 minutes, 4 for the next 3, and so on", (random) =>
      atRate(random, (atMs) => (Math.floor(atMs / (3 * MINUTE_MS)) % 2 === 0 ? 40 : 4)),
    ),
    trace("long-activities", "5 minutes of load, then 6 activities of 30 minutes and no backlog", withLong),
    trace("timers", "300 timers due at once every 20 minutes, nothing between", withTimers, {
      timers: true,
    }),
    trace(
      "outage",
      "20 tasks a second, the database away for 10 minutes",
      (random) => atRate(random, () => 20),
      { outages: [{ fromMs: 20 * MINUTE_MS, toMs: 30 * MINUTE_MS }] },
    ),
    trace("slow-start", "The spike, where a pod needs 2 minutes to start", withSpike, {
      podStartMs: SLOW_POD_START_MS,
    }),
  ];
}

function trace(
  name: string,
  title: string,
  arrivalsOf: (random: Random) => readonly Arrival[],
  changes: Partial<Trace> = {},
): Trace {
  return {
    name,
    title,
    arrivals: arrivalsOf(seededRandom(name.length)).toSorted((left, right) => left.atMs - right.atMs),
    durationMs: DURATION_MS,
    timers: false,
    outages: [],
    podStartMs: POD_START_MS,
    ...changes,
  };
}

/** Independent arrivals at a rate that changes slowly, until ten minutes before the end. */
function atRate(random: Random, perSecond: (atMs: number) => number): Arrival[] {
  const arrivals: Arrival[] = [];
  const untilMs = DURATION_MS - 10 * MINUTE_MS;
  for (let atMs = 0; atMs < untilMs;) {
    const rate = perSecond(atMs);
    // Where almost nothing comes, the rate is asked again a second later.
    const stepMs = rate === 0 ? Infinity : exponential(random, SECOND_MS / rate);
    atMs += Math.min(stepMs, SECOND_MS);
    if (stepMs <= SECOND_MS && atMs < untilMs) arrivals.push(short(random, atMs));
  }
  return arrivals;
}

function withSpike(random: Random): Arrival[] {
  const spike = Array.from({ length: 10_000 }, () => short(random, 10 * MINUTE_MS));
  return [...atRate(random, () => 2), ...spike];
}

function withLong(random: Random): Arrival[] {
  const load = atRate(random, (atMs) => (atMs < 5 * MINUTE_MS ? 40 : 0));
  const long = Array.from({ length: 6 }, (_, index) => ({
    atMs: 4 * MINUTE_MS + index * 10 * SECOND_MS,
    serviceMs: LONG_MS,
  }));
  return [...load, ...long];
}

function withTimers(random: Random): Arrival[] {
  return [5, 25, 45].flatMap((minute) =>
    Array.from({ length: 300 }, () => short(random, minute * MINUTE_MS)),
  );
}

function short(random: Random, atMs: number): Arrival {
  return { atMs, serviceMs: SHORT_MS / 2 + exponential(random, SHORT_MS / 2) };
}
