/** A supervisor that knows of a worker's death spares its runs the wait for its silence. */
import { afterEach, expect, test } from "vitest";
import { StoreClient } from "../client/store-client.ts";
import { normalizeRetryPolicy } from "../core/retry-policy.ts";
import type { Invoke } from "../replay/run-machine.ts";
import { newId } from "../store/new-id.ts";
import { quoteIdentifier } from "../store/identifiers.ts";
import { Session } from "../store/session.ts";
import { testSource, uniqueName } from "../testing/test-database.ts";
import { retireProcesses } from "./retire-processes.ts";
import { EngineWorker } from "./worker.ts";

const LONG_MS = 600_000;
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** A client and a session on a schema of its own. */
async function setUp(): Promise<{
  readonly schema: string;
  readonly client: StoreClient;
  readonly session: Session;
}> {
  const schema = uniqueName();
  const session = new Session({ source: testSource(), purpose: "test" });
  cleanups.push(async () => {
    await session.query({ text: `drop schema ${quoteIdentifier(schema)} cascade` });
    await session.close();
  });
  const client = await StoreClient.open(testSource(), schema);
  cleanups.push(() => client.close());
  return { schema, client, session };
}

/** A worker that neither dies of silence nor looks after the dead within a test. */
async function startWorker(schema: string, invoke: Invoke): Promise<EngineWorker> {
  const worker = await EngineWorker.start({
    source: testSource(),
    schema,
    heartbeat: "none",
    deadAfterMs: LONG_MS,
    sweepMs: LONG_MS,
    pollMs: LONG_MS,
  });
  cleanups.push(() => worker.crash());
  await worker.serve("queue", new Map([["work", invoke]]));
  return worker;
}

/** A workflow of one activity. */
function workOf(implementation: () => unknown): Invoke {
  const policy = normalizeRetryPolicy(undefined, "retryPolicy");
  return (context) =>
    context.issue({ kind: "activity", name: "task", failureIsResult: false }, (position) => ({
      kind: "activity",
      position,
      name: "task",
      args: null,
      taskQueue: null,
      policy,
      implementation,
    }));
}

test("the runs of a process that is gone are ready at once, and no other process is blamed", async () => {
  const { schema, client, session } = await setUp();
  const begun = Promise.withResolvers<void>();
  const first = await startWorker(
    schema,
    workOf(() => {
      begun.resolve();
      return new Promise(() => undefined);
    }),
  );
  const runId = await client.start({
    runId: newId(),
    workflowId: "w",
    workflowName: "work",
    taskQueue: "queue",
    input: null,
    options: null,
    delayMs: 0,
    retentionSeconds: 60,
  });
  await begun.promise;
  first.crash();

  expect(await retireProcesses({ source: testSource(), schema, processIds: [process.pid + 1] })).toBe(0);
  expect(await retireProcesses({ source: testSource(), schema, processIds: [process.pid] })).toBe(1);
  const { rows } = await session.query<{ owner: string | null }>({
    text: `select owner from ${quoteIdentifier(schema)}.runs where run_id = $1`,
    values: [runId],
  });
  expect(rows).toEqual([{ owner: null }]);

  await startWorker(
    schema,
    workOf(() => "done"),
  );
  await expect(client.outcome(runId)).resolves.toMatchObject({ status: "completed", result: '"done"' });
});
