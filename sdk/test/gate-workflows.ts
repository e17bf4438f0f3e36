/**
 * Workflows whose activity waits in the middle of a run until a lock of the database is free, and keeps a ledger of who
 * went through.
 */
import { appendFileSync } from "node:fs";
import { MemFlow } from "@memflow/sdk";
import pg from "pg";

/** The queue of all of these. */
export const QUEUE = "gates";

/** A gate is open while nobody holds the advisory lock `key`. */
export interface Gate {
  readonly url: string;
  readonly key: number;
  /** The file that gets a line with the process's id when its activity is through. */
  readonly ledger: string;
}

/** What `crossGate` returns. */
export interface Crossing {
  readonly before: readonly number[];
  /** The process whose activity's outcome was recorded. */
  readonly crossedBy: number;
  readonly after: readonly number[];
}

/** Kept for the life of the process, so that an outcome is there in the turn in which the gate opens. */
let pool: pg.Pool | undefined;

const { step, cross, whoWorks } = MemFlow.workflow.proxyActivities<{
  step(index: number): number;
  cross(gate: Gate): Promise<number>;
  whoWorks(): number;
}>({
  activities: {
    step: (index: number) => index,
    cross: async ({ url, key, ledger }: Gate) => {
      pool ??= new pg.Pool({ connectionString: url });
      await pool.query("select pg_advisory_xact_lock_shared($1)", [key]);
      appendFileSync(ledger, `${process.pid}\n`);
      return process.pid;
    },
    whoWorks: () => process.pid,
  },
  retryPolicy: { maximumAttempts: 3, backoffCoefficient: 1 },
});

/** Three steps, the gate, three steps. */
export async function crossGate(gate: Gate): Promise<Crossing> {
  const before = [await step(0), await step(1), await step(2)];
  const crossedBy = await cross(gate);
  return { before, crossedBy, after: [await step(3), await step(4), await step(5)] };
}

/** Tells the process that served it. */
export async function tellWorker(): Promise<number> {
  return await whoWorks();
}
