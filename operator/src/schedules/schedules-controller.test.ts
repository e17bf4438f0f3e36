/** From a Schedule to runs in Postgres and back to its status: the controller on a mock API server and a real database. */
import { TRIGGER_ANNOTATION } from "@memflow/crds";
import { makeScratchStore } from "@memflow/engine/testing/scratch-store";
import { expect, test } from "vitest";
import { SCHEDULES, WORKFLOWS } from "../api/index.ts";
import { startScheduledCluster } from "./testing/scheduled-cluster.ts";
import type { ScheduledCluster } from "./testing/scheduled-cluster.ts";

async function setup(): Promise<ScheduledCluster> {
  return await startScheduledCluster(await makeScratchStore());
}

async function rowCount({ sql }: ScheduledCluster): Promise<number> {
  return (await sql("select from :schema.schedules")).length;
}

function reasonsOf({ events }: ScheduledCluster): string[] {
  return events.map(({ reason }) => reason);
}

function isReady({
  conditions,
}: {
  readonly conditions?: readonly { readonly type: string; readonly status: string }[] | undefined;
}): boolean {
  return conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
}

test("a Schedule becomes a row, and its next times are known", async () => {
  const cluster = await setup();
  cluster.addSchedule({
    args: [{ region: "north" }],
    when: { cron: ["0 3 * * *"], timeZone: "Europe/Berlin" },
  });
  cluster.lead();
  const status = await cluster.until(isReady);
  expect(cluster.condition("Ready")).toBe("True Scheduled");
  expect(cluster.condition("Paused")).toBe("False Running");
  expect(status).toMatchObject({ observedGeneration: 1, fired: 0, missed: 0, skipped: 0, running: 0 });
  expect(status.nextFireTimes).toHaveLength(5);
  const [row] = await cluster.sql<{ schedule_id: string; run: unknown }>(
    "select schedule_id, definition -> 'run' as run from :schema.schedules",
  );
  expect(row).toEqual({
    schedule_id: "default/nightly",
    run: {
      workflowIdPrefix: "nightly",
      workflowName: "report",
      taskQueue: "work",
      input: '[{"region":"north"}]',
      options: null,
      retentionSeconds: null,
    },
  });
});

test("a queue without workers gets its runs, and the status tells of them", async () => {
  const cluster = await setup();
  cluster.addSchedule({ when: { every: "1s" }, overlap: "AllowAll" });
  cluster.lead();
  const status = await cluster.until(({ fired = 0 }) => fired >= 2);
  const runs = await cluster.sql<{ workflow_id: string; task_queue: string }>(
    "select workflow_id, task_queue from :schema.runs order by run_id",
  );
  expect(runs.length).toBeGreaterThanOrEqual(status.fired ?? 0);
  expect(runs[0]).toEqual({
    workflow_id: expect.stringMatching(/^nightly-\d{4}-.*Z$/u) as string,
    task_queue: "work",
  });
  expect(status.lastFireTime).toBeDefined();
  expect(cluster.events[0]).toMatchObject({
    reason: "Fired",
    type: "Normal",
    note: expect.stringContaining("started") as string,
  });
});

test("time that goes by is no reason to write a status", async () => {
  const cluster = await setup();
  cluster.addSchedule();
  cluster.lead();
  await cluster.until(isReady);
  const { length } = cluster.api.requestsOf("patch");
  // A change of another schedule is told after those of this one would have been.
  for (let look = 0; look < 5; look += 1) {
    cluster.clock.advance(10_000);
    await cluster.sql("select");
  }
  cluster.change({ spec: { paused: true } });
  await cluster.until(
    ({ conditions }) => conditions?.some(({ reason }) => reason === "PausedBySpec") === true,
  );
  expect(cluster.api.requestsOf("patch")).toHaveLength(length + 1);
});

test("a pause and its end are told", async () => {
  const cluster = await setup();
  cluster.addSchedule();
  cluster.lead();
  await cluster.until(isReady);
  cluster.change({ spec: { paused: true } });
  const paused = await cluster.until(({ nextFireTimes = [] }) => nextFireTimes.length === 0);
  expect(cluster.condition("Paused")).toBe("True PausedBySpec");
  expect(paused.observedGeneration).toBe(2);
  cluster.change({ spec: { paused: false } });
  // An Event comes after the status that it tells of.
  await cluster.until(
    ({ nextFireTimes = [] }) => nextFireTimes.length === 5 && reasonsOf(cluster).length > 1,
  );
  expect(reasonsOf(cluster)).toEqual(["Paused", "Resumed"]);
});

test("each new value of the trigger annotation starts one run", async () => {
  const cluster = await setup();
  cluster.addSchedule({ paused: true }, { [TRIGGER_ANNOTATION]: "first" });
  cluster.lead();
  const triggered = (): number => reasonsOf(cluster).filter((reason) => reason === "Triggered").length;
  // An Event comes after the status that it tells of.
  await cluster.until(({ lastTrigger }) => lastTrigger === "first" && triggered() === 1);
  await cluster.kill();
  cluster.lead(2);
  await cluster.sql("update :schema.runs set status = 'completed', ready_at = null, closed_at = now()");
  cluster.change({ annotations: { [TRIGGER_ANNOTATION]: "second" } });
  await cluster.until(({ lastTrigger }) => lastTrigger === "second" && triggered() === 2);
  expect(await cluster.sql("select from :schema.runs")).toHaveLength(2);
});

