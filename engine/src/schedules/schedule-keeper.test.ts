/** Those who look after a store write its schedules and fire them where no worker lives. */
import { expect, onTestFinished, test } from "vitest";
import { listenSource } from "../store/connection-source.ts";
import { queueChannel } from "../store/identifiers.ts";
import { Listener } from "../store/listener.ts";
import { Session } from "../store/session.ts";
import { eventually } from "../testing/eventually.ts";
import { definitionOf } from "../testing/scratch-schedule.ts";
import type { PartialDefinition } from "../testing/scratch-schedule.ts";
import { makeScratchStore } from "../testing/scratch-store.ts";
import type { ScratchStore } from "../testing/scratch-store.ts";
import { ScheduleBook } from "./schedule-book.ts";
import type { ScheduleEntry } from "./schedule-book.ts";
import { ScheduleKeeper } from "./schedule-keeper.ts";

function entryOf(definition: PartialDefinition = {}, entry: Partial<ScheduleEntry> = {}): ScheduleEntry {
  const rest = { scheduleId: "s", keeper: "store-1", origin: "uid-1", orphaned: false, ...entry };
  return { definition: definitionOf(definition), ...rest };
}

async function setup(): Promise<{ readonly store: ScratchStore; readonly book: ScheduleBook }> {
  const store = await makeScratchStore();
  const session = new Session({ source: store.place.source, purpose: "test" });
  onTestFinished(() => session.close());
  return { store, book: new ScheduleBook(session, store.place.schema) };
}

function keeperOf(store: ScratchStore): ScheduleKeeper {
  const keeper = new ScheduleKeeper({ ...store.place, log: () => undefined });
  onTestFinished(() => keeper.close());
  return keeper;
}

test("a queue without a worker gets its runs at their times, and is told", async () => {
  const { store } = await setup();
  const source = listenSource(store.place.source);
  if (source === undefined) throw new Error("the tests' Postgres has LISTEN");
  const told = Promise.withResolvers<string>();
  const listener = new Listener({
    source,
    onNotification: (_channel, payload) => told.resolve(payload),
    onReconnect: () => undefined,
  });
  onTestFinished(() => listener.close());
  await listener.listen(queueChannel(store.place.schema, "queue"));
  const keeper = keeperOf(store);
  keeper.start();
  await keeper.put(entryOf({ when: { everyMs: 1_000 }, overlap: "AllowAll" }), 1);
  expect(await told.promise).toBe("runs");
  await eventually("three times", async () => (await store.sql("select from :schema.runs")).length >= 3);
  const [record] = await keeper.changed("store-1");
  const runs = await store.sql<{ workflow_id: string }>("select workflow_id from :schema.runs");
  expect(new Set(runs.map((run) => run.workflow_id)).size).toBe(runs.length);
  expect(record?.state.missed).toBe(0);
});

test("an equal schedule is not written again", async () => {
  const { book } = await setup();
  expect(await book.put(entryOf(), 1)).toBe(true);
  expect(await book.put(entryOf(), 1)).toBe(false);
  expect(await book.put(entryOf({ paused: true }), 1)).toBe(true);
});

test("a leader that was followed is refused, whatever it writes", async () => {
  const { book } = await setup();
  await book.put(entryOf(), 7);
  await book.put(entryOf({}, { scheduleId: "other" }), 8);
  const refused = { name: "LeaderFollowedError", code: "LEADER_FOLLOWED", token: 7 };
  await expect(book.put(entryOf({ paused: true }), 7)).rejects.toMatchObject(refused);
  await expect(book.forget("store-1", [], 7)).rejects.toMatchObject(refused);
  expect(await book.changed("store-1")).toHaveLength(2);
});

test("what is told are the schedules that are not as they were known", async () => {
  const { book, store } = await setup();
  await book.put(entryOf(), 1);
  await book.put(entryOf({}, { scheduleId: "t" }), 1);
  await book.put(entryOf({}, { scheduleId: "of another", keeper: "store-2" }), 1);
  const known = await book.changed("store-1");
  expect(known.map(({ scheduleId }) => scheduleId)).toEqual(["s", "t"]);
  expect(await book.changed("store-1", known)).toEqual([]);
  await book.put(entryOf({ paused: true }), 1);
  await store.insert("schedule_runs", { run_id: await store.insertRun(), schedule_id: "t" });
  const changed = await book.changed("store-1", known);
  expect(changed).toMatchObject([
    { scheduleId: "s", definition: { paused: true }, running: 0 },
    { scheduleId: "t", running: 1 },
  ]);
});

