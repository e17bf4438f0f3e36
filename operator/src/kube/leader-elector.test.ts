/** Who leads, who believes it, and when. */
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { recordLog } from "../testing/log-recorder.ts";
import { ManualClock } from "../testing/manual-clock.ts";
import type { Fault, Verb } from "../testing/mock-api/faults.ts";
import { MockApiServer } from "../testing/mock-api/mock-api-server.ts";
import { LeaderElector } from "./leader-elector.ts";
import type { Leadership } from "./leader-elector.ts";
import { LEASES } from "./resource-type.ts";

const LEASE = { namespace: "memflow", name: "operator" } as const;
const DURATION_MS = 15_000;
const DEADLINE_MS = 10_000;

/** A process that stands for election. */
interface Candidate {
  readonly elector: LeaderElector;
  readonly clock: ManualClock;
  /** All that it ever had. */
  readonly leaderships: Leadership[];
  /** Ends its work, for the newest leadership. */
  endWork(): void;
  /** Tells the process to end. */
  stop(): void;
  readonly ended: Promise<void>;
}

interface CandidateOptions {
  readonly clock?: ManualClock;
  /** The work ends by itself when its signal aborts (default true). */
  readonly obeys?: boolean;
  readonly onLead?: (leadership: Leadership) => void;
}

async function startServer(): Promise<MockApiServer> {
  const api = await MockApiServer.start();
  onTestFinished(() => api.close());
  return api;
}

