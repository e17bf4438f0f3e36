/** A flush of many runs: one that Postgres refuses or that has another owner keeps none of the others back. */
import { expect, onTestFinished, test } from "vitest";
import { EVENT_KIND } from "../core/events.ts";
import { newId } from "../store/new-id.ts";
import { Session } from "../store/session.ts";
import { classifySqlError } from "../store/sql-errors.ts";
import { workerQueries } from "../store/worker-queries.ts";
import { eventually } from "../testing/eventually.ts";
import { HAND_FACTS, HandDrivenRun, durable } from "../testing/hand-driven-run.ts";
import { MeddledSource } from "../testing/meddled-source.ts";
import { makeScratchStore } from "../testing/scratch-store.ts";
import type { ScratchStore } from "../testing/scratch-store.ts";
import { FlushLane } from "./flush-lane.ts";
import type { FlushLaneHost } from "./flush-lane.ts";
import { OwnedRun } from "./owned-run.ts";

const RUN_COUNT = 100;
const LOST = 17;
const REFUSED = 71;

/** What a lane told its host. */
interface Heard {
  readonly committed: string[];
  readonly lost: string[];
  readonly refused: { readonly run: string; readonly error: unknown }[];
  readonly retries: unknown[];
  readonly failures: unknown[];
}

function listen(workerId: string): { readonly host: FlushLaneHost; readonly heard: Heard } {
  const heard: Heard = { committed: [], lost: [], refused: [], retries: [], failures: [] };
  let number = 0;
  const host: FlushLaneHost = {
    workerId,
    nowMs: () => Date.now(),
    alive: () => true,
    nextFlushNumber: () => (number += 1),
    committed: (contributions, { lost = [] }) => {
      for (const { run, events } of contributions) {
        if (lost.includes(run.id)) heard.lost.push(run.id);
        else heard.committed.push(run.id);
        run.pending.splice(0, events.length);
      }
    },
    behind: (runs) => heard.failures.push(runs),
    refused: ({ run }, error) => heard.refused.push({ run: run.id, error }),
    failed: (error) => heard.failures.push(error),
    retried: (error) => heard.retries.push(error),
  };
  return { host, heard };
}

/** A run of this owner that has one signal to record. */
async function ownedRun(store: ScratchStore, owner: string, signalId: string): Promise<OwnedRun> {
  const runId = await store.insertRun({ owner, epoch: 1, busy: true });
  const { machine } = await HandDrivenRun.start(async () => await durable.waitFor("never"), {
    ...HAND_FACTS,
    runId,
    entityId: runId,
  });
  const run = new OwnedRun({
    facts: machine.facts,
    epoch: 1,
    machine,
    lane: 0,
    suspect: false,
    eventCount: 0,
    blamed: false,
  });
  run.pending.push({
    draft: {
      kind: EVENT_KIND.signalReceived,
      position: null,
      name: signalId,
      payload: '{"from":null,"data":1}',
    },
  });
  return run;
}

test.each(["heard", "lost"] as const)(
  "of 100 runs in one flush, one with another owner and one with a NUL fail alone; acknowledgements are %s",
  async (acknowledgements) => {
    const store = await makeScratchStore();
    const meddled = new MeddledSource(store.place.source);
    const session = new Session({ source: meddled.source, purpose: "flush" });
    onTestFinished(() => session.close());
    if (acknowledgements === "lost") meddled.loseEach("memflow_flushRuns");
    const owner = newId();
    const runs: OwnedRun[] = [];
    for (let index = 0; index < RUN_COUNT; index += 1)
      runs.push(await ownedRun(store, owner, index === REFUSED ? "a\0b" : "s"));
    const ids = runs.map(({ id }) => id);
    const [lost = "", refused = ""] = [ids[LOST], ids[REFUSED]];
    await store.sql("update :schema.runs set epoch = epoch + 1 where run_id = $1", [lost]);

    const { host, heard } = listen(owner);
    const lane = new FlushLane({ host, session, queries: workerQueries(store.place.schema) });
    for (const run of runs) lane.mark(run);
    await eventually("an answer for each run", () => {
      return heard.committed.length + heard.lost.length + heard.refused.length === RUN_COUNT;
    });
    await lane.idle();

    expect(heard.failures).toEqual([]);
    expect(heard.lost).toEqual([lost]);
    expect(heard.refused.map(({ run }) => run)).toEqual([refused]);
    expect(heard.refused.map(({ error }) => classifySqlError(error))).toEqual(["data"]);
    const others = ids.filter((id) => id !== lost && id !== refused);
    expect(heard.committed.toSorted()).toEqual(others.toSorted());
    expect(heard.retries).toHaveLength(meddled.lossCount("memflow_flushRuns"));
    expect(heard.retries.length > 0).toBe(acknowledgements === "lost");
    // The refused run keeps what it wanted to record: its owner decides what becomes of it.
    expect(runs[REFUSED]?.pending).toHaveLength(1);
    const rows = await store.sql<{ run_id: string; event_no: number }>(
      "select run_id, event_no from :schema.events order by run_id",
    );
    expect(rows).toEqual(others.toSorted().map((id) => ({ run_id: id, event_no: 1 })));
  },
);
