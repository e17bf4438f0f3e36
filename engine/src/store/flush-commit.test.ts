/** A flush whose acknowledgement was lost, and whose id may be forgotten when it is tried again. */
import { expect, onTestFinished, test } from "vitest";
import { MeddledSource } from "../testing/meddled-source.ts";
import { makeScratchStore } from "../testing/scratch-store.ts";
import { clientQueries } from "./client-queries.ts";
import { RETRY_BY_ID_MAX_MS, commitFlush } from "./flush-commit.ts";
import { newId } from "./new-id.ts";
import { Session } from "./session.ts";

test.each([
  { lateMs: RETRY_BY_ID_MAX_MS, outcome: "is found by its id" },
  { lateMs: RETRY_BY_ID_MAX_MS + 1, outcome: "is not sent again, for its id may be forgotten" },
])("a signal that is retried $lateMs ms after its answer was lost $outcome", async ({ lateMs }) => {
  const store = await makeScratchStore();
  const runId = await store.insertRun();
  const meddled = new MeddledSource(store.place.source);
  const session = new Session({ source: meddled.source, purpose: "test" });
  onTestFinished(() => session.close());
  const queries = clientQueries(store.place.schema);
  const writer = newId();
  const answer = meddled.holdNext(queries.sendSignals.name);
  let nowMs = 0;
  const committing = commitFlush({
    session,
    statement: { ...queries.sendSignals, values: [writer, 1, JSON.stringify([{ to: runId, name: "go" }])] },
    replyQuery: queries.flushReply,
    writer,
    number: 1,
    alive: () => true,
    retryMaxMs: RETRY_BY_ID_MAX_MS,
    onRetry: () => (nowMs += lateMs),
    clock: () => nowMs,
  });
  const outcome = committing.then(
    (reply) => (JSON.parse(reply ?? "null") as { readonly run: string }[])[0]?.run,
    (error: unknown) => (error as { readonly code: string }).code,
  );
  await answer.answered;
  // As prune does when an hour has passed.
  if (lateMs > RETRY_BY_ID_MAX_MS) await store.sql("delete from :schema.flushes");
  answer.lose();
  expect(await outcome).toBe(lateMs > RETRY_BY_ID_MAX_MS ? "COMMIT_UNKNOWN" : runId);
  expect(await store.sql("select name from :schema.inbox")).toEqual([{ name: "go" }]);
});
