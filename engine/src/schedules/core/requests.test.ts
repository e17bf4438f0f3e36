/** What requests make of a schedule, beside what its manifest says. */
import { describe, expect, test } from "vitest";
import type { ScheduleDefinition } from "./definition.ts";
import { planFiring } from "./plan-firing.ts";
import { backfill, pause, resume, trigger } from "./requests.ts";
import { initialState, pauseOf, stateUnder } from "./state.ts";
import type { ScheduleState } from "./state.ts";

const HOUR_MS = 3_600_000;
const NOW_MS = 100 * HOUR_MS;

const DEFINITION: ScheduleDefinition = {
  when: {
    cron: [],
    everyMs: HOUR_MS,
    offsetMs: 0,
    timeZone: "UTC",
    jitterMs: 0,
    startAtMs: null,
    endAtMs: null,
  },
  run: {
    workflowIdPrefix: "r",
    workflowName: "w",
    taskQueue: "q",
    input: null,
    options: null,
    retentionSeconds: null,
  },
  overlap: "AllowAll",
  catchupWindowMs: 10 * HOUR_MS,
  pauseOnFailure: true,
  paused: false,
  limitRuns: null,
  backfills: [],
  trigger: null,
};

const TIMES = { after: (ms: number) => (Math.floor(ms / HOUR_MS) + 1) * HOUR_MS };

function facts(state: ScheduleState, changes: Partial<ScheduleDefinition> = {}) {
  return { definition: { ...DEFINITION, ...changes }, state, nowMs: NOW_MS };
}

function plan(state: ScheduleState, changes: Partial<ScheduleDefinition> = {}) {
  return planFiring({
    ...facts(state, changes),
    scheduleId: "s",
    times: TIMES,
    open: [],
    endedStatuses: [],
    budget: { left: 1_000 },
  });
}

const START = initialState(NOW_MS - 3 * HOUR_MS);

describe("pause and resume", () => {
  test("while a request pauses it no time fires, and afterwards only later ones do", () => {
    const paused = pause(facts(START));
    expect(plan(paused).starts).toEqual([]);
    const resumed = resume(facts(paused));
    expect(pauseOf(DEFINITION, resumed)).toBeUndefined();
    expect(plan(resumed).starts).toEqual([]);
    expect(plan(START).starts).toHaveLength(3);
  });

  test("a new definition does not undo the pause", () => {
    const paused = pause(facts(START));
    const next = { ...DEFINITION, overlap: "Skip" as const };
    expect(pauseOf(next, stateUnder(next, { definition: DEFINITION, state: paused }, NOW_MS))).toBe(
      "request",
    );
  });

  test("to resume forgives a failure", () => {
    const resumed = resume(facts({ ...START, pausedOnFailure: true }));
    expect(pauseOf(DEFINITION, resumed)).toBeUndefined();
  });

  test("what the manifest pauses, a request does not resume", () => {
    expect(() => resume(facts(START, { paused: true }))).toThrow(
      expect.objectContaining({ code: "REQUEST_REFUSED" }),
    );
  });

  test("to ask for what is so already changes nothing", () => {
    const paused = pause(facts(START));
    expect(pause(facts(paused))).toBe(paused);
    expect(resume(facts(START))).toBe(START);
  });
});

describe("triggers", () => {
  test("each value starts one run, also while it is paused, and the same value no other", () => {
    const asked = trigger(facts(trigger(facts(pause(facts(START))), "a")), "b");
    expect(trigger(facts(asked), "a")).toBe(asked);
    const first = plan(asked);
    expect(first.starts.map(({ cause }) => cause.kind)).toEqual(["trigger", "trigger"]);
    expect(trigger(facts(first.state), "a")).toBe(first.state);
    expect(plan(first.state).starts).toEqual([]);
  });

  test("more than a hundred do not wait for one look", () => {
    let state: ScheduleState = START;
    for (let index = 0; index < 100; index += 1) state = trigger(facts(state), String(index));
    expect(() => trigger(facts(state), "one more")).toThrow(
      expect.objectContaining({ code: "REQUEST_REFUSED" }),
    );
  });
});

describe("backfills", () => {
  const SPAN = {
    name: "b",
    startAtMs: NOW_MS - 5 * HOUR_MS,
    endAtMs: NOW_MS - 4 * HOUR_MS,
    overlap: "AllowAll",
  } as const;

  test("a span is made up for once under its name, beside those of the manifest", () => {
    const other = { ...SPAN, name: "m" };
    const asked = backfill(facts(pause(facts(START)), { backfills: [other] }), SPAN);
    const first = plan(asked, { backfills: [other] });
    expect(first.starts).toHaveLength(4);
    expect(plan(first.state, { backfills: [other] }).starts).toEqual([]);
    expect(backfill(facts(first.state), SPAN)).toBe(first.state);
  });

  test("another span under a name is refused", () => {
    const asked = backfill(facts(START), SPAN);
    expect(() => backfill(facts(asked), { ...SPAN, endAtMs: NOW_MS })).toThrow(
      expect.objectContaining({ code: "REQUEST_REFUSED" }),
    );
  });

  test("when the manifest changes, what requests asked for is not begun anew", () => {
    const done = plan(backfill(facts(START), SPAN)).state;
    const next = { ...DEFINITION, overlap: "Skip" as const };
    const after = stateUnder(next, { definition: DEFINITION, state: done }, NOW_MS);
    expect(after.backfills.map(({ name, phase }) => [name, phase])).toEqual([["b", "Completed"]]);
  });
});
