import { expect, test } from "vitest";
import type { EntityChange } from "../../core/entity-fold.ts";
import { EVENT_KIND } from "../../core/events.ts";
import { makeScratchStore } from "../scratch-store.ts";
import type { ScratchStore } from "../scratch-store.ts";
import { checkEntities, readEntity } from "./entities.ts";

const INCREMENT: EntityChange = { op: "increment", path: "count", by: 1 };

/** A run with three increments. */
async function makeCounter(
  store: ScratchStore,
  entity: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const runId = await store.insertRun();
  for (const no of [1, 2, 3]) {
    await store.insertEvent({
      run_id: runId,
      event_no: no,
      kind: EVENT_KIND.entityChanged,
      position: no - 1,
      entity_id: runId,
      entity_no: no,
      payload: INCREMENT,
    });
  }
  await store.insert("entities", {
    entity_id: runId,
    last_no: 3,
    snapshot_no: 2,
    snapshot: { count: 2 },
    stale: true,
    ...entity,
  });
  return runId;
}

test("an entity whose snapshot is the fold of its log is sound, and the log makes its document", async () => {
  const store = await makeScratchStore();
  const runId = await makeCounter(store);

  expect(await store.look(checkEntities)).toEqual([]);
  expect(await store.look((at) => readEntity(at, runId))).toEqual({ count: 3 });
});

test("a snapshot that is not the fold of its log is found", async () => {
  const store = await makeScratchStore();
  const runId = await makeCounter(store, { snapshot: { count: 5 } });

  expect(await store.look(checkEntities)).toEqual([
    `I8: the snapshot of entity "${runId}" as of 2 is not the fold of its log`,
  ]);
});

test("a snapshot that lags behind its log and passes for fresh is found", async () => {
  const store = await makeScratchStore();
  const runId = await makeCounter(store, { stale: false });

  expect(await store.look(checkEntities)).toEqual([
    `I8: entity "${runId}" counts 3 changes, its snapshot as of 2 passes for fresh`,
  ]);
});

test("search data that is not the fold of its log is found", async () => {
  const store = await makeScratchStore();
  const runId = await makeCounter(store, { search: { count: "2" } });

  expect(await store.look(checkEntities)).toEqual([
    `I8: the snapshot of entity "${runId}" as of 2 is not the fold of its log`,
  ]);
});

test("a lost change and a number that was left out are found", async () => {
  const store = await makeScratchStore();
  const runId = await makeCounter(store);
  await store.sql("delete from :schema.events where event_no = 2");

  expect(await store.look(checkEntities)).toEqual([
    `I8: entity "${runId}" counts 3 changes, its log has 2`,
    `I8: entity "${runId}" has change 3 in place 2`,
    `I8: the snapshot of entity "${runId}" as of 2 is not the fold of its log`,
  ]);
});

test("changes of an entity that is not there are found", async () => {
  const store = await makeScratchStore();
  const runId = await makeCounter(store);
  await store.sql("delete from :schema.entities");

  expect(await store.look(checkEntities)).toEqual([`I8: entity "${runId}" has changes and no row`]);
});
