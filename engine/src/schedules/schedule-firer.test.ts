/** Schedules on a real Postgres: once each whoever dies, every overlap policy, catching up, clock changes, backfills. */
import { describe, expect, test } from "vitest";
import { MeddledSource } from "../testing/meddled-source.ts";
import { useSchedules } from "../testing/scratch-schedule.ts";
import type { PartialDefinition, ScratchSchedules } from "../testing/scratch-schedule.ts";
import { makeScratchStore } from "../testing/scratch-store.ts";
import type { ScratchStore } from "../testing/scratch-store.ts";

interface Bundle extends ScratchSchedules {
  readonly store: ScratchStore;
  /** Moves the clock and fires. */
  fireAt(now: string): Promise<void>;
}

async function setup(): Promise<Bundle> {
  const store = await makeScratchStore();
  const schedules = useSchedules(store);
  const firer = schedules.firer();
  const fireAt = async (now: string): Promise<void> => {
    schedules.setTime(now);
    await firer.fire();
  };
  return { ...schedules, store, fireAt };
}

test("a time fires once, with its moment in the workflow id", async () => {
  const { add, fireAt, runs, stateOf, notified } = await setup();
  await add("s", "2026-01-01T00:00:30Z");
  await fireAt("2026-01-01T00:00:59Z");
  expect(await runs()).toEqual([]);
  await fireAt("2026-01-01T00:01:00Z");
  await fireAt("2026-01-01T00:01:30Z");
  expect(await runs()).toEqual(["tick-2026-01-01T00:01:00Z"]);
  expect(await stateOf("s")).toMatchObject({
    fired: 1,
    missed: 0,
    skipped: 0,
    lastFireMs: Date.parse("2026-01-01T00:01Z"),
  });
  expect(notified).toHaveLength(1);
});

test("two firers at once share a thousand schedules that are due, and fire each once", async () => {
  const { add, firer, runs, setTime, store } = await setup();
  const names = Array.from({ length: 1_000 }, (_, index) => `s-${index}`);
  await add("s", "2026-01-01T00:00:00Z");
  await store.sql(
    `insert into :schema.schedules (schedule_id, next_at, definition, state)
    select name, s.next_at, replace(s.definition::text, '"tick"', '"' || name || '"')::json, s.state
    from :schema.schedules s, unnest($1::text[]) as name`,
    [names],
  );
  await store.sql("delete from :schema.schedules where schedule_id = 's'");
  setTime("2026-01-01T00:01:00Z");
  const looked = await Promise.all([firer().fire(), firer().fire()]);
  expect(Math.min(...looked)).toBeGreaterThan(0);
  expect((await runs()).toSorted()).toEqual(names.map((name) => `${name}-2026-01-01T00:01:00Z`).toSorted());
});

test.each(["memflow_startScheduled", "memflow_advanceSchedules"])(
  "who dies at %s neither loses nor doubles a time",
  async (statement) => {
    const { add, firer, runs, setTime, stateOf, store } = await setup();
    await add("s", "2026-01-01T00:00:00Z", { overlap: "AllowAll" });
    setTime("2026-01-01T00:02:00Z");
    const meddled = new MeddledSource(store.place.source);
    const dying = firer(meddled.source);
    meddled.break(statement, 1);
    await expect(dying.fire()).rejects.toMatchObject({ code: "DATABASE_UNREACHABLE" });
    const held = meddled.holdNext(statement);
    const lost = dying.fire();
    await held.answered;
    held.lose();
    await expect(lost).rejects.toThrow();
    expect(await runs()).toEqual([]);
    await firer().fire();
    await dying.fire();
    expect(await runs()).toEqual(["tick-2026-01-01T00:01:00Z", "tick-2026-01-01T00:02:00Z"]);
    expect(await stateOf("s")).toMatchObject({ fired: 2 });
  },
);

test("what another firer holds is left to it", async () => {
  const { add, firer, runs, setTime, store } = await setup();
  await add("held", "2026-01-01T00:00:00Z");
  setTime("2026-01-01T00:01:00Z");
  const meddled = new MeddledSource(store.place.source);
  const answer = meddled.holdNext("memflow_claimSchedules");
  const holding = firer(meddled.source).fire();
  await answer.answered;
  expect(await firer().fire()).toBe(0);
  expect(await runs()).toEqual([]);
  answer.release();
  expect(await holding).toBe(1);
  expect(await runs()).toHaveLength(1);
});

