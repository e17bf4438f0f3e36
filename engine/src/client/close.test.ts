/** A client that is closed while the database is away. */
import { expect, onTestFinished, test } from "vitest";
import { quoteIdentifier } from "../store/identifiers.ts";
import { newId } from "../store/new-id.ts";
import { Session } from "../store/session.ts";
import { MeddledSource } from "../testing/meddled-source.ts";
import { testSource, uniqueName } from "../testing/test-database.ts";
import { StoreClient } from "./store-client.ts";

test("a client closes although what it was asked for can't be written, and says so", async () => {
  const schema = uniqueName();
  const meddled = new MeddledSource(testSource());
  const client = await StoreClient.open(meddled.source, schema);
  onTestFinished(async () => {
    const admin = new Session({ source: testSource(), purpose: "test" });
    await admin.query({ text: `drop schema ${quoteIdentifier(schema)} cascade` });
    await admin.close();
  });
  meddled.break("memflow_startRuns", Number.POSITIVE_INFINITY);
  const started = client.start({
    runId: newId(),
    workflowId: "w",
    workflowName: "w",
    taskQueue: "q",
    input: null,
    options: null,
    delayMs: 0,
    retentionSeconds: 60,
  });
  await Promise.all([
    expect(started).rejects.toMatchObject({ code: "DATABASE_UNREACHABLE" }),
    client.close(),
  ]);
});
