import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { deletionCost, planScaleIn } from "./plan-scale-in.ts";
import type { ReplicaPod, ScaleIn } from "./plan-scale-in.ts";
import type { WorkerLoad } from "./queue-observation.ts";

function pod(name: string, changes: Partial<ReplicaPod> = {}): ReplicaPod {
  return { name, gone: false, scheduled: true, phase: "Running", ready: true, deletionCost: 0, ...changes };
}

function worker(host: string, held: Partial<WorkerLoad>): WorkerLoad {
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

function from(current: number, wanted: number, changes: Partial<ScaleIn> = {}): ScaleIn {
  return { current, wanted, aim: wanted, holdersMayGo: false, ...changes };
}

const FIVE = ["a", "b", "c", "d", "e"];

describe("a scale-in from five, of which one holds an attempt", () => {
  const workers = [worker("c", { attempts: 1 })];

  test("first writes its cost and lowers nothing", () => {
    expect(
      planScaleIn(
        FIVE.map((name) => pod(name)),
        workers,
        from(5, 1),
      ),
    ).toEqual({
      costs: [{ name: "c", cost: 1_001 }],
      replicas: 5,
      waitingFor: ["c"],
      cordon: [],
      liftCordons: false,
    });
  });

  test("then, with the cost seen, lowers as far as is wanted", () => {
    const pods = FIVE.map((name) => pod(name, { deletionCost: name === "c" ? 1_001 : 0 }));
    expect(planScaleIn(pods, workers, from(5, 1))).toEqual({
      costs: [],
      replicas: 1,
      waitingFor: [],
      cordon: [],
      liftCordons: false,
    });
  });

  test("keeps the count while the holder is not ready: a ReplicaSet deletes that one first", () => {
    const pods = FIVE.map((name) =>
      pod(name, { ready: name !== "c", deletionCost: name === "c" ? 1_001 : 0 }),
    );
    expect(planScaleIn(pods, workers, from(5, 4))).toMatchObject({
      replicas: 5,
      waitingFor: ["c"],
    });
  });

  test("lowers by the pods that start, before any cost is seen", () => {
    const pods = FIVE.map((name) => pod(name, name > "c" ? { phase: "Pending", ready: false } : {}));
    expect(planScaleIn(pods, workers, from(5, 1))).toMatchObject({
      costs: [{ name: "c", cost: 1_001 }],
      replicas: 3,
    });
  });

  test("takes a cost back that is no longer true, before it goes on", () => {
    const pods = FIVE.map((name) => pod(name, { deletionCost: name === "a" ? 1_001 : 0 }));
    expect(planScaleIn(pods, workers, from(5, 4))).toMatchObject({
      costs: [
        { name: "a", cost: 0 },
        { name: "c", cost: 1_001 },
      ],
      replicas: 5,
    });
  });
});

test("pods that are gone already are not counted, those that were never made are no loss", () => {
  const pods = [pod("a"), pod("b", { gone: true })];
  expect(planScaleIn(pods, [worker("a", { busyRuns: 1 })], from(4, 1))).toMatchObject({
    replicas: 1,
  });
});

test("a scale-out is never delayed and writes no costs", () => {
  expect(planScaleIn([pod("a")], [worker("a", { attempts: 3 })], from(1, 6))).toEqual({
    costs: [],
    replicas: 6,
    waitingFor: [],
    cordon: [],
    liftCordons: true,
  });
});

test("the work of all queues of a worker counts, and that of hosts without a name for nobody", () => {
  const workers = [
    worker("a", { ownedRuns: 3 }),
    worker("a", { attempts: 2, ownedRuns: 1 }),
    { ...worker("", { attempts: 1 }), host: null },
  ];
  expect(planScaleIn([pod("a"), pod("b")], workers, from(2, 1)).costs).toEqual([{ name: "a", cost: 1_002 }]);
});

describe("where every worker holds something", () => {
  const pods = ["a", "b", "c"].map((name) => pod(name));
  const workers = [
    worker("a", { attempts: 4 }),
    worker("b", { attempts: 1 }),
    worker("c", { busyRuns: 2 }),
    worker("c", { attempts: 1 }),
  ];

  test("those beyond the aim, the least laden, claim nothing more", () => {
    expect(planScaleIn(pods, workers, from(3, 3, { aim: 2 })).cordon).toEqual(["worker of b"]);
    expect(planScaleIn(pods, workers, from(3, 3, { aim: 1 })).cordon).toEqual([
      "worker of b",
      "worker of c",
      "worker of c",
    ]);
  });

  test("none is cordoned when all are needed", () => {
    expect(planScaleIn(pods, workers, from(3, 5))).toMatchObject({ cordon: [], liftCordons: true });
    expect(planScaleIn(pods, [], from(3, 1))).toMatchObject({ cordon: [], liftCordons: false });
  });

  test("a person's number is kept to once the costs are seen, the least laden first", () => {
    const person = from(3, 1, { holdersMayGo: true });
    const first = planScaleIn(pods, workers, person);
    expect(first.replicas).toBe(3);
    const written = pods.map((one) => ({
      ...one,
      deletionCost: first.costs.find(({ name }) => name === one.name)?.cost ?? 0,
    }));
    expect(planScaleIn(written, workers, person)).toMatchObject({ costs: [], replicas: 1 });
  });
});

test("work in hand weighs more than any number of waiting runs, more of it more, and magnitudes alone", () => {
  const cost = (inHand: number, ownedRuns: number): number => deletionCost({ inHand, ownedRuns });
  expect(deletionCost(undefined)).toBe(0);
  expect([cost(0, 0), cost(0, 1), cost(0, 900), cost(1, 0), cost(1, 900), cost(5, 5), cost(7, 7)]).toEqual([
    0, 1, 10, 1_001, 1_001, 1_003, 1_003,
  ]);
  expect(cost(0, Number.MAX_SAFE_INTEGER)).toBeLessThan(cost(1, 0));
});

describe("whatever pods and workers there are", () => {
  const pods = fc
    .array(
      fc.record({
        gone: fc.boolean(),
        scheduled: fc.boolean(),
        phase: fc.constantFrom("Pending", "Unknown", "Running"),
        ready: fc.boolean(),
        deletionCost: fc.constantFrom(0, 3, 1_001, 1_002),
      }),
      { maxLength: 12 },
    )
    .map((all) => all.map((one, index) => ({ ...one, name: `pod-${index}` })));
  const hosts = fc.array(fc.nat(15), { maxLength: 12 });

  /** What the controller may do: delete by its documented order, ties in any order. */
  function deletedBy(all: readonly ReplicaPod[], replicas: number, ties: readonly number[]): string[] {
    const keyed = all
      .filter(({ gone }) => !gone)
      .map((one, index) => ({
        name: one.name,
        key: [
          Number(one.scheduled),
          ["Pending", "Unknown", "Running"].indexOf(one.phase),
          Number(one.ready),
          one.deletionCost,
          ties[index] ?? 0,
        ],
      }));
    keyed.sort((left, right) => {
      const place = left.key.findIndex((value, index) => value !== right.key[index]);
      return (left.key[place] ?? 0) - (right.key[place] ?? 0);
    });
    return keyed.slice(0, Math.max(0, keyed.length - replicas)).map(({ name }) => name);
  }

  test("the count is lowered only so far that no pod that holds work goes", () => {
    fc.assert(
      fc.property(
        pods,
        hosts,
        fc.nat(12),
        fc.array(fc.nat(100), { minLength: 12, maxLength: 12 }),
        (all, held, wanted, ties) => {
          const current = Math.max(wanted, all.filter(({ gone }) => !gone).length);
          const workers = held.map((index) => worker(`pod-${index}`, { attempts: 1 }));
          const { replicas } = planScaleIn(all, workers, from(current, wanted));
          expect(replicas).toBeGreaterThanOrEqual(wanted);
          expect(replicas).toBeLessThanOrEqual(current);
          const holders = new Set(held.map((index) => `pod-${index}`));
          expect(deletedBy(all, replicas, ties).filter((name) => holders.has(name))).toEqual([]);
        },
      ),
    );
  });

  test("once costs are written and all pods are ready, nothing but the holders stays above what is wanted", () => {
    fc.assert(
      fc.property(pods, hosts, fc.nat(12), (all, held, wanted) => {
        const ready = all.map((one) => ({
          ...one,
          gone: false,
          scheduled: true,
          ready: true,
          phase: "Running" as const,
        }));
        const workers = held.map((index) => worker(`pod-${index}`, { attempts: 1 }));
        const current = ready.length;
        if (wanted >= current) return;
        const { costs } = planScaleIn(ready, workers, from(current, wanted));
        const written = ready.map((one) => ({
          ...one,
          deletionCost: costs.find(({ name }) => name === one.name)?.cost ?? one.deletionCost,
        }));
        const plan = planScaleIn(written, workers, from(current, wanted));
        const holders = ready.filter(({ name }) => held.some((index) => name === `pod-${index}`)).length;
        expect(plan).toMatchObject({ costs: [], replicas: Math.max(wanted, holders) });
      }),
    );
  });
});
