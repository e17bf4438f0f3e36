/** Workers fire the schedules of their store, at the due moment, and hear of the ends that others wait for. */
import { expect, onTestFinished, test } from "vitest";
import { initialState } from "../schedules/core/state.ts";
import { ScheduleKeeper } from "../schedules/schedule-keeper.ts";
import { eventually } from "../testing/eventually.ts";
import { definitionOf } from "../testing/scratch-schedule.ts";
import type { PartialDefinition } from "../testing/scratch-schedule.ts";
import { makeScratchStore } from "../testing/scratch-store.ts";
import type { ScratchStore } from "../testing/scratch-store.ts";
import { EngineWorker } from "./worker.ts";

async function startWorker(
  { place }: ScratchStore,
  options: { readonly pollMs?: number; work?(): Promise<null> } = {},
): Promise<EngineWorker> {
  const { pollMs = 60_000, work = () => Promise.resolve(null) } = options;
  const worker = await EngineWorker.start({ ...place, heartbeat: "none", pollMs });
  onTestFinished(() => worker.shutdown({ graceMs: 0 }));
  await worker.serve("queue", new Map([["work", work]]));
  return worker;
}

/** Writes a schedule as an operator that goes away afterwards. */
async function put({ place }: ScratchStore, definition: PartialDefinition): Promise<void> {
  const keeper = new ScheduleKeeper({ ...place, log: () => undefined });
  const entry = { scheduleId: "s", keeper: "store", origin: "uid", orphaned: false };
  await keeper.put({ ...entry, definition: definitionOf(definition) }, 1);
  await keeper.close();
}

async function completed({ sql }: ScratchStore): Promise<number> {
  const [row] = await sql<{ count: number }>(
    "select count(*)::integer as count from :schema.runs where status = 'completed'",
  );
  return row?.count ?? 0;
}

test("without an operator, workers fire: told of a new schedule, they know its next time", async () => {
  const store = await makeScratchStore();
  await startWorker(store);
  await startWorker(store);
  await put(store, { when: { everyMs: 1_000 }, overlap: "AllowAll" });
  await eventually("three runs", async () => (await completed(store)) >= 3);
  const runs = await store.sql<{ workflow_id: string }>("select workflow_id from :schema.runs");
  expect(new Set(runs.map((run) => run.workflow_id)).size).toBe(runs.length);
});

test("a schedule of which nobody told is found by a poll", async () => {
  const store = await makeScratchStore();
  await startWorker(store, { pollMs: 200 });
  const nowMs = Date.now();
  await store.insert("schedules", {
    schedule_id: "s",
    next_at: new Date(nowMs),
    definition: JSON.stringify(definitionOf({ when: { everyMs: 1_000 } })),
    state: JSON.stringify(initialState(nowMs)),
  });
  const count = await eventually("a run", async () => (await completed(store)) || undefined);
  expect(count).toBeGreaterThan(0);
});

test("a start that waits begins when the open run ends, before anyone polls", async () => {
  const store = await makeScratchStore();
  const span = { startAtMs: Date.parse("2026-01-01T00:00Z"), endAtMs: Date.parse("2026-01-01T00:19Z") };
  const backfills = [{ name: "all", overlap: "BufferAll" as const, ...span }];
  await startWorker(store);
  await put(store, { paused: true, backfills });
  // A look for an end that nobody told of comes 10 s after the last one: that would be too late here.
  await eventually("twenty runs", async () => (await completed(store)) === 20);
  expect(await store.sql("select workflow_id from :schema.runs")).toHaveLength(20);
});
