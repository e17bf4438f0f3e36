import { expect, test } from "vitest";
import { makeScratchStore } from "../scratch-store.ts";
import { checkOpenRuns } from "./open-runs.ts";

test("a workflow id with closed runs and one open run that it leads to is sound", async () => {
  const store = await makeScratchStore();
  const open = await store.insertRun({ workflow_id: "order-1" });
  await store.insertRun({ workflow_id: "order-1", status: "completed", closed_at: new Date() });
  await store.sql("update :schema.workflow_ids set run_id = $1 where workflow_id = 'order-1'", [open]);

  expect(await store.look(checkOpenRuns)).toEqual([]);
});

test("two open runs of one workflow id are found, and the one that it does not lead to", async () => {
  const store = await makeScratchStore();
  const first = await store.insertRun({ workflow_id: "order-1" });
  const second = await store.insertRun({ workflow_id: "order-1" });

  expect(await store.look(checkOpenRuns)).toEqual([
    `I3: "order-1" has the open runs ${[first, second].toSorted().join(", ")}`,
    `I3: "order-1" leads to run "${first}", its open run is "${second}"`,
  ]);
});

test("an open run that its workflow id does not lead to is found", async () => {
  const store = await makeScratchStore();
  const runId = await store.insertRun({ workflow_id: "order-1" });
  await store.sql("delete from :schema.workflow_ids");

  expect(await store.look(checkOpenRuns)).toEqual([
    `I3: "order-1" leads to run none, its open run is "${runId}"`,
  ]);
});
