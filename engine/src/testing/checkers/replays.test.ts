import { expect, test } from "vitest";
import { EVENT_KIND } from "../../core/events.ts";
import { normalizeRetryPolicy } from "../../core/retry-policy.ts";
import type { RunContext } from "../../replay/run-context.ts";
import { makeScratchStore } from "../scratch-store.ts";
import type { ScratchStore } from "../scratch-store.ts";
import { checkReplays } from "./replays.ts";

const policy = normalizeRetryPolicy(undefined, "retryPolicy");

async function callActivity(context: RunContext, name: string): Promise<string> {
  return await context.issue<string>({ kind: "activity", name }, (position) => ({
    kind: "activity",
    position,
    name,
    args: null,
    taskQueue: null,
    policy,
  }));
}

/** A completed run with one activity, and what its replay finds with this code. */
async function replay(
  store: ScratchStore,
  work: (context: RunContext) => Promise<unknown>,
  row: Readonly<Record<string, unknown>> = {},
): Promise<{ readonly runId: string; readonly findings: readonly string[] }> {
  const runId = await store.insertRun({
    status: "completed",
    result: '"done"',
    closed_at: new Date(),
    ...row,
  });
  await store.insertEvent({
    run_id: runId,
    event_no: 1,
    kind: EVENT_KIND.activityCompleted,
    position: 0,
    name: "fetch",
    payload: '"done"',
  });
  const workflows = new Map([["work", work]]);
  return { runId, findings: await store.look((at) => checkReplays(at, { workflows })) };
}

test("a history that its code replays is sound", async () => {
  const store = await makeScratchStore();
  const { findings } = await replay(store, (context) => callActivity(context, "fetch"));

  expect(findings).toEqual([]);
});

test("code that asks for something else than its history is found", async () => {
  const store = await makeScratchStore();
  const { runId, findings } = await replay(store, (context) => callActivity(context, "store"));

  expect(findings).toHaveLength(1);
  expect(findings[0]).toMatch(`I9: run "${runId}" of "work": its replay failed: HistoryMismatchError`);
});

test("code that comes to another result is found", async () => {
  const store = await makeScratchStore();
  const { runId, findings } = await replay(
    store,
    async (context) => `${await callActivity(context, "fetch")}!`,
  );

  expect(findings).toEqual([
    `I9: run "${runId}" of "work": it completed with "done", its replay is completed with "done!"`,
  ]);
});

test("code whose commands differ from one replay to the next is found", async () => {
  const store = await makeScratchStore();
  let calls = 0;
  const { runId, findings } = await replay(store, async (context) => {
    calls += 1;
    const result = await callActivity(context, "fetch");
    const dueMs = calls;
    void context.issue({ kind: "timer", name: null }, (position) => ({ kind: "timer", position, dueMs }));
    return result;
  });

  expect(findings).toEqual([`I9: run "${runId}" of "work": two replays of it made different commands`]);
});

test("a run that failed otherwise than its replay is found", async () => {
  const store = await makeScratchStore();
  const failure = { name: "Error", message: "broken" };
  const row = { status: "failed", result: null, failure };
  const { runId, findings } = await replay(store, (context) => callActivity(context, "fetch"), row);

  expect(findings).toEqual([
    `I9: run "${runId}" of "work": it failed with Error: broken, its replay is completed with "done"`,
  ]);
});