test("a backfill is done once, and told at its begin and end", async () => {
  const cluster = await setup();
  const backfills = [{ name: "may", startAt: "2026-05-01T00:00:00Z", endAt: "2026-05-03T12:00:00Z" }];
  cluster.addSchedule({ backfills });
  cluster.lead();
  // An Event comes after the status that it tells of.
  const { backfills: told } = await cluster.until(
    ({ backfills: all = [] }) => all[0]?.phase === "Completed" && reasonsOf(cluster).length > 1,
  );
  expect(told).toEqual([{ name: "may", phase: "Completed", started: 3 }]);
  expect(reasonsOf(cluster)).toEqual(["BackfillStarted", "BackfillCompleted"]);
  const runs = await cluster.sql<{ workflow_id: string }>("select workflow_id from :schema.runs order by 1");
  expect(runs.map((run) => run.workflow_id)).toEqual(
    [1, 2, 3].map((day) => `nightly-2026-05-0${day}T03:00:00Z`),
  );
});

test("without its Workflow nothing fires; with it the schedule goes on", async () => {
  const cluster = await setup();
  cluster.remove(WORKFLOWS, "report");
  cluster.addSchedule();
  cluster.lead();
  await cluster.until(() => cluster.condition("Ready") === "False WorkflowNotFound");
  expect(await rowCount(cluster)).toBe(0);
  cluster.create(WORKFLOWS, "report", { taskQueueRef: { name: "work" } });
  await cluster.until(isReady);
  cluster.remove(WORKFLOWS, "report");
  const held = await cluster.until(() => cluster.condition("Ready") === "False WorkflowNotFound");
  expect(held.nextFireTimes).toEqual([]);
  expect(await cluster.sql("select definition -> 'paused' as paused from :schema.schedules")).toEqual([
    { paused: true },
  ]);
  cluster.create(WORKFLOWS, "report", { taskQueueRef: { name: "work" }, suspend: true });
  await cluster.until(() => cluster.condition("Ready") === "False WorkflowNotReady");
});

test("the row goes with the Schedule, also when that went while nobody led", async () => {
  const cluster = await setup();
  cluster.addSchedule();
  cluster.lead();
  await cluster.until(isReady);
  expect(cluster.schedule()?.metadata?.finalizers).toBeUndefined();
  cluster.remove(SCHEDULES, "nightly");
  await expect.poll(() => rowCount(cluster), { timeout: 20_000 }).toBe(0);

  cluster.addSchedule();
  await cluster.until(isReady);
  await cluster.kill();
  cluster.remove(SCHEDULES, "nightly");
  expect(await rowCount(cluster)).toBe(1);
  cluster.lead(2);
  await expect.poll(() => rowCount(cluster), { timeout: 20_000 }).toBe(0);
});

test("an orphaned row goes on firing, and the next Schedule of its name goes on with it", async () => {
  const cluster = await setup();
  cluster.addSchedule({ deletionPolicy: "Orphan", when: { every: "1s" }, overlap: "AllowAll" });
  cluster.lead();
  const { fired = 0 } = await cluster.until(({ fired: count = 0 }) => count >= 1);
  cluster.remove(SCHEDULES, "nightly");
  await expect
    .poll(async () => (await cluster.sql("select from :schema.runs")).length, { timeout: 20_000 })
    .toBeGreaterThan(fired + 1);
  cluster.addSchedule({ when: { every: "1s" }, overlap: "AllowAll" });
  const status = await cluster.until(isReady);
  expect(status.fired).toBeGreaterThan(fired);
});

test("a leader that was followed writes nothing more", async () => {
  const cluster = await setup();
  cluster.addSchedule();
  cluster.lead(2);
  await cluster.until(isReady);
  await cluster.kill();
  const before = await cluster.sql("select definition::text, revision from :schema.schedules");
  cluster.lead(1);
  cluster.change({ spec: { paused: true } });
  await expect
    .poll(() =>
      cluster.log.entries.some(({ fields }) => JSON.stringify(fields).includes("followed by another")),
    )
    .toBe(true);
  expect(await cluster.sql("select definition::text, revision from :schema.schedules")).toEqual(before);
  expect(cluster.condition("Paused")).toBe("False Running");
});

test("while its Store is away a Schedule says so and can be deleted; the row is removed when the Store is back", async () => {
  const cluster = await setup();
  cluster.addSchedule();
  cluster.lead();
  await cluster.until(isReady);
  cluster.connect(false);
  const away = await cluster.until(() => cluster.condition("Ready") === "False StoreNotReady");
  expect(away.nextFireTimes).toHaveLength(5);
  cluster.remove(SCHEDULES, "nightly");
  expect(cluster.schedule()).toBeUndefined();
  cluster.connect(true);
  await expect.poll(() => rowCount(cluster), { timeout: 20_000 }).toBe(0);
});

test.each([
  ["an unknown time zone", { when: { cron: ["0 3 * * *"], timeZone: "Europe/Atlantis" } }, "UnknownTimeZone"],
  ["arguments that are too large", { args: ["x".repeat(70_000)] }, "ArgsTooLarge"],
  ["what other definitions let in", { overlap: "Maybe" }, "NotValid"],
  ["an end that is over", { when: { cron: ["0 3 * * *"], endAt: "2026-01-01T00:00:00Z" } }, "Finished"],
] as const)("%s is told", async (_what, spec, reason) => {
  const cluster = await setup();
  cluster.addSchedule(spec);
  cluster.lead();
  await cluster.until(() => cluster.condition("Ready") === `False ${reason}`);
  expect(cluster.schedule()?.status?.nextFireTimes ?? []).toEqual([]);
});
