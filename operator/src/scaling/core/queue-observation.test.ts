import { expect, test } from "vitest";
import { observeQueue } from "./queue-observation.ts";
import type { QueueFacts, WorkerLoad } from "./queue-observation.ts";

function worker(host: string | null, held: Partial<WorkerLoad>): WorkerLoad {
  return {
    workerId: `worker of ${host}`,
    host,
    buildId: null,
    busyRuns: 0,
    attempts: 0,
    ownedRuns: 0,
    nextTimerInMs: null,
    ...held,
  };
}

const waits = { ready: 0, oldestAgeMs: null, nextTimerInMs: null, unserved: 0 };

function factsOf(changes: Partial<QueueFacts>): QueueFacts {
  return {
    queueName: "orders",
    atMs: 1_000,
    load: { kind: "Seen", waiting: [], workers: [] },
    builds: [
      {
        buildId: "b1",
        role: "Current",
        sharePercent: 100,
        replicas: { desired: 2, ready: 2, unavailable: 0 },
      },
    ],
    pods: [
      { name: "b1-x", buildId: "b1", terminating: false },
      { name: "b1-y", buildId: "b1", terminating: false },
    ],
    annotations: {},
    ...changes,
  };
}

function observed(changes: Partial<QueueFacts>) {
  const { observation } = observeQueue(factsOf(changes));
  const [build] = observation.builds;
  if (build === undefined) throw new Error("no build");
  return { observation, build };
}

test("what waits for a build is its own, what waits for any is the queue's", () => {
  const waiting = [
    { ...waits, buildId: null, ready: 7, oldestAgeMs: 50 },
    { ...waits, buildId: "b1", ready: 3, oldestAgeMs: 10 },
    { ...waits, buildId: "gone", ready: 90, oldestAgeMs: 10 },
  ];
  const { observation, build } = observed({ load: { kind: "Seen", waiting, workers: [] } });
  expect(observation.load).toEqual({ kind: "Seen", unassigned: { ...waits, ready: 7, oldestAgeMs: 50 } });
  expect(build.waiting).toEqual({ ...waits, ready: 3, oldestAgeMs: 10 });
});

test("a worker belongs to the build of the pod whose name is its host, else to the build that it declares", () => {
  const workers = [
    worker("b1-x", { busyRuns: 2, attempts: 1 }),
    worker("elsewhere", { buildId: "b1", busyRuns: 4 }),
    worker("laptop", { busyRuns: 8 }),
    worker(null, { attempts: 16 }),
  ];
  const { build } = observed({ load: { kind: "Seen", waiting: [], workers } });
  expect(build).toMatchObject({ inFlight: 7, holders: 1 });
});

test("a pod that is being deleted holds work in flight, and keeps no replica", () => {
  const workers = [worker("b1-x", { attempts: 1 }), worker("b1-y", { attempts: 1 })];
  const pods = [
    { name: "b1-x", buildId: "b1", terminating: true },
    { name: "b1-y", buildId: "b1", terminating: false },
  ];
  const { build } = observed({ pods, load: { kind: "Seen", waiting: [], workers } });
  expect(build).toMatchObject({ inFlight: 2, holders: 1 });
});

test("a worker whose runs all wait holds nothing, but its timers are the build's", () => {
  const workers = [worker("b1-x", { ownedRuns: 900, nextTimerInMs: 8_000 })];
  const waiting = [{ ...waits, buildId: "b1", nextTimerInMs: 9_000 }];
  const { build } = observed({ load: { kind: "Seen", waiting, workers } });
  expect(build).toMatchObject({ inFlight: 0, holders: 0, waiting: { nextTimerInMs: 8_000 } });
});

test("a store that can't be seen leaves the pods, and no load", () => {
  const load = { kind: "Unseen", code: "DATABASE_UNREACHABLE", message: "down" } as const;
  const { observation, build } = observed({ load });
  expect(observation.load).toEqual(load);
  expect(build).toMatchObject({ inFlight: 0, holders: 0, replicas: { desired: 2 } });
});

test("annotations pause, and what can't be read in them is told", () => {
  const { observation, faults } = observeQueue(
    factsOf({ annotations: { "memflow.io/scaling-paused-scale-in": "perhaps" } }),
  );
  expect(observation.pause).toEqual({ scaleIn: true, scaleOut: false, replicas: null });
  expect(faults).toHaveLength(1);
});