describe("nobody was there for ten minutes", () => {
  test("what is within the catch-up window is made up for, the rest is counted", async () => {
    const { add, fireAt, runs, stateOf } = await setup();
    await add("s", "2026-01-01T00:00:00Z", { overlap: "AllowAll", catchupWindowMs: 4 * 60_000 });
    await fireAt("2026-01-01T00:10:30Z");
    const times = ["07", "08", "09", "10"].map((minute) => `tick-2026-01-01T00:${minute}:00Z`);
    expect(await runs()).toEqual(times);
    expect(await stateOf("s")).toMatchObject({ fired: 4, missed: 6 });
  });

  test("a long absence is worked off in bounded rounds", async () => {
    const { add, fireAt, runs, stateOf } = await setup();
    await add("s", "2026-01-01T00:00:00Z", { when: { cron: ["* * * * *"] }, catchupWindowMs: 60_000 });
    await fireAt("2026-01-03T00:00:10Z");
    expect(await runs()).toEqual(["tick-2026-01-03T00:00:00Z"]);
    expect(await stateOf("s")).toMatchObject({ fired: 1, missed: 2 * 24 * 60 - 1 });
  });
});

test("a clock that goes back fires nothing again, and one that goes on fires what follows", async () => {
  const { add, fireAt, runs } = await setup();
  await add("s", "2026-01-01T00:00:00Z", { overlap: "AllowAll" });
  await fireAt("2026-01-01T00:02:00Z");
  await fireAt("2026-01-01T00:00:10Z");
  await fireAt("2026-01-01T00:02:00Z");
  await fireAt("2026-01-01T00:03:00Z");
  const times = ["01", "02", "03"].map((minute) => `tick-2026-01-01T00:${minute}:00Z`);
  expect(await runs()).toEqual(times);
});

test.each([
  ["Europe/Berlin", "30 2 * * *", "2026-03-28T12:00Z", ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]],
  ["Europe/Berlin", "30 2 * * *", "2026-10-24T12:00Z", ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]],
  ["America/New_York", "30 2 * * *", "2026-03-07T12:00Z", ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]],
  ["America/New_York", "30 1 * * *", "2026-10-31T12:00Z", ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]],
] as const)(
  "in %s, %s fires once a day over the clock change after %s",
  async (timeZone, cron, made, times) => {
    const { add, fireAt, runs } = await setup();
    await add("s", made, { when: { cron: [cron], timeZone }, overlap: "AllowAll" });
    const hours = Array.from({ length: 48 * 2 }, (_, index) => Date.parse(made) + index * 1_800_000);
    for (const ms of hours) await fireAt(new Date(ms).toISOString());
    expect(await runs()).toEqual(times.map((time) => `tick-${time}`));
  },
);

