/** What a claim locks while it is under way, others can't claim: no more than it takes. */
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { makeScratchStore } from "../testing/scratch-store.ts";
import type { ScratchStore } from "../testing/scratch-store.ts";
import { newId } from "./new-id.ts";
import { Session } from "./session.ts";
import type { Statement } from "./session.ts";
import { workerQueries } from "./worker-queries.ts";

const QUEUE = "queue";

let store: ScratchStore;
let worker: string;
/** Claims of two kinds of rows, by the same tests. */
const KINDS = [{ kind: "runs" }, { kind: "attempts" }] as const;

beforeEach(async () => {
  store = await makeScratchStore();
  worker = newId();
  await store.sql("select :schema.register_worker($1, '{\"queues\":[]}', null, 'host', 60000)", [worker]);
});

function session(): Session {
  const made = new Session({ source: store.place.source, purpose: "test" });
  onTestFinished(() => made.close());
  return made;
}

function claim(kind: "runs" | "attempts", names: readonly string[], limit: number): Statement {
  const queries = workerQueries(store.place.schema);
  return kind === "runs"
    ? { ...queries.claimRuns, values: [worker, null, QUEUE, names, limit, false, 2] }
    : { ...queries.claimActivities, values: [worker, null, QUEUE, names, limit] };
}

/** Ready rows of a name, the first due earliest. */
async function ready(
  kind: "runs" | "attempts",
  name: string,
  options: { readonly count: number; readonly dueMs: number },
): Promise<void> {
  for (let index = 0; index < options.count; index += 1) {
    const due = new Date(options.dueMs + index);
    const isRun = kind === "runs";
    const runId = await store.insertRun({
      task_queue: QUEUE,
      workflow_name: name,
      ready_at: isRun ? due : null,
    });
    if (isRun) continue;
    const row = { run_id: runId, position: 0, attempt: 1, state: "queued", due_at: due };
    await store.insert("activities", { ...row, task_queue: QUEUE, name });
  }
}

/** How many rows the second claim gets while the first is not committed. */
async function besides(first: Statement, second: Statement): Promise<number> {
  return await session().transaction(async (query) => {
    await query(first);
    return (await session().query(second)).rows.length;
  });
}

test.each(KINDS)(
  "a claim of $kind of several names leaves the others all that it does not take",
  async ({ kind }) => {
    for (const name of ["a", "b", "c"]) await ready(kind, name, { count: 10, dueMs: 0 });
    const all = claim(kind, ["a", "b", "c"], 10);
    expect(await besides(all, claim(kind, ["a", "b", "c"], 30))).toBe(20);
  },
);

test.each(KINDS)(
  "a claim of $kind finds what others left, when others hold those that are due first",
  async ({ kind }) => {
    await ready(kind, "early", { count: 10, dueMs: 0 });
    await ready(kind, "late", { count: 10, dueMs: 1_000 });
    expect(await besides(claim(kind, ["early"], 10), claim(kind, ["early", "late"], 10))).toBe(10);
  },
);

test.each(KINDS)("of $kind of several names those that are due first are claimed first", async ({ kind }) => {
  await ready(kind, "early", { count: 5, dueMs: 0 });
  await ready(kind, "late", { count: 5, dueMs: 1_000 });
  const { rows } = await session().query<{ workflow_name: string }>(claim(kind, ["late", "early"], 7));
  const early = rows.filter((row) => row.workflow_name === "early");
  expect([rows.length, early.length]).toEqual([7, 5]);
});