function startCandidate(
  api: MockApiServer,
  name: string,
  { clock = new ManualClock(), obeys = true, onLead }: CandidateOptions = {},
): Candidate {
  const leaderships: Leadership[] = [];
  const stopping = new AbortController();
  let endWork = (): void => {};
  const elector = new LeaderElector({
    kubeConfig: api.kubeConfig(name),
    lease: LEASE,
    name,
    clock,
    random: () => 0,
    log: recordLog().log,
    lead: async (leadership) => {
      leaderships.push(leadership);
      onLead?.(leadership);
      api.bell.ring();
      await new Promise<void>((resolve) => {
        endWork = resolve;
        if (!obeys) return;
        if (leadership.signal.aborted) resolve();
        leadership.signal.addEventListener("abort", () => resolve(), { once: true });
      });
    },
  });
  const ended = elector.run(stopping.signal);
  const candidate = {
    elector,
    clock,
    leaderships,
    endWork: () => endWork(),
    stop: () => stopping.abort(),
    ended,
  };
  onTestFinished(async () => {
    candidate.stop();
    candidate.endWork();
    // Whatever the test left under way comes to its end by the clock.
    const end = { isOver: false };
    void ended.catch(() => {}).then(() => (end.isOver = true));
    while (!end.isOver) {
      clock.advance(1_000);
      await nextTurn();
    }
  });
  return candidate;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Lets time pass in small steps, with turns for requests between them, until something holds. */
async function passUntil(clocks: readonly ManualClock[], holds: () => boolean): Promise<number> {
  let passedMs = 0;
  while (!holds()) {
    for (const clock of clocks) clock.advance(100);
    passedMs += 100;
    for (let turn = 0; turn < 10; turn++) await nextTurn();
  }
  return passedMs;
}

async function untilLeading(api: MockApiServer, candidate: Candidate): Promise<Leadership> {
  await api.bell.until(() => candidate.leaderships.length > 0);
  return candidate.leaderships[0] as Leadership;
}

test("who finds no lease makes one and leads", async () => {
  const api = await startServer();
  const one = startCandidate(api, "one");
  const { fencingToken, signal } = await untilLeading(api, one);
  expect(one.elector.isLeading).toBe(true);
  expect(signal.aborted).toBe(false);
  const spec = api.cluster.find(LEASES, LEASE)?.spec;
  expect(spec).toMatchObject({ leaseDurationSeconds: 15, leaseTransitions: fencingToken });
  expect(spec?.holderIdentity).toMatch(/^one_[0-9a-f-]{36}$/u);
});

test("a standby waits; when the leader ends, it gives the lease back, and the standby need not wait any longer", async () => {
  const api = await startServer();
  const one = startCandidate(api, "one");
  const first = await untilLeading(api, one);
  const two = startCandidate(api, "two");
  await two.clock.untilPending(1_500);
  expect(two.elector).toMatchObject({ isLeading: false, holder: one.elector.identity });
  one.stop();
  await one.ended;
  expect(api.cluster.find(LEASES, LEASE)?.spec).not.toHaveProperty("holderIdentity");
  two.clock.advance(1_500);
  const second = await untilLeading(api, two);
  expect(second.fencingToken).toBe(first.fencingToken + 1);
  expect(first.signal.reason).toMatchObject({ code: "LEADERSHIP_ENDS" });
});

test("the lease is given back only when the work has ended, and renewed until then", async () => {
  const api = await startServer();
  const one = startCandidate(api, "one", { obeys: false });
  const { signal, assertCurrent } = await untilLeading(api, one);
  one.stop();
  expect(signal.aborted).toBe(true);
  const writeCount = api.requestsOf("update").length;
  await passUntil([one.clock], () => api.requestsOf("update").length >= writeCount + 10);
  expect(() => assertCurrent()).not.toThrow();
  expect(api.cluster.find(LEASES, LEASE)?.spec?.holderIdentity).toBe(one.elector.identity);
  one.endWork();
  await one.ended;
  expect(api.cluster.find(LEASES, LEASE)?.spec).not.toHaveProperty("holderIdentity");
});

test("a leader that died is replaced once its lease is over, by whoever has watched that long", async () => {
  const api = await startServer();
  const one = startCandidate(api, "one");
  await untilLeading(api, one);
  // From now on its clock stands still, as if it had been killed.
  const two = startCandidate(api, "two");
  await two.clock.untilPending(1_500);
  const waitedMs = await passUntil([two.clock], () => two.leaderships.length > 0);
  expect(waitedMs).toBeGreaterThanOrEqual(DURATION_MS);
  expect(waitedMs).toBeLessThanOrEqual(DURATION_MS + 2_000);
});

test("a leader that the server no longer hears ceases to believe before its lease is over, and stops its work", async () => {
  const api = await startServer();
  const one = startCandidate(api, "one");
  const { signal, assertCurrent } = await untilLeading(api, one);
  api.faults.inject({ kind: "silence" }, { user: "one" }, Infinity);
  const heldMs = await passUntil([one.clock], () => signal.aborted);
  expect(heldMs).toBeLessThanOrEqual(DEADLINE_MS);
  expect(signal.reason).toMatchObject({ code: "LEADERSHIP_LOST" });
  expect(() => assertCurrent()).toThrow(expect.objectContaining({ code: "LEADERSHIP_LOST" }));
  expect(one.elector.isLeading).toBe(false);
});

test("one request that hangs costs no leadership", async () => {
  const api = await startServer();
  const one = startCandidate(api, "one");
  const { signal } = await untilLeading(api, one);
  api.faults.inject({ kind: "silence" }, { user: "one" });
  const writeCount = api.requestsOf("update").length;
  await passUntil([one.clock], () => api.requestsOf("update").length >= writeCount + 8);
  expect(signal.aborted).toBe(false);
});

test.each([
  { kind: "lose-answer" },
  { kind: "reset" },
  { kind: "refuse", status: 500 },
  { kind: "refuse", status: 429, retryAfterSeconds: 60 },
] satisfies Fault[])("a renewal that ends in $kind $status is made good by the next", async (fault) => {
  const api = await startServer();
  const one = startCandidate(api, "one");
  const { signal } = await untilLeading(api, one);
  api.faults.inject(fault, { verbs: ["update"] });
  const revision = api.cluster.revision;
  await passUntil([one.clock], () => api.cluster.revision >= revision + 5);
  expect(signal.aborted).toBe(false);
});

test("a process that was paused knows at its first moment that it does not lead, before any timer has told it", async () => {
  const api = await startServer();
  const one = startCandidate(api, "one");
  const { assertCurrent, signal } = await untilLeading(api, one);
  one.clock.jump(60_000);
  expect(one.elector.isLeading).toBe(false);
  expect(() => assertCurrent()).toThrow(expect.objectContaining({ code: "LEADERSHIP_LOST" }));
  const writeCount = api.requestsOf("update").length;
  one.clock.advance(0);
  await api.bell.until(() => signal.aborted);
  expect(api.requestsOf("update").length).toBe(writeCount);
});

test("a process leads again only when its earlier work has ended", async () => {
  const api = await startServer();
  const one = startCandidate(api, "one", { obeys: false });
  const first = await untilLeading(api, one);
  api.faults.inject({ kind: "reset" }, { user: "one" }, Infinity);
  await passUntil([one.clock], () => first.signal.aborted);
  api.faults.clear();
  for (let count = 0; count < 50; count++) {
    one.clock.advance(1_000);
    await nextTurn();
  }
  expect(one.leaderships.length).toBe(1);
  one.endWork();
  await passUntil([one.clock], () => one.leaderships.length === 2);
  expect(one.leaderships[1]?.fencingToken).toBeGreaterThan(first.fencingToken);
});

test("a leader whose lease another one holds stops at once", async () => {
  const api = await startServer();
  const one = startCandidate(api, "one");
  const { signal } = await untilLeading(api, one);
  const lease = api.cluster.find(LEASES, LEASE);
  api.cluster.replace(LEASES, { ...lease, spec: { ...lease?.spec, holderIdentity: "thief" } });
  const heldMs = await passUntil([one.clock], () => signal.aborted);
  expect(heldMs).toBeLessThan(DEADLINE_MS / 2);
});

test("of a lease that somebody deleted, a standby that knew it takes nothing while its holder may still believe", async () => {
  const api = await startServer();
  const one = startCandidate(api, "one");
  await untilLeading(api, one);
  const two = startCandidate(api, "two");
  await two.clock.untilPending(1_500);
  api.cluster.delete(LEASES, LEASE);
  const waitedMs = await passUntil([two.clock], () => two.leaderships.length > 0);
  expect(waitedMs).toBeGreaterThanOrEqual(DURATION_MS - 1_500);
});

test("an elector ends with its work, and with the error of its work", async () => {
  const api = await startServer();
  const one = startCandidate(api, "one", { obeys: false });
  await untilLeading(api, one);
  one.endWork();
  await one.ended;
  expect(api.cluster.find(LEASES, LEASE)?.spec).not.toHaveProperty("holderIdentity");
  const broken = new Error("broken");
  const elector = new LeaderElector({
    kubeConfig: api.kubeConfig("two"),
    lease: LEASE,
    name: "two",
    log: recordLog().log,
    lead: async () => {
      throw broken;
    },
  });
  await expect(elector.run(new AbortController().signal)).rejects.toBe(broken);
});

test.each([
  [{ leaseDurationMs: 15_500 }, /whole seconds/u],
  [{ renewDeadlineMs: 15_000 }, /must be below leaseDurationMs/u],
  [{ attemptTimeoutMs: 9_000 }, /must be at most renewDeadlineMs/u],
])("times that could not keep the promises are refused: %j", async (times, message) => {
  const api = await startServer();
  const options = { kubeConfig: api.kubeConfig(), lease: LEASE, name: "one", times, log: recordLog().log };
  expect(() => new LeaderElector({ ...options, lead: async () => {} })).toThrow(message);
});

type Step =
  | { readonly kind: "pass"; readonly durationMs: number }
  /** One process stands still; its time goes on. */
  | { readonly kind: "pause"; readonly who: number; readonly durationMs: number }
  /** Nothing of one process arrives, or nothing comes back. */
  | { readonly kind: "partition"; readonly who: number; readonly fault: Fault }
  | { readonly kind: "fault"; readonly who: number; readonly fault: Fault; readonly verb: Verb }
  | { readonly kind: "clear" };

const whos = fc.integer({ min: 0, max: 1 });
const durations = fc.integer({ min: 1, max: 100 }).map((count) => count * 250);
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("pass"), durationMs: durations }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("pause"), who: whos, durationMs: durations }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("partition"),
      who: whos,
      fault: fc.constantFrom<Fault[]>({ kind: "silence" }, { kind: "reset" }, { kind: "lose-answer" }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("fault"),
      who: whos,
      fault: fc.constantFrom<Fault[]>(
        { kind: "lose-answer" },
        { kind: "stall-body" },
        { kind: "refuse", status: 500 },
        { kind: "refuse", status: 429, retryAfterSeconds: 5 },
        { kind: "refuse", status: 409, reason: "Conflict" },
      ),
      verb: fc.constantFrom<Verb[]>("get", "create", "update"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("clear") }) },
);

