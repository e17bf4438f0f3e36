import { expect, test } from "vitest";
import { newId } from "../../store/new-id.ts";
import { makeScratchStore } from "../scratch-store.ts";
import { checkTerminalStates, rememberEndedRuns } from "./terminal-states.ts";

const ENDED = { status: "completed", result: '"done"', closed_at: new Date(), expires_at: new Date() };

test("an open run and an ended one are sound", async () => {
  const store = await makeScratchStore();
  await store.insertRun({ owner: newId(), busy: true });
  await store.insertRun(ENDED);
  const before = await store.look(rememberEndedRuns);

  expect(await store.look((at) => checkTerminalStates(at, before))).toEqual([]);
});

test.each([
  ["an open run with a result", { result: "1" }, "running"],
  ["an ended run that somebody owns", { ...ENDED, owner: newId() }, "completed"],
  ["an ended run that could be claimed", { ...ENDED, ready_at: new Date() }, "completed"],
  ["an ended run without a time of its end", { ...ENDED, closed_at: null }, "completed"],
])("%s is found", async (_, row, status) => {
  const store = await makeScratchStore();
  const runId = await store.insertRun(row);

  expect(await store.look(checkTerminalStates)).toEqual([
    `I5: run "${runId}" is ${status} and holds what belongs to another state`,
  ]);
});

test.each([
  ["a message", "inbox", { kind: 4 }],
  [
    "an attempt",
    "activities",
    { position: 0, attempt: 1, state: "local", due_at: new Date(), task_queue: "q", name: "a" },
  ],
  ["a wait", "waits", { signal_id: "go", position: 0 }],
])("an ended run that left %s behind is found", async (_, table, row) => {
  const store = await makeScratchStore();
  const runId = await store.insertRun(ENDED);
  await store.insert(table, { run_id: runId, ...row });

  expect(await store.look(checkTerminalStates)).toHaveLength(1);
});

test("an outcome that has changed, and an ended run that is open again, are found", async () => {
  const store = await makeScratchStore();
  const changed = await store.insertRun(ENDED);
  const reopened = await store.insertRun(ENDED);
  const before = await store.look(rememberEndedRuns);
  await store.sql(`update :schema.runs set result = '"other"' where run_id = $1`, [changed]);
  await store.sql(
    `update :schema.runs set status = 'running', result = null, closed_at = null, expires_at = null where run_id = $1`,
    [reopened],
  );

  const findings = await store.look((at) => checkTerminalStates(at, before));

  expect(findings[0]).toBe(`I5: run "${reopened}" had ended and is open again`);
  expect(findings[1]).toContain(`I5: run "${changed}" ended with ["completed", "done"`.slice(0, 60));
  expect(findings).toHaveLength(2);
});
