/**
 * Many hooks on many processes change one entity while the processes are killed: nothing is lost, nothing is doubled.
 */
import { resolveConnection } from "@memflow/engine";
import { checkStore } from "@memflow/engine/testing";
import { expect, test } from "vitest";
import { QUEUE } from "./entity-under-kills-workflows.ts";
import type { Shared } from "./entity-under-kills-workflows.ts";
import { eventually, setup } from "./setup.ts";

const MODULE = new URL("entity-under-kills-workflows.ts", import.meta.url).href;
const HOOK_COUNT = 32;
const ROUND_COUNT = 6;
const PROCESS_COUNT = 4;
/** Seven processes start in it: on a machine that does much else that alone takes most of the time. */
const TIMEOUT_MS = 120_000;
/** Increments that are recorded when the next process is killed; the last round waits for the last kill. */
const KILLS_AT: readonly number[] = [0.1, 0.3, 0.6].map((part) => Math.ceil(part * HOOK_COUNT * ROUND_COUNT));

test(
  "32 hooks on 4 processes append, increment and merge while processes are killed: the entity is the fold of the log",
  async () => {
    const store = await setup();
    const serve = () =>
      store.workerProcess({ module: MODULE, taskQueue: QUEUE, options: { deadAfterMs: 1_500 } });
    const processes = await Promise.all(Array.from({ length: PROCESS_COUNT }, serve));
    const handle = await store.client.workflow.start({
      taskQueue: QUEUE,
      workflowName: "shareOneEntity",
      args: [HOOK_COUNT, ROUND_COUNT],
    });
    const successors: Promise<unknown>[] = [];
    for (const [index, atCount] of KILLS_AT.entries()) {
      const counted = async (): Promise<boolean> => {
        const { total = 0 } = await handle.entity<Partial<Shared>>();
        return total >= atCount;
      };
      await eventually(`${atCount} increments`, counted, TIMEOUT_MS);
      processes[index]?.kill("SIGKILL");
      successors.push(serve());
    }
    await Promise.all(successors);
    await handle.signal("last round");
    const told = await handle.result<number[][]>();
    expect(await checkStore({ source: resolveConnection(store.url), schema: store.namespace })).toEqual([]);
    const [{ movedCount } = { movedCount: 0 }] = await store.query<{ movedCount: number }>(
      'select count(*)::int as "movedCount" from runs where hook and epoch > 1',
    );
    expect(movedCount).toBeGreaterThan(0);

    const { total, log, by } = await handle.entity<Shared>();
    const sumCount = HOOK_COUNT * ROUND_COUNT;
    const rounds = Array.from({ length: ROUND_COUNT }, (_, round) => round);
    expect(total).toBe(sumCount);
    // Each increment was told its own sum: none was lost, none counted twice.
    expect(told.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: sumCount }, (_, i) => i + 1));
    // Each hook's entries are in the log once, in its own order, with the sums that it was told.
    expect(log).toHaveLength(sumCount);
    for (const [who, sums] of told.entries()) {
      const own = log.filter((entry) => entry.who === who);
      expect(own).toEqual(rounds.map((round) => ({ who, round, sum: sums[round] })));
    }
    const done = Object.fromEntries(rounds.map((round) => [round, true]));
    expect(by).toEqual(
      Object.fromEntries(told.map((_, who) => [who, { rounds: done, last: ROUND_COUNT - 1 }])),
    );
  },
  TIMEOUT_MS,
);