test("a schedule goes with its resource, unless it is to stay", async () => {
  const { book } = await setup();
  await book.put(entryOf({}, { scheduleId: "goes", origin: "gone" }), 1);
  await book.put(entryOf({}, { scheduleId: "stays", origin: "gone-too", orphaned: true }), 1);
  await book.put(entryOf({}, { scheduleId: "is there", origin: "there" }), 1);
  await book.put(entryOf({}, { scheduleId: "of another", keeper: "store-2" }), 1);
  expect(await book.forget("store-1", ["there"], 1)).toEqual(["goes"]);
  const left = [...(await book.changed("store-1")), ...(await book.changed("store-2"))];
  expect(left.map(({ scheduleId }) => scheduleId)).toEqual(["is there", "stays", "of another"]);
});

test("a schedule that stayed goes on where it was; one that was deleted and made anew begins anew", async () => {
  const { book, store } = await setup();
  const past = JSON.stringify({ ...(await firstState(book)), fired: 9 });
  await store.sql("update :schema.schedules set state = $1", [past]);
  await book.put(entryOf({}, { origin: "uid-2" }), 1);
  expect(await book.changed("store-1")).toMatchObject([{ origin: "uid-2", state: { fired: 0 } }]);
  await book.put(entryOf({}, { origin: "uid-2", orphaned: true }), 1);
  await store.sql("update :schema.schedules set state = $1", [past]);
  await book.put(entryOf({}, { origin: "uid-3" }), 1);
  expect(await book.changed("store-1")).toMatchObject([{ origin: "uid-3", state: { fired: 9 } }]);
});

async function firstState(book: ScheduleBook): Promise<object> {
  await book.put(entryOf(), 1);
  const [record] = await book.changed("store-1");
  return record?.state ?? {};
}

test("times that pass while it is paused are not made up for", async () => {
  const { book, store } = await setup();
  await book.put(entryOf({ when: { everyMs: 1_000 }, paused: true }), 1);
  await store.sql(
    `update :schema.schedules set state = replace(state::text, '"doneUntilMs":', '"doneUntilMs":1,"was":')::json`,
  );
  await book.put(entryOf({ when: { everyMs: 1_000 } }), 1);
  const [record] = await book.changed("store-1");
  expect(record?.state.doneUntilMs).toBeGreaterThan(Date.parse("2026-01-01T00:00Z"));
});

test("to pause by the definition forgives the failure that paused it", async () => {
  const { book, store } = await setup();
  await book.put(entryOf({ pauseOnFailure: true }), 1);
  const failed = `update :schema.schedules set state = replace(state::text, '"pausedOnFailure":false', '"pausedOnFailure":true')::json`;
  await store.sql(failed);
  const pausedOnFailure = async (): Promise<boolean | undefined> =>
    (await book.changed("store-1"))[0]?.state.pausedOnFailure;
  await book.put(entryOf({ pauseOnFailure: true, limitRuns: 9 }), 1);
  expect(await pausedOnFailure()).toBe(true);
  await book.put(entryOf({ pauseOnFailure: true, paused: true }), 1);
  await book.put(entryOf({ pauseOnFailure: true }), 1);
  expect(await pausedOnFailure()).toBe(false);
});

test("the next times are known, but for one that is paused or over", async () => {
  const { book } = await setup();
  const nextOf = async (definition: PartialDefinition): Promise<number> => {
    await book.put(entryOf(definition), 1);
    const [record] = await book.changed("store-1");
    if (record === undefined) throw new Error("it was put");
    return book.nextTimes(record, 5).length;
  };
  expect(await nextOf({})).toBe(5);
  expect(await nextOf({ paused: true })).toBe(0);
  expect(await nextOf({ when: { endAtMs: 1 } })).toBe(0);
});
