/** Histories and results over connections that are cut and gateways that restart. */
import { MemFlow } from "@memflow/sdk";
import fc from "fast-check";
import { expect, test } from "vitest";
import { followHistory, waitForResult } from "../client/index.ts";
import type { Fetch, HistoryPage } from "../client/index.ts";
import { NAMESPACE, startTestGateway } from "../testing/test-gateway.ts";
import type { TestGateway } from "../testing/test-gateway.ts";

async function insertEvents(
  { store }: TestGateway,
  runId: string,
  from: number,
  count: number,
): Promise<void> {
  await store.sql(
    `insert into :schema.events (run_id, event_no, kind, position, at, name, payload)
     select $1, n, 1, n, clock_timestamp(), 'step', to_json('größer als ' || n) from generate_series($2::integer, $3::integer) n`,
    [runId, from, from + count - 1],
  );
}

async function close({ store }: TestGateway, runId: string): Promise<void> {
  await store.sql(
    "update :schema.runs set status = 'completed', closed_at = now(), result = '7', event_count = 999 where run_id = $1",
    [runId],
  );
}

/** A fetch whose connections are cut after so many bytes, one after the other. */
function cuttingFetch(cuts: readonly number[]): {
  readonly fetch: Fetch;
  readonly connections: () => number;
} {
  let connections = 0;
  return {
    connections: () => connections,
    fetch: async (url, init) => {
      const left = cuts[connections];
      connections += 1;
      const response = await fetch(url, init);
      return left === undefined || response.body === null
        ? response
        : new Response(response.body.pipeThrough(cutAfter(left)), response);
    },
  };
}

function cutAfter(bytes: number): TransformStream<Uint8Array, Uint8Array> {
  let left = bytes;
  return new TransformStream({
    transform(chunk, controller) {
      controller.enqueue(chunk.slice(0, left));
      left -= chunk.length;
      if (left <= 0)
        controller.error(Object.assign(new Error("the connection was cut"), { code: "ECONNRESET" }));
    },
  });
}

test("a follower that is cut off at any byte and resumes misses and repeats no event", async () => {
  const gateway = await startTestGateway();
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 4 }),
      fc.array(fc.integer({ min: 1, max: 4_000 }), { maxLength: 4 }),
      async (batches, cuts) => {
        const runId = await gateway.store.insertRun();
        const total = batches.reduce((sum, count) => sum + count, 0);
        const writing = (async () => {
          let next = 1;
          for (const count of batches) {
            await insertEvents(gateway, runId, next, count);
            next += count;
          }
          await close(gateway, runId);
        })();
        const { fetch } = cuttingFetch(cuts);
        const seen: number[] = [];
        let status: string | undefined;
        for await (const told of followHistory(gateway.as("root", { fetch }), {
          namespace: NAMESPACE,
          runId,
        })) {
          if (told.kind === "end") status = told.status;
          else {
            expect(told.event.payload).toBe(`größer als ${told.event.eventNo}`);
            seen.push(told.event.eventNo);
          }
        }
        await writing;
        expect(seen).toEqual(Array.from({ length: total }, (_, index) => index + 1));
        expect(status).toBe("completed");
      },
    ),
    { numRuns: 10 },
  );
});

test("a follower goes on after the gateway has restarted", async () => {
  const gateway = await startTestGateway();
  const runId = await gateway.store.insertRun();
  await insertEvents(gateway, runId, 1, 3);
  const follow = followHistory(gateway.as("root"), { namespace: NAMESPACE, runId });
  const seen: number[] = [];
  for await (const told of follow) {
    if (told.kind === "end") break;
    seen.push(told.event.eventNo);
    if (seen.length === 3) {
      await gateway.restart();
      await insertEvents(gateway, runId, 4, 2);
      await close(gateway, runId);
    }
  }
  expect(seen).toEqual([1, 2, 3, 4, 5]);
});

test("a long poll over a restart of the gateway gets its result", async () => {
  const gateway = await startTestGateway();
  const client = gateway.as("root");
  const { body } = await client.call("startRun", {
    path: { namespace: NAMESPACE },
    body: { workflow: "wait", taskQueue: "queue" },
  });
  const place = { namespace: NAMESPACE, runId: body.runId };
  const result = waitForResult(client, place);
  await gateway.work({ wait: async () => await MemFlow.workflow.waitFor("go") });
  await gateway.restart();
  await client.call("signalRun", { path: { ...place, signal: "go" }, body: { data: { answer: 42 } } });
  expect(await result).toMatchObject({ status: "completed", result: { answer: 42 } });
});

test("a wait that nobody keeps waiting for is not looked at any more", async () => {
  const gateway = await startTestGateway();
  const runId = await gateway.store.insertRun();
  const path = { namespace: NAMESPACE, runId };
  const answer = await gateway.as("root").call("getResult", { path, query: { wait: "5ms" } });
  expect(answer).toMatchObject({ status: 202, body: { runId, status: "running" } });
  await close(gateway, runId);
  const after = await gateway.as("root").call("getResult", { path, query: { wait: "5ms" } });
  expect(after).toMatchObject({ status: 200, body: { result: 7 } });
});

test("a history comes in pages too", async () => {
  const gateway = await startTestGateway();
  const runId = await gateway.store.insertRun();
  await insertEvents(gateway, runId, 1, 7);
  const seen: number[] = [];
  let afterEvent: number | undefined = 0;
  while (afterEvent !== undefined) {
    const page: HistoryPage = (
      await gateway
        .as("root")
        .call("getHistory", { path: { namespace: NAMESPACE, runId }, query: { afterEvent, pageSize: 3 } })
    ).body;
    seen.push(...page.events.map(({ eventNo }) => eventNo));
    afterEvent = page.nextAfterEvent;
  }
  expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7]);
});