/** Two candidates in one small world, of which every moment is checked. */
class Election {
  readonly tokens: number[] = [];
  /** Moments in which both believed that they lead. */
  violationCount = 0;
  readonly candidates: Candidate[] = [];
  readonly #api: MockApiServer;

  constructor(api: MockApiServer) {
    this.#api = api;
    const onLead = ({ fencingToken }: Leadership): void => {
      this.tokens.push(fencingToken);
      this.check();
    };
    for (const name of ["0", "1"]) this.candidates.push(startCandidate(api, name, { onLead }));
    api.bell.onRing(() => this.check());
  }

  get leadingCount(): number {
    return this.candidates.filter(({ elector }) => elector.isLeading).length;
  }

  /** Called from everywhere: what it threw there might get lost. */
  check(): void {
    if (this.leadingCount > 1) this.violationCount++;
  }

  /** Lets time pass for both, in which one may stand still. One clock is a tenth faster than the other. */
  async pass(durationMs: number, pausedWho?: number): Promise<void> {
    for (let passedMs = 0; passedMs < durationMs; passedMs += 250) {
      for (const [who, { clock }] of this.candidates.entries()) {
        const stepMs = who === 0 ? 250 : 275;
        if (who === pausedWho) clock.jump(stepMs);
        else clock.advance(stepMs);
      }
      this.check();
      for (let turn = 0; turn < 6; turn++) await nextTurn();
      this.check();
    }
  }

