/**
 * The words of a scaling decision: the terms that ask for replicas and the rules that limit what they ask for.
 *
 * Both lists are closed and part of the interface: status, Events and metrics show these words, and the tables of
 * docs/scaling.md are made from here. A word is never given another meaning.
 */
import type { TASK_QUEUE_EVENTS } from "@memflow/crds";

/** Terms that ask for replicas; the largest is the raw recommendation. */
export const TERMS = {
  backlog: {
    formula: "ready / targetBacklogPerReplica",
    meaning: "Ready runs and attempts that a living worker could claim now.",
  },
  inFlight: {
    formula: "in flight / (slotsPerReplica x targetSlotUtilization)",
    meaning: "Busy runs and leased attempts of living workers: the room that the present work needs.",
  },
  age: {
    formula: "ready replicas x min(age of the oldest / targetScheduleToStart, 2)",
    meaning:
      "Asks once the oldest ready task is older than the target; only replicas that are up are multiplied, so a slow start is not answered twice, and never for more than a replica a ready task.",
  },
  timer: {
    formula: "1",
    meaning: "The next timer is due within timerLookahead: one replica is there when it fires.",
  },
  unserved: {
    formula: "1",
    meaning:
      "Ready tasks of names that no living worker of the queue knows: more replicas would not help, none would hide it.",
  },
} as const;

/** One of {@link TERMS}. */
export type Term = keyof typeof TERMS;

/** Rules that change what the terms ask for, in the order in which they are applied; the last that did is named. */
export const LIMITS = {
  None: "The raw recommendation stands.",
  Tolerance:
    "The demand differs from the present replicas by no more than the tolerance of its direction: they stay.",
  Stabilization:
    "Within the stabilisation window another recommendation was closer to the present replicas: the closest one counts.",
  Step: "A policy of `behavior` lets only so many replicas come or go within its period.",
  Max: "The upper bound of the build: `maxReplicas`, or `draining.maxReplicas`.",
  Min: "The lower bound of the build: `minReplicas`, or `draining.minReplicas`.",
  Activation:
    "A build at zero: with work for it, one replica at once, whatever window or policy says; none while less is ready than `activation.backlog`.",
  Cooldown: "The last replica stays until the build has been idle for the whole cooldown.",
  InFlightFloor:
    "Work in flight needs these replicas, or this many workers hold an attempt: none of them is taken away.",
  Hold: "The store could not be observed: nothing is taken away without looking.",
  Paused: "Scaling, or this direction of it, is paused by an annotation or by `paused`.",
  Manual: "Mode `Manual`: `spec.replicas` decides.",
  External: "Mode `External`: who writes the `scale` subresource decides.",
} as const;

/** One of {@link LIMITS}. */
export type Limit = keyof typeof LIMITS;

/** The Events of a decision; what each means is said with the kind (crds/). */
export type EventReason = Extract<
  keyof typeof TASK_QUEUE_EVENTS,
  "Activated" | "ScaledUp" | "ScaledDown" | "ScaledToZero" | "ScalingHeld" | "ScalingResumed"
>;
