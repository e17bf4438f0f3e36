/** Reading in pages: everything once, in order, and bounded. */
import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { EVENT_KIND } from "../core/events.ts";
import { newId } from "../store/new-id.ts";
import { PLANNER_SETTINGS } from "../store/planner-settings.ts";
import { Session } from "../store/session.ts";
import { workerQueries } from "../store/worker-queries.ts";
import { MeddledSource } from "../testing/meddled-source.ts";
import { makeScratchStore } from "../testing/scratch-store.ts";
import type { ScratchStore } from "../testing/scratch-store.ts";
import { PAGE_BYTES, PAGE_ROWS, readPages } from "./page.ts";
import type { PageRow } from "./page.ts";
import { RunLoader } from "./run-loader.ts";

/** A thing to read: which, the sizes of its rows, and how many of them were read. */
interface Thing {
  readonly name: number;
  readonly sizes: readonly number[];
  readonly read: number;
}

interface Row extends PageRow {
  readonly name: number;
  /** Which row of the thing; 0-based. */
  readonly index: number;
  readonly size: number;
}

/** What the statements promise, in a few lines: the rows of all things in order, cut by rows, then by bytes. */
function pageOf(asked: readonly Thing[]): Row[] {
  const rows: Row[] = [];
  let bytes = 0;
  for (const [place, { name, sizes, read }] of asked.entries()) {
    for (const [index, size] of [...sizes.entries()].slice(read)) {
      if (rows.length === PAGE_ROWS || bytes >= PAGE_BYTES) return rows;
      bytes += size;
      rows.push({ place: place + 1, name, index, size, bytes });
    }
  }
  return rows;
}

test("pages bring every row once and in order, however large they are, and say what is whole", async () => {
  const size = fc.integer({ min: 0, max: PAGE_BYTES });
  const things = fc.array(fc.array(size, { maxLength: 6 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(things, async (given) => {
      const asked = given.map((sizes, name): Thing => ({ name, sizes, read: 0 }));
      const read: Row[] = [];
      const whole: number[] = [];
      const pages = readPages<Thing, Row>(asked, {
        read: async (some) => await Promise.resolve(pageOf(some)),
        after: (thing, { index }) => ({ ...thing, read: index + 1 }),
      });
      for await (const page of pages) {
        read.push(...page.rows);
        whole.push(...page.whole.map(({ name }) => name));
        for (const name of whole)
          expect(read.filter((row) => row.name === name)).toHaveLength(given[name]?.length ?? 0);
      }
      expect(read.map((row) => [row.name, row.size])).toEqual(
        given.flatMap((sizes, name) => sizes.map((value) => [name, value])),
      );
      expect(whole).toEqual(given.map((_, name) => name));
    }),
  );
});

const BIG_COUNT = 12;
let store: ScratchStore;
let source: MeddledSource;
let loader: RunLoader;
/** A value that no compression makes small: three of them fill a page. */
const big = (index: number): string =>
  JSON.stringify({ index, text: randomBytes(1_200_000).toString("base64") });

beforeEach(async () => {
  store = await makeScratchStore();
  source = new MeddledSource(store.place.source);
  const session = new Session({ source: source.source, purpose: "test", settings: PLANNER_SETTINGS });
  onTestFinished(() => session.close());
  loader = new RunLoader({
    session,
    queries: workerQueries(store.place.schema),
    workerId: newId(),
    namespace: store.place.schema,
    readAgain: async () => await Promise.resolve(false),
  });
});

const indexOf = (payload: string | null): unknown =>
  (JSON.parse(payload ?? "{}") as { index?: unknown }).index;
const indices = Array.from({ length: BIG_COUNT }, (_, index) => index);

test("a history of large payloads is read in several pages, whole and in order", async () => {
  const runId = await store.insertRun();
  for (const index of indices)
    await store.insertEvent({
      run_id: runId,
      event_no: index + 1,
      kind: EVENT_KIND.activityCompleted,
      position: index,
      payload: big(index),
    });
  const events = await loader.events(runId);
  expect(events.map(({ payload }) => indexOf(payload))).toEqual(indices);
  expect(source.sentCount("memflow_loadEvents")).toBeGreaterThan(2);
});

test("an inbox of large messages is read in several pages, and each says what is left", async () => {
  const ids = [await store.insertRun(), await store.insertRun()];
  for (const index of indices) {
    for (const runId of ids)
      await store.insert("inbox", {
        run_id: runId,
        kind: EVENT_KIND.signalReceived,
        name: "s",
        payload: big(index),
      });
  }
  const read = new Map(ids.map((id): [string, unknown[]] => [id, []]));
  let left = ids.map((id) => ({ id, lastMessageId: "0" }));
  let pageCount = 0;
  while (left.length > 0) {
    const { messages, unread } = await loader.inbox(left);
    pageCount += 1;
    const last = new Map<string, string>();
    for (const { runId, messageId, payload } of messages) {
      read.get(runId)?.push(indexOf(payload));
      last.set(runId, messageId);
    }
    left = unread.map(({ id, lastMessageId }) => ({ id, lastMessageId: last.get(id) ?? lastMessageId }));
  }
  expect([...read.values()]).toEqual([indices, indices]);
  expect(pageCount).toBeGreaterThan(4);
});

test("large changes of an entity are read in several pages", async () => {
  const runId = await store.insertRun();
  for (const index of indices)
    await store.insertEvent({
      run_id: runId,
      event_no: index + 1,
      kind: EVENT_KIND.entityChanged,
      position: index,
      entity_id: runId,
      entity_no: index + 1,
      payload: big(index),
    });
  const changes = await loader.changes([{ entityId: runId, first: 3, last: BIG_COUNT }]);
  expect(changes.get(runId)?.map(({ entityNo, payload }) => [entityNo, indexOf(payload)])).toEqual(
    indices.slice(2).map((index) => [index + 1, index]),
  );
  expect(source.sentCount("memflow_loadChanges")).toBeGreaterThan(2);
});
