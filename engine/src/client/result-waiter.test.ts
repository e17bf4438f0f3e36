import { expect, onTestFinished, test } from "vitest";
import { clientQueries } from "../store/client-queries.ts";
import { newId } from "../store/new-id.ts";
import { Session } from "../store/session.ts";
import { eventually } from "../testing/eventually.ts";
import { MeddledSource } from "../testing/meddled-source.ts";
import { makeScratchStore } from "../testing/scratch-store.ts";
import type { ScratchStore } from "../testing/scratch-store.ts";
import { ResultWaiter } from "./result-waiter.ts";

function makeWaiter({ place }: ScratchStore, source = place.source): ResultWaiter {
  const session = new Session({ source, purpose: "read" });
  const waiter = new ResultWaiter({
    session,
    queries: clientQueries(place.schema),
    channel: "nobody-tells",
    toError: (error) => error as Error,
  });
  onTestFinished(async () => {
    waiter.close();
    await session.close();
  });
  return waiter;
}

async function complete(store: ScratchStore, runId: string): Promise<void> {
  await store.sql(`update :schema.runs set status = 'completed', result = '"done"' where run_id = $1`, [
    runId,
  ]);
}

test("an end that nobody told is found, also while new waits keep coming", async () => {
  const store = await makeScratchStore();
  const waiter = makeWaiter(store);
  const runId = await store.insertRun();
  waiter.expect(runId);
  const outcome = waiter.wait(runId);
  let settled = false;
  void outcome.then(() => (settled = true));
  await complete(store, runId);

  await eventually("the outcome", () => {
    const other = newId();
    waiter.expect(other);
    void waiter.wait(other).catch(() => undefined);
    return settled;
  });

  await expect(outcome).resolves.toMatchObject({ status: "completed", result: '"done"', failure: null });
});

test("a wait for a run that others started outlives a lost connection", async () => {
  const store = await makeScratchStore();
  const meddled = new MeddledSource(store.place.source);
  const waiter = makeWaiter(store, meddled.source);
  const runId = await store.insertRun();
  meddled.break("memflow_watchRuns", 1);
  const outcome = waiter.wait(runId);
  void outcome.catch(() => undefined);
  await eventually("the loss", () => meddled.breaksLeft("memflow_watchRuns") === 0);
  await complete(store, runId);

  await expect(outcome).resolves.toMatchObject({ status: "completed", result: '"done"', failure: null });
});

test("a wait for a run that is not there is an error at once", async () => {
  const waiter = makeWaiter(await makeScratchStore());

  await expect(waiter.wait(newId())).rejects.toMatchObject({ code: "WORKFLOW_NOT_FOUND" });
});
