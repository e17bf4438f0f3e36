/**
 * Waits for a run to end, and shows its steps meanwhile.
 *
 * Promises that nothing here changes the run: Ctrl-C and the end of the time leave it alone and say how to go on. Progress is an
 * aside: when it can't be shown the wait goes on.
 */
import { waitForResult } from "@memflow/gateway/client";
import type { RunResult } from "@memflow/gateway/client";
import type { CommandSession } from "../cli/command-session.ts";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";
import { readDurationMs } from "./durations.ts";
import { showProgress } from "./run-progress.ts";

/** Which run and how. */
export interface AwaitOptions {
  readonly runId: string;
  readonly workflow: string;
  readonly startedAtMs: number;
  readonly showsProgress: boolean;
  /** As `--timeout` says it. */
  readonly timeout?: string | undefined;
}

/** @throws {CommandError} With exit code 5 or 130 when the run still goes on. */
export async function awaitRun(session: CommandSession, options: AwaitOptions): Promise<RunResult> {
  const { client, namespace, store } = await session.connect();
  const interruption = session.io.interruption();
  const ended = new AbortController();
  const timeoutMs = options.timeout === undefined ? undefined : readDurationMs(options.timeout, "--timeout");
  const limit = timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)];
  const signal = AbortSignal.any([interruption, ended.signal, ...limit]);
  const place = { namespace, store, runId: options.runId, signal };
  const progress = options.showsProgress ? showProgress(session, { ...options, signal }) : Promise.resolve();
  try {
    const result = await waitForResult(client, place);
    await progress;
    return result;
  } catch (error) {
    if (!signal.aborted) throw error;
    const goOn = session.nextCommand(`result ${options.runId}`);
    const isInterrupted = interruption.aborted;
    throw new CommandError(
      isInterrupted ? EXIT_CODES.interrupted : EXIT_CODES.timedOut,
      `${isInterrupted ? "stopped waiting" : `no result within ${options.timeout ?? ""}`}: run ${options.runId} goes on\nnext: ${goOn}`,
      error,
    );
  } finally {
    ended.abort();
    await progress;
  }
}

/** Prints a result, or says why there is none; the exit code. */
export async function printResult(session: CommandSession, result: RunResult): Promise<number> {
  if (result.status === "completed") {
    if (result.result === undefined) session.say("completed without a result");
    else if (session.printer.form.kind === "name") session.printer.line(`run/${result.runId}`);
    else await session.printer.value(result.result);
    return EXIT_CODES.done;
  }
  const { failure } = result;
  const reason = failure === undefined ? "" : `: ${failure.message} (${failure.name}, code ${failure.code})`;
  session.say(
    session.terminal.paint(
      "bad",
      result.status === "failed" ? `the run failed${reason}` : `the run is ${result.status}${reason}`,
    ),
  );
  session.say(`next: ${session.nextCommand(`history ${result.runId}`)}`);
  return EXIT_CODES.runFailed;
}
