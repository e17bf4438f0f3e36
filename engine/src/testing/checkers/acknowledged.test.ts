import { expect, test } from "vitest";
import { EVENT_KIND } from "../../core/events.ts";
import { newId } from "../../store/new-id.ts";
import { makeScratchStore } from "../scratch-store.ts";
import type { ScratchStore } from "../scratch-store.ts";
import { checkAcknowledged } from "./acknowledged.ts";

const SIGNAL = { signalId: "go", data: { turn: 1 } };

async function receive(store: ScratchStore, runId: string, eventNo: number): Promise<void> {
  const payload = { from: null, data: SIGNAL.data };
  await store.insertEvent({
    run_id: runId,
    event_no: eventNo,
    kind: EVENT_KIND.signalReceived,
    name: "go",
    payload,
  });
}

test("a start and signals that are in history or in the inbox are not lost", async () => {
  const store = await makeScratchStore();
  const runId = await store.insertRun();
  await receive(store, runId, 1);
  await store.insert("inbox", {
    run_id: runId,
    kind: EVENT_KIND.signalReceived,
    name: "go",
    payload: SIGNAL.data,
  });
  const signals = [
    { runId, ...SIGNAL },
    { runId, ...SIGNAL },
  ];

  expect(await store.look((at) => checkAcknowledged(at, { starts: [runId], signals }))).toEqual([]);
});

test("a start without a run is found", async () => {
  const store = await makeScratchStore();
  const runId = newId();

  expect(await store.look((at) => checkAcknowledged(at, { starts: [runId] }))).toEqual([
    `I2: the start of run "${runId}" was acknowledged and the run is not there`,
  ]);
});

test("a signal that is lost, and one that is doubled, are found", async () => {
  const store = await makeScratchStore();
  const lost = await store.insertRun();
  const doubled = await store.insertRun();
  await receive(store, doubled, 1);
  await receive(store, doubled, 2);
  const signals = [lost, doubled].map((runId) => ({ runId, ...SIGNAL }));

  expect(await store.look((at) => checkAcknowledged(at, { signals }))).toEqual([
    `I2: signal "go" {"turn":1} was sent 1 times to run "${lost}" and is there 0 times`,
    `I2: signal "go" {"turn":1} was sent 1 times to run "${doubled}" and is there 2 times`,
  ]);
});

test("a signal that went with the inbox of a run ended from outside is not lost", async () => {
  const store = await makeScratchStore();
  const runId = await store.insertRun({ status: "terminated", closed_at: new Date() });

  expect(await store.look((at) => checkAcknowledged(at, { signals: [{ runId, ...SIGNAL }] }))).toEqual([]);
});

test("a timer that is long due and did not fire is found", async () => {
  const store = await makeScratchStore();
  const wakeAt = new Date(Date.now() - 60_000);
  const runId = await store.insertRun({ wake_at: wakeAt });
  await store.insertRun({ wake_at: new Date(Date.now() + 60_000) });

  expect(await store.look((at) => checkAcknowledged(at, {}))).toEqual([
    `I2: run "${runId}" was to wake at ${wakeAt.toISOString()} and sleeps on`,
  ]);
});