describe("while a run is open", () => {
  const at = (minute: number): string => `2026-01-01T00:0${minute}:00Z`;
  const id = (minute: number): string => `tick-${at(minute)}`;

  /** A run of minute 1 is open, and minutes 2 and 3 come. */
  async function overlapped(definition: PartialDefinition): Promise<Bundle> {
    const bundle = await setup();
    await bundle.add("s", at(0), definition);
    for (const minute of [1, 2, 3]) await bundle.fireAt(at(minute));
    return bundle;
  }

  test("Skip leaves times out", async () => {
    const { endRun, fireAt, runs, stateOf } = await overlapped({ overlap: "Skip" });
    expect(await runs()).toEqual([id(1)]);
    expect(await stateOf("s")).toMatchObject({ fired: 1, skipped: 2 });
    await endRun(id(1));
    await fireAt(at(4));
    expect(await runs("running")).toEqual([id(4)]);
  });

  test("BufferOne keeps the first, which starts when the run has ended", async () => {
    const { endRun, firer, runs, stateOf } = await overlapped({ overlap: "BufferOne" });
    expect(await stateOf("s")).toMatchObject({ fired: 1, skipped: 1, buffer: [{ atMs: Date.parse(at(2)) }] });
    await firer().ended([await endRun(id(1))]);
    expect(await runs("running")).toEqual([id(2)]);
    expect(await stateOf("s")).toMatchObject({ fired: 2, buffer: [] });
  });

  test("BufferAll keeps all, which start one after another", async () => {
    const { endRun, firer, runs, stateOf } = await overlapped({ overlap: "BufferAll" });
    await firer().ended([await endRun(id(1))]);
    expect(await runs("running")).toEqual([id(2)]);
    await firer().ended([await endRun(id(2))]);
    expect(await runs("running")).toEqual([id(3)]);
    expect(await stateOf("s")).toMatchObject({ fired: 3, skipped: 0, buffer: [] });
  });

  test("what waits is found by a look, should nobody tell of the end", async () => {
    const { endRun, fireAt, runs } = await overlapped({ overlap: "BufferAll" });
    await endRun(id(1));
    await fireAt("2026-01-01T00:03:10Z");
    expect(await runs("running")).toEqual([id(2)]);
  });

  test.each([
    ["CancelOther", "canceled", "InterruptedError"],
    ["TerminateOther", "terminated", "TerminatedError"],
  ] as const)(
    "%s ends the open run in the transaction that starts the next",
    async (overlap, status, name) => {
      const { runs, stateOf, store } = await overlapped({ overlap });
      expect(await runs("running")).toEqual([id(3)]);
      expect(await runs(status)).toEqual([id(1), id(2)]);
      const failures = await store.sql<{ name: string }>(
        "select failure ->> 'name' as name from :schema.runs where status = $1",
        [status],
      );
      expect(failures).toEqual([{ name }, { name }]);
      expect(await stateOf("s")).toMatchObject({ fired: 3, skipped: 0 });
    },
  );

  test("AllowAll starts each", async () => {
    const { runs, stateOf } = await overlapped({ overlap: "AllowAll" });
    expect(await runs("running")).toEqual([id(1), id(2), id(3)]);
    expect(await stateOf("s")).toMatchObject({ fired: 3, skipped: 0 });
  });

  test("a run that does not complete pauses, where that is asked for", async () => {
    const { endRun, fireAt, firer, runs, stateOf } = await overlapped({
      overlap: "BufferAll",
      pauseOnFailure: true,
    });
    await firer().ended([await endRun(id(1), "failed")]);
    await fireAt(at(9));
    expect(await runs("running")).toEqual([]);
    expect(await stateOf("s")).toMatchObject({ pausedOnFailure: true, buffer: [{}, {}] });
  });
});

test("no time fires after the last run of the limit", async () => {
  const { add, fireAt, runs, store } = await setup();
  await add("s", "2026-01-01T00:00:00Z", { overlap: "AllowAll", limitRuns: 2 });
  await fireAt("2026-01-01T00:05:00Z");
  await fireAt("2026-01-01T00:06:00Z");
  expect(await runs()).toHaveLength(2);
  expect(await store.sql("select next_at from :schema.schedules")).toEqual([{ next_at: null }]);
});

test("a time whose workflow id another open run has is left out", async () => {
  const { add, fireAt, stateOf, store } = await setup();
  await store.insertRun({ workflow_id: "tick-2026-01-01T00:01:00Z" });
  await add("s", "2026-01-01T00:00:00Z");
  await add("twin", "2026-01-01T00:00:00Z", { when: { everyMs: 120_000 } });
  await add("twin-2", "2026-01-01T00:00:00Z", { when: { everyMs: 120_000 } });
  await fireAt("2026-01-01T00:01:00Z");
  expect(await stateOf("s")).toMatchObject({ fired: 0, skipped: 1 });
  await fireAt("2026-01-01T00:02:00Z");
  const twins = [await stateOf("s"), await stateOf("twin"), await stateOf("twin-2")];
  expect(twins.reduce((sum, { fired }) => sum + fired, 0)).toBe(1);
});

