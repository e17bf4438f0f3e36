/** What a worker warns of: names on a queue that no living worker has. */
import { expect, test } from "vitest";
import { newId } from "../store/new-id.ts";
import { workerQueries } from "../store/worker-queries.ts";
import { makeScratchStore } from "../testing/scratch-store.ts";
import type { ScratchStore } from "../testing/scratch-store.ts";

async function register(store: ScratchStore, queue: Readonly<Record<string, unknown>>): Promise<string> {
  const workerId = newId();
  const serves = JSON.stringify({ processId: 1, queues: [queue] });
  await store.sql("select :schema.register_worker($1, $2, null, null, 60000)", [workerId, serves]);
  return workerId;
}

async function strandedNames(store: ScratchStore): Promise<string[]> {
  const { text } = workerQueries(store.place.schema).strandedNames;
  const rows = await store.sql<{ kind: string; name: string }>(text, [["queue"]]);
  return rows.map(({ kind, name }) => `${kind} ${name}`).toSorted((a, b) => a.localeCompare(b));
}

test("ready work is stranded when no living worker of its queue has its name", async () => {
  const store = await makeScratchStore();
  for (const name of ["mine", "others", "elsewhere", "nobody"]) {
    const runId = await store.insertRun({ workflow_name: name, ready_at: new Date(0) });
    await store.insert("activities", {
      run_id: runId,
      position: 0,
      attempt: 1,
      state: "queued",
      due_at: new Date(0),
      task_queue: "queue",
      name,
    });
  }
  await register(store, { taskQueue: "queue", workflows: ["mine"], activities: ["mine"] });
  const other = await register(store, { taskQueue: "queue", workflows: ["others"], activities: ["others"] });
  await register(store, { taskQueue: "another", workflows: ["elsewhere"], activities: ["elsewhere"] });
  const strangers = ["activity elsewhere", "activity nobody", "workflow elsewhere", "workflow nobody"];
  expect(await strandedNames(store)).toEqual(strangers);
  await store.sql("update :schema.workers set dead_at = clock_timestamp() where worker_id = $1", [other]);
  expect(await strandedNames(store)).toEqual(
    [...strangers, "activity others", "workflow others"].toSorted((a, b) => a.localeCompare(b)),
  );
});

test("work that is not due strands nobody", async () => {
  const store = await makeScratchStore();
  await store.insertRun({ workflow_name: "later", ready_at: new Date("2999-01-01") });
  expect(await strandedNames(store)).toEqual([]);
});
