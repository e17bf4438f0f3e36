/** The time of an event: what the code saw live is what a replay shows it. */
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { EVENT_KIND } from "../core/events.ts";
import { RunMachine } from "../replay/run-machine.ts";
import type { RunFacts } from "../replay/run-context.ts";
import { timestamptzArray } from "../store/binary-arrays.ts";
import { Session } from "../store/session.ts";
import { testSource } from "../testing/test-database.ts";
import { contributionOf } from "./flush-batch.ts";
import { OwnedRun } from "./owned-run.ts";

const session = new Session({ source: testSource(), purpose: "test" });
afterAll(() => session.close());

const FACTS: RunFacts = {
  runId: "01900000-0000-7000-8000-000000000000",
  workflowId: "w",
  workflowName: "w",
  taskQueue: "q",
  namespace: "n",
  entityId: "01900000-0000-7000-8000-000000000000",
  parentRunId: null,
  parentPosition: null,
  hook: false,
  dialect: "memflow",
  startedMs: 1_700_000_000_000.25,
  input: null,
  options: null,
};

/** The time that one event gets when it is recorded at `nowMs`. */
function eventMs(nowMs: number): number {
  const machine = new RunMachine(FACTS, () => undefined);
  const run = new OwnedRun({
    facts: FACTS,
    epoch: 1,
    machine,
    lane: 0,
    suspect: false,
    eventCount: 0,
    blamed: false,
  });
  run.pending.push({ draft: { kind: EVENT_KIND.timerFired, position: 0, name: null, payload: null } });
  const contribution = contributionOf(run, { nowMs, eventsMax: 1, bytesMax: 1 });
  return contribution?.events[0]?.atMs ?? Number.NaN;
}

test("the time of an event is the same when it is read back", async () => {
  // The last quarter of a microsecond before a whole millisecond is where a finer time would be rounded up.
  const nearWhole = fc.integer({ min: 1, max: 1e10 }).map((ms) => 1_700_000_000_000 + ms - 1 / 4096);
  const anywhere = fc.double({ min: 1_700_000_000_001, max: 1_800_000_000_000, noNaN: true });
  const nowMs = fc.sample(fc.oneof(nearWhole, anywhere), 500);
  const live = nowMs.map(eventMs);
  const { rows } = await session.query<{ at_ms: number }>({
    text: "select extract(epoch from at)::double precision * 1000 as at_ms from unnest($1::timestamptz[]) as at",
    values: [timestamptzArray(live)],
  });
  expect(rows.map((row) => row.at_ms)).toEqual(live);
});