  async take(step: Step): Promise<void> {
    const { faults } = this.#api;
    if (step.kind === "pass") await this.pass(step.durationMs);
    else if (step.kind === "pause") await this.pass(step.durationMs, step.who);
    else if (step.kind === "clear") faults.clear();
    else if (step.kind === "partition") faults.inject(step.fault, { user: String(step.who) }, Infinity);
    else faults.inject(step.fault, { user: String(step.who), verbs: [step.verb] }, 3);
  }

  async end(): Promise<void> {
    let endedCount = 0;
    for (const { stop, ended } of this.candidates) {
      stop();
      void ended.then(() => endedCount++);
    }
    while (endedCount < this.candidates.length) await this.pass(1_000);
  }
}

test("two electors never both believe that they lead, whatever the server, the clocks and the processes do; one does in the end", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 4, maxLength: 16 }), async (all) => {
      const api = await MockApiServer.start();
      const election = new Election(api);
      for (const step of all) await election.take(step);
      api.faults.clear();
      while (election.leadingCount === 0) await election.pass(1_000);
      expect(election.tokens).toEqual([...new Set(election.tokens)].toSorted((left, right) => left - right));
      await election.end();
      await api.close();
      expect(election.violationCount).toBe(0);
    }),
    { numRuns: 20 },
  );
});
