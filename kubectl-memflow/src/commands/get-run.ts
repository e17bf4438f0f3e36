/** `get`. */
import type { CommandSession } from "../cli/command-session.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { findRun } from "./run-reference.ts";
import { RUN_VIEW } from "./run-view.ts";
import type { PlacedRun } from "./run-view.ts";
import { watch } from "./watching.ts";

/** The command line. */
export interface GetOptions {
  readonly runs: readonly string[];
  readonly watch?: boolean;
}

/** Shows runs; a watch ends when all have ended. */
export async function getRuns(session: CommandSession, options: GetOptions): Promise<number> {
  const connection = await session.connect();
  const find = (): Promise<readonly PlacedRun[]> =>
    Promise.all(options.runs.map((reference) => findRun(connection, reference)));
  if (options.watch === true) {
    return watch(session, {
      view: RUN_VIEW,
      key: ({ runId }) => runId,
      look: find,
      isOver: (runs) => runs.every(({ status }) => status !== "running"),
    });
  }
  const runs = await find();
  const [only] = runs;
  if (runs.length === 1 && only !== undefined) await session.printer.one(RUN_VIEW, only);
  else await session.printer.list(RUN_VIEW, runs);
  return EXIT_CODES.done;
}
