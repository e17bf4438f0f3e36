/**
 * Waits until runs are parked: nothing of them is under way and a message is all they wait for.
 */
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { BenchDatabase } from "../server.ts";

const POLL_MS = 100;
const TIMEOUT_MS = 120_000;
const WAITING = "select count(*)::integer as waiting from memflow.waits";

export async function untilWaiting(database: BenchDatabase, runs: number): Promise<void> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    const endsAt = performance.now() + TIMEOUT_MS;
    for (;;) {
      const { rows } = await client.query<{ waiting: number }>(WAITING);
      const waiting = rows[0]?.waiting ?? 0;
      if (waiting >= runs) return;
      if (performance.now() > endsAt)
        throw new Error(`${waiting} of ${runs} runs wait after ${TIMEOUT_MS} ms`);
      await delay(POLL_MS);
    }
  } finally {
    await client.end();
  }
}
