/** Histories that are followed while they are written. */
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { makeScratchStore } from "../testing/scratch-store.ts";
import type { ScratchStore } from "../testing/scratch-store.ts";
import { StoreClient } from "./store-client.ts";
import { newId } from "../store/new-id.ts";

async function setup(): Promise<{ readonly store: ScratchStore; readonly client: StoreClient }> {
  const store = await makeScratchStore();
  const client = await StoreClient.open(store.place.source, store.place.schema);
  onTestFinished(() => client.close());
  return { store, client };
}

async function insertEvents(store: ScratchStore, runId: string, from: number, count: number): Promise<void> {
  await store.sql(
    `insert into :schema.events (run_id, event_no, kind, position, at, name, payload)
     select $1, n, 1, n, clock_timestamp(), 'step', to_json(n) from generate_series($2::integer, $3::integer) n`,
    [runId, from, from + count - 1],
  );
}

test("a reader that is cut off anywhere and comes back sees every event once, in order, and the end", async () => {
  const { store, client } = await setup();
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
      fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 6 }),
      async (batches, cuts) => {
        const runId = await store.insertRun();
        const total = batches.reduce((sum, count) => sum + count, 0);
        const write = async (): Promise<void> => {
          let next = 1;
          for (const count of batches) {
            await insertEvents(store, runId, next, count);
            next += count;
          }
          await store.sql(
            "update :schema.runs set status = 'completed', closed_at = now() where run_id = $1",
            [runId],
          );
        };
        const written = write();
        const seen: number[] = [];
        let status: string | undefined;
        for (const cut of [...cuts, Number.POSITIVE_INFINITY]) {
          const stop = new AbortController();
          let left = cut;
          if (left === 0) stop.abort();
          for await (const part of client.followEvents(runId, seen.at(-1) ?? 0, stop.signal)) {
            if (part.kind === "end") {
              status = part.status;
              break;
            }
            for (const { eventNo } of part.events) {
              if (left === 0) break;
              seen.push(eventNo);
              left -= 1;
            }
            if (left === 0) stop.abort();
          }
          if (status !== undefined) break;
        }
        await written;
        expect(seen).toEqual(Array.from({ length: total }, (_, index) => index + 1));
        expect(status).toBe("completed");
      },
    ),
    { numRuns: 12 },
  );
});

test("who follows a run that is not there is told so", async () => {
  const { client } = await setup();
  const follow = client.followEvents(newId(), 0, new AbortController().signal);
  await expect(follow.next()).rejects.toMatchObject({ code: "WORKFLOW_NOT_FOUND" });
});

test("who follows when the client closes is told so", async () => {
  const { store, client } = await setup();
  const runId = await store.insertRun();
  const next = client.followEvents(runId, 0, new AbortController().signal).next();
  await Promise.all([expect(next).rejects.toMatchObject({ code: "BAD_CONNECTION" }), client.close()]);
});

test("a page of large events is cut by their bytes, and never empty", async () => {
  const { store, client } = await setup();
  const runId = await store.insertRun();
  await store.sql(
    `insert into :schema.events (run_id, event_no, kind, position, at, name, payload)
     select $1, n, 1, n, now(), 'step', to_json(repeat('x', 1500000)) from generate_series(1, 5) n`,
    [runId],
  );
  const first = await client.eventPage(runId, 0, 100);
  expect(first.map(({ eventNo }) => eventNo)).toEqual([1, 2, 3]);
  expect((await client.eventPage(runId, 3, 100)).map(({ eventNo }) => eventNo)).toEqual([4, 5]);
  expect(await client.eventPage(runId, 5, 100)).toEqual([]);
});