describe("a backfill", () => {
  const backfills = [
    {
      name: "hour",
      startAtMs: Date.parse("2025-12-31T00:00Z"),
      endAtMs: Date.parse("2025-12-31T23:00Z"),
      overlap: "AllowAll",
    },
  ] as const;

  test("starts a run for each time of its span, once, also after a crash half-way", async () => {
    const { add, firer, runs, setTime, stateOf, store } = await setup();
    await add("s", "2026-01-01T00:00:00Z", {
      backfills,
      when: { startAtMs: null, everyMs: 60_000, endAtMs: Date.parse("2026-01-01T00:00Z") },
    });
    setTime("2026-01-01T00:00:30Z");
    const meddled = new MeddledSource(store.place.source);
    const dying = firer(meddled.source);
    const first = meddled.holdNext("memflow_advanceSchedules");
    const fired = dying.fire();
    await first.answered;
    // The round after the first one dies.
    meddled.loseEach("memflow_advanceSchedules");
    first.release();
    await expect(fired).rejects.toThrow();
    const before = (await runs()).length;
    expect(before).toBeGreaterThan(0);
    expect(before).toBeLessThan(1_381);
    await firer().fire();
    expect(await runs()).toHaveLength(23 * 60 + 1);
    expect(await stateOf("s")).toMatchObject({
      fired: 0,
      backfills: [{ name: "hour", phase: "Completed", started: 23 * 60 + 1, skipped: 0 }],
    });
    await firer().fire();
    expect(await runs()).toHaveLength(23 * 60 + 1);
  });

  test("goes on one run after another where it buffers", async () => {
    const { add, endRun, firer, runs, setTime, stateOf } = await setup();
    const span = [
      { ...backfills[0], endAtMs: Date.parse("2025-12-31T00:01Z"), overlap: "BufferAll" as const },
    ];
    await add("s", "2026-01-01T00:00:00Z", { backfills: span, paused: true });
    setTime("2026-01-01T00:00:30Z");
    await firer().fire();
    expect(await runs("running")).toEqual(["tick-2025-12-31T00:00:00Z"]);
    await firer().ended([await endRun("tick-2025-12-31T00:00:00Z")]);
    expect(await runs("running")).toEqual(["tick-2025-12-31T00:01:00Z"]);
    await firer().ended([await endRun("tick-2025-12-31T00:01:00Z")]);
    expect(await stateOf("s")).toMatchObject({ backfills: [{ phase: "Completed", started: 2 }] });
  });
});

test("a trigger starts a run once, also while paused", async () => {
  const { add, fireAt, runs, stateOf } = await setup();
  await add("s", "2026-01-01T00:00:00Z", { paused: true, trigger: "now" });
  await fireAt("2026-01-01T00:05:00.250Z");
  await fireAt("2026-01-01T00:06:00Z");
  expect(await runs()).toEqual(["tick-2026-01-01T00:05:00.250Z"]);
  const lastFireMs = Date.parse("2026-01-01T00:05:00.250Z");
  expect(await stateOf("s")).toMatchObject({ fired: 0, lastTrigger: "now", lastFireMs });
});

test("a schedule that can't be fired is put off with the reason, and holds up no other", async () => {
  const { add, fireAt, logged, runs, store } = await setup();
  await add("bad zone", "2026-01-01T00:00:00Z", {
    when: { cron: ["* * * * *"], timeZone: "Europe/Atlantis" },
  });
  await add("too long", "2026-01-01T00:00:10Z", {
    run: {
      workflowIdPrefix: Array.from({ length: 9_000 }, () => Math.random().toString(36)).join(""),
      workflowName: "work",
      taskQueue: "queue",
      input: null,
      options: null,
      retentionSeconds: 1,
    },
  });
  await add("s", "2026-01-01T00:00:30Z");
  await fireAt("2026-01-01T00:01:00Z");
  expect(await runs()).toEqual(["tick-2026-01-01T00:01:00Z"]);
  const message = "error a schedule can't be fired and is put off";
  expect(new Set(logged)).toEqual(new Set([`${message} bad zone`, `${message} too long`]));
  const put = await store.sql<{ next_at: Date; fault: string }>(
    "select next_at, fault from :schema.schedules where fault is not null order by schedule_id",
  );
  expect(put).toMatchObject([{ fault: expect.stringContaining("Europe/Atlantis") as string }, {}]);
});
