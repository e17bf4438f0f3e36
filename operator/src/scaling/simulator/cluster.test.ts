/** The model by example: what a pod takes, what becomes of its work when it goes. */
import { expect, test } from "vitest";
import { Cluster } from "./cluster.ts";
import type { Trace } from "./traces.ts";

function traceOf(changes: Partial<Trace>): Trace {
  return {
    name: "test",
    title: "test",
    arrivals: [],
    durationMs: 1_000_000,
    timers: false,
    outages: [],
    podStartMs: 5_000,
    ...changes,
  };
}

test("tasks wait for a pod to start, then for a slot", () => {
  const arrivals = [0, 0, 0].map((atMs) => ({ atMs, serviceMs: 1_000 }));
  const cluster = new Cluster(traceOf({ arrivals }), 2);
  cluster.after(0, () => cluster.scale(1));
  expect(cluster.run().waitsMs).toEqual([5_000, 5_000, 6_000]);
});

test("a pod that goes finishes within its grace, and loses what takes longer to the others", () => {
  const arrivals = [
    { atMs: 10_000, serviceMs: 30_000 },
    { atMs: 10_000, serviceMs: 100_000 },
  ];
  const cluster = new Cluster(traceOf({ arrivals }), 2);
  cluster.after(0, () => cluster.scale(1));
  cluster.after(20_000, () => cluster.scale(0));
  cluster.after(90_000, () => cluster.scale(1));
  const { waitsMs, interruptedCount, lostMs, podMs } = cluster.run();
  expect(waitsMs).toEqual([0, 0]);
  expect([interruptedCount, lostMs]).toEqual([1, 70_000]);
  // The first pod until the end of its grace; the second to the last event, the end of the task that began anew.
  expect(podMs).toBe(80_000 + 105_000);
});

test("while the database is away nothing begins and nothing ends", () => {
  const arrivals = [
    { atMs: 6_000, serviceMs: 10_000 },
    { atMs: 12_000, serviceMs: 1_000 },
  ];
  const outages = [{ fromMs: 10_000, toMs: 50_000 }];
  const cluster = new Cluster(traceOf({ arrivals, outages }), 2);
  cluster.after(0, () => cluster.scale(1));
  const running: number[] = [];
  for (const atMs of [30_000, 50_001, 52_000]) cluster.after(atMs, () => running.push(cluster.running));
  expect(cluster.run().waitsMs).toEqual([0, 38_000]);
  expect(running).toEqual([1, 1, 0]);
});

test("a cordoned pod takes nothing until its cordon ends, or is lifted", () => {
  const arrivals = [10_000, 30_000, 60_000].map((atMs) => ({ atMs, serviceMs: 1_000 }));
  const cluster = new Cluster(traceOf({ arrivals }), 2);
  cluster.after(0, () => cluster.scale(1));
  cluster.after(9_000, () => cluster.cordon(["pod-1"], 5_000));
  cluster.after(29_000, () => cluster.cordon(["pod-1"], 20_000));
  cluster.after(35_000, () => cluster.liftCordons());
  expect(cluster.run().waitsMs).toEqual([4_000, 5_000, 0]);
});

test("those that start go first, then the least costly, then the newest", () => {
  const cluster = new Cluster(traceOf({}), 2);
  const names: string[][] = [];
  cluster.after(0, () => cluster.scale(2));
  cluster.after(1_000, () => cluster.scale(3));
  cluster.after(20_000, () => {
    cluster.scale(4);
    for (const pod of cluster.pods) pod.deletionCost = pod.name === "pod-3" ? 9 : 0;
    for (const replicas of [3, 2, 1]) {
      cluster.scale(replicas);
      names.push(cluster.pods.map(({ name }) => name));
    }
  });
  cluster.run();
  expect(names).toEqual([["pod-1", "pod-2", "pod-3"], ["pod-2", "pod-3"], ["pod-3"]]);
});

test("a store knows the next timer before it is due", () => {
  const arrivals = [{ atMs: 50_000, serviceMs: 1_000 }];
  const known: (number | null)[] = [];
  for (const timers of [true, false]) {
    const cluster = new Cluster(traceOf({ arrivals, timers }), 2);
    cluster.after(20_000, () => known.push(cluster.nextTimerInMs));
    cluster.after(60_000, () => known.push(cluster.nextTimerInMs));
    cluster.run();
  }
  expect(known).toEqual([30_000, null, null, null]);
});
