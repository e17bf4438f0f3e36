/** Ends from outside on a real database, and who hears of them. */
import { expect, onTestFinished, test } from "vitest";
import { makeScratchStore } from "../testing/scratch-store.ts";
import { noticesOf, terminateRuns } from "./ended-runs.ts";
import { channelName, queueChannel } from "./identifiers.ts";
import { newId } from "./new-id.ts";
import { Session } from "./session.ts";

const ENDED = {
  run_id: newId(),
  owner: null,
  watchers: null,
  parent_run_id: null,
  parent_owner: null,
  parent_queue: null,
};

test("a terminated run ends with all that it has started, by the failure that is given, and only once", async () => {
  const store = await makeScratchStore();
  const session = new Session({ source: store.place.source, purpose: "test" });
  onTestFinished(() => session.close());
  const root = await store.insertRun();
  const child = await store.insertRun({ parent_run_id: root });
  const other = await store.insertRun();
  const failure = Object.assign(new Error("late"), { code: "LATE" });
  const end = { runIds: [root], failure };
  expect(await terminateRuns(session, store.place.schema, end)).toBe(2);
  expect(await terminateRuns(session, store.place.schema, end)).toBe(0);
  const rows = await store.sql<{ run_id: string; status: string; code: string | null }>(
    "select run_id, status, failure ->> 'code' as code from :schema.runs",
  );
  const states = Object.fromEntries(rows.map(({ run_id: id, status, code }) => [id, [status, code]]));
  expect(states).toEqual({
    [root]: ["terminated", "LATE"],
    [child]: ["terminated", "LATE"],
    [other]: ["running", null],
  });
});

test("owner, watchers and the parent's owner or queue are told of an end", () => {
  const [owner, parent] = [newId(), newId()];
  const runs = [
    { ...ENDED, owner, watchers: ["a", "b"], parent_run_id: parent, parent_owner: owner, parent_queue: "q" },
    { ...ENDED, parent_run_id: parent, parent_queue: "q" },
    { ...ENDED, parent_run_id: parent },
    ENDED,
  ];
  expect(noticesOf("s", runs)).toEqual([
    [channelName("s", "worker", owner), ENDED.run_id],
    ["a", ENDED.run_id],
    ["b", ENDED.run_id],
    [channelName("s", "worker", owner), parent],
    [queueChannel("s", "q"), "runs"],
  ]);
});
