import { expect, test } from "vitest";
import { EVENT_KIND } from "../../core/events.ts";
import { newId } from "../../store/new-id.ts";
import { makeScratchStore } from "../scratch-store.ts";
import type { ScratchStore } from "../scratch-store.ts";
import { checkFences } from "./fences.ts";

async function insertWorker(
  store: ScratchStore,
  row: Readonly<Record<string, unknown>> = {},
): Promise<string> {
  const workerId = newId();
  await store.insert("workers", { worker_id: workerId, dead_after_ms: 1_000, serves: "{}", ...row });
  return workerId;
}

async function write(store: ScratchStore, runId: string, writers: readonly string[]): Promise<void> {
  for (const [index, writer] of writers.entries()) {
    await store.insertEvent({ run_id: runId, event_no: index + 1, kind: EVENT_KIND.signalReceived }, writer);
  }
}

test("a run that was handed over and came back, and one that was taken over, are sound", async () => {
  const store = await makeScratchStore();
  const [one, other] = [await insertWorker(store), await insertWorker(store)];
  const dead = await insertWorker(store);
  await write(store, await store.insertRun(), [one, other, one]);
  const taken = await store.insertRun();
  await store.insertEvent({ run_id: taken, event_no: 1, kind: EVENT_KIND.signalReceived }, dead);
  await store.sql("update :schema.workers set dead_at = clock_timestamp() where worker_id = $1", [dead]);
  await store.insertEvent({ run_id: taken, event_no: 2, kind: EVENT_KIND.signalReceived }, one);

  expect(await store.look(checkFences)).toEqual([]);
});

test("a dead owner that writes after the takeover is found", async () => {
  const store = await makeScratchStore();
  const dead = await insertWorker(store, { dead_at: new Date(Date.now() - 1_000) });
  const fresh = await insertWorker(store);
  const runId = await store.insertRun();
  await write(store, runId, [dead, fresh, dead]);

  expect(await store.look(checkFences)).toEqual([
    `I6: run "${runId}": event 3 was written by the dead worker "${dead}" after "${fresh}" had taken over`,
  ]);
});
