/** What holds for every schedule, whatever the clock does and whenever runs end. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { OverlapPolicy, ScheduleDefinition } from "./definition.ts";
import { planFiring, stateWithout } from "./plan-firing.ts";
import type { FiringPlan, PlannedStart } from "./plan-firing.ts";
import { initialState, stateUnder } from "./state.ts";
import type { ScheduleState } from "./state.ts";
import { timesOf } from "./times.ts";

const MINUTE_MS = 60_000;
const CREATED_MS = Date.parse("2026-03-28T20:00Z");

type Step =
  | { readonly kind: "clock"; readonly ms: number }
  | { readonly kind: "end"; readonly place: number; readonly status: string }
  | { readonly kind: "pause" | "resume" }
  | { readonly kind: "trigger"; readonly value: string }
  | { readonly kind: "taken" };

const policies: readonly OverlapPolicy[] = [
  "Skip",
  "BufferOne",
  "BufferAll",
  "CancelOther",
  "TerminateOther",
  "AllowAll",
];

const definitions = fc
  .record({
    cron: fc.constantFrom([], ["*/7 * * * *"], ["0 * * * *", "30 2 * * *"]),
    everyMs: fc.constantFrom(null, 5 * MINUTE_MS, 90 * MINUTE_MS),
    jitterMs: fc.constantFrom(0, 30_000, 60 * MINUTE_MS),
    overlap: fc.constantFrom(...policies),
    catchupWindowMs: fc.constantFrom(MINUTE_MS, 60 * MINUTE_MS, 10_000 * MINUTE_MS),
    limitRuns: fc.option(fc.integer({ min: 1, max: 5 })),
    pauseOnFailure: fc.boolean(),
  })
  .map(({ cron, everyMs, jitterMs, ...rest }): ScheduleDefinition => ({
    when: {
      cron: everyMs === null && cron.length === 0 ? ["0 * * * *"] : cron,
      everyMs,
      offsetMs: 0,
      timeZone: "Europe/Berlin",
      jitterMs,
      startAtMs: null,
      endAtMs: null,
    },
    run: {
      workflowIdPrefix: "p",
      workflowName: "work",
      taskQueue: "queue",
      input: null,
      options: null,
      retentionSeconds: 60,
    },
    paused: false,
    backfills: [],
    trigger: null,
    ...rest,
  }));

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("clock" as const),
      ms: fc.integer({ min: -90 * MINUTE_MS, max: 300 * MINUTE_MS }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("end" as const),
      place: fc.nat(10),
      status: fc.constantFrom("completed", "completed", "failed"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("pause" as const, "resume" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("trigger" as const), value: fc.constantFrom("a", "b", "c") }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "taken" as const }) },
);

/** Plays the database's part. */
class Model {
  definition: ScheduleDefinition;
  state: ScheduleState = initialState(CREATED_MS);
  nowMs = CREATED_MS;
  open: string[] = [];
  ended: string[] = [];
  readonly started: PlannedStart[] = [];
  /** Times that passed while it was paused. */
  passedBy = 0;
  /** Another one's open run has the next workflow id. */
  taken = false;
  mostOpen = 0;

  constructor(definition: ScheduleDefinition) {
    this.definition = definition;
  }

  timesIn(fromMs: number, toMs: number): number {
    const times = timesOf(this.definition.when);
    let count = 0;
    for (let ms = times.after(fromMs); ms !== undefined && ms <= toMs; ms = times.after(ms)) count += 1;
    return count;
  }

  put(next: ScheduleDefinition): void {
    const before = this.state;
    this.state = stateUnder(next, { definition: this.definition, state: before }, this.nowMs);
    this.passedBy += this.timesIn(before.doneUntilMs, this.state.doneUntilMs);
    this.definition = next;
  }

  look(budget: number): FiringPlan {
    const plan = planFiring({
      scheduleId: "s",
      definition: this.definition,
      times: timesOf(this.definition.when),
      state: this.state,
      open: this.open,
      endedStatuses: this.ended,
      nowMs: this.nowMs,
      budget: { left: budget },
    });
    const ends = new Set(plan.ends.map(({ runId }) => runId));
    this.open = this.open.filter((run) => !ends.has(run));
    const refused = this.taken ? plan.starts.slice(0, 1) : [];
    if (refused.length > 0) this.taken = false;
    const stands = plan.starts.filter((start) => !refused.includes(start));
    for (const start of stands) this.open.push(`run ${this.started.push(start)}`);
    this.ended = [];
    this.state = stateWithout(plan.state, refused);
    this.mostOpen = Math.max(this.mostOpen, this.open.length);
    return plan;
  }

  do(step: Step): void {
    switch (step.kind) {
      case "clock":
        this.nowMs += step.ms;
        return;
      case "end": {
        const [run] = this.open.splice(step.place % Math.max(1, this.open.length), 1);
        if (run !== undefined) this.ended.push(step.status);
        return;
      }
      case "pause":
      case "resume":
        this.put({ ...this.definition, paused: step.kind === "pause" });
        return;
      case "trigger":
        this.put({ ...this.definition, trigger: step.value });
        return;
      case "taken":
        this.taken = true;
    }
  }
}

test("each time is settled exactly once, overlaps are as the policy says, and no look is in vain", () => {
  fc.assert(
    fc.property(
      definitions,
      fc.array(steps, { maxLength: 60 }),
      fc.integer({ min: 2, max: 40 }),
      (definition, played, budget) => {
        const model = new Model(definition);
        let triggers = 0;
        for (const step of played) {
          model.do(step);
          if (step.kind === "trigger" && model.definition.trigger !== model.state.lastTrigger) triggers += 1;
          const before = model.state;
          const plan = model.look(budget);
          // The mark never goes back, whatever the clock does.
          expect(model.state.doneUntilMs).toBeGreaterThanOrEqual(before.doneUntilMs);
          // Who is to look again at once has more to do: it was the budget that ended this look.
          if (plan.nextMs !== undefined && plan.nextMs <= model.nowMs)
            expect(model.state.doneUntilMs).toBeGreaterThan(before.doneUntilMs);
          expect(plan.starts.length + plan.ends.length).toBeLessThan(2_000);
        }
        const { state } = model;
        const idsOfTimes = model.started
          .filter(({ cause }) => cause.kind === "time")
          .map(({ workflowId }) => workflowId);
        expect(state.fired).toBe(idsOfTimes.length);
        expect(new Set(idsOfTimes).size).toBe(idsOfTimes.length);
        // Times and triggers together: each was started, missed, left out, or waits; but for what a limit has cut off.
        const settled = model.started.length + state.missed + state.skipped + state.buffer.length;
        const due = model.timesIn(CREATED_MS, state.doneUntilMs) - model.passedBy + triggers;
        if (definition.limitRuns === null) expect(settled).toBe(due);
        else expect(state.fired).toBeLessThanOrEqual(definition.limitRuns);
        if (definition.overlap !== "AllowAll") expect(model.mostOpen).toBeLessThanOrEqual(1);
        if (definition.overlap === "BufferOne") expect(state.buffer.length).toBeLessThanOrEqual(2);
      },
    ),
    { numRuns: 300 },
  );
});
