/**
 * The step ledger: a file outside Postgres in which every activity notes what it has done.
 *
 * Off unless MEMFLOW_STEP_LEDGER names a file. Promises that a line is on the disk before the activity returns, so that a
 * test (or a doubter) can kill everything, let the run finish, and count: a step whose outcome stood before the kill has one
 * line; a step that was under way may have two, for activities run at least once. It is no part of how runs survive.
 */
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";

/** One line of the ledger. */
export type LedgerEntry = {
  /** The run's workflow id. */
  readonly run: string;
  readonly activity: string;
  /** Hash of the activity's input: within a run, activity and step name one step. */
  readonly step: string;
  readonly pid: number;
  /** When the step was done, ISO 8601. */
  readonly time: string;
};

/** Notes that `activity` did its work for `request`, then hands back `outcome`: the last thing that an activity does. */
export async function recordStep<T>(
  activity: string,
  request: { readonly run: string },
  outcome: T,
): Promise<T> {
  const file = process.env["MEMFLOW_STEP_LEDGER"];
  if (file === undefined || file === "") return outcome;
  const entry: LedgerEntry = {
    run: request.run,
    activity,
    step: createHash("sha256").update(JSON.stringify(request)).digest("hex").slice(0, 16),
    pid: process.pid,
    time: new Date().toISOString(),
  };
  await appendDurably(file, `${JSON.stringify(entry)}\n`);
  return outcome;
}

async function appendDurably(file: string, line: string): Promise<void> {
  const handle = await open(file, "a");
  try {
    // One write in append mode: lines of several processes never mix.
    await handle.write(line);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
