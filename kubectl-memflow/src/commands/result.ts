/** `result`. */
import type { CommandSession } from "../cli/command-session.ts";
import { awaitRun, printResult } from "./await-run.ts";
import { findRun } from "./run-reference.ts";

/** The command line. */
export interface ResultOptions {
  readonly reference: string;
  readonly progress?: boolean;
  readonly timeout?: string;
}

/** Waits for the result and prints it. */
export async function result(session: CommandSession, options: ResultOptions): Promise<number> {
  const { runId, workflow, startedAt } = await findRun(await session.connect(), options.reference);
  const ended = await awaitRun(session, {
    runId,
    workflow,
    startedAtMs: Date.parse(startedAt),
    showsProgress: options.progress === true,
    timeout: options.timeout,
  });
  return printResult(session, ended);
}
