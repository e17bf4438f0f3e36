/**
 * Shows a run until it has ended: what stood before, then each step as it is recorded, then the result.
 *
 * Reading may fail while the database restarts; it is tried again for a while. Nothing here changes the run.
 */
import { setTimeout as delay } from "node:timers/promises";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";
import type { DevRun, DevRuns } from "./dev-runs.ts";
import type { DevScreen } from "./dev-screen.ts";
import { RunProgress } from "./run-progress.ts";
import type { Look } from "./run-progress.ts";

/** How to show it. */
export interface ShowRunOptions {
  readonly runs: DevRuns;
  readonly run: DevRun;
  readonly screen: DevScreen;
  /** End when the run is parked, in place of waiting for code that fits. */
  readonly endsWhenParked: boolean;
  /** Stops looking. */
  readonly signal: AbortSignal;
}

const LOOK_MS = 150;
const SILENCE_MS_MAX = 60_000;

/**
 * Shows the run.
 *
 * @returns The exit code: 0 with a result, 10 for any other end.
 * @throws {CommandError} With exit code 1 when the database does not answer any more.
 */
export async function showRun(options: ShowRunOptions): Promise<number> {
  const { run, screen, signal } = options;
  const progress = new RunProgress(options.runs.history, run.runId);
  const patience = new Patience();
  if (run.isContinued) screen.earlierSteps((await progress.look()).steps);
  let shownProblem: string | undefined;
  while (!signal.aborted) {
    const look = await patience.attempt(() => progress.look());
    if (look !== undefined) {
      for (const step of look.steps) screen.step(step, run.startedAt);
      if (look.status !== "running") return await showEnding(options);
      if (look.problem !== undefined && look.problem !== shownProblem) screen.parked(look.problem);
      if (look.problem !== undefined && options.endsWhenParked) return EXIT_CODES.runFailed;
      shownProblem = look.problem;
    }
    await delay(LOOK_MS);
  }
  return EXIT_CODES.interrupted;
}

async function showEnding({ runs, run, screen }: ShowRunOptions): Promise<number> {
  const { status, result, reason, elapsedMs } = await runs.ending(run.runId);
  if (status === "completed") {
    screen.completed(result, elapsedMs);
    return EXIT_CODES.done;
  }
  screen.ended(status, reason);
  return EXIT_CODES.runFailed;
}

/** Forgives failures as long as they don't last. */
class Patience {
  #failingSince: number | undefined;

  async attempt(read: () => Promise<Look>): Promise<Look | undefined> {
    try {
      const look = await read();
      this.#failingSince = undefined;
      return look;
    } catch (error) {
      this.#failingSince ??= performance.now();
      if (performance.now() - this.#failingSince < SILENCE_MS_MAX) return undefined;
      const reason = error instanceof Error ? error.message : String(error);
      throw new CommandError(EXIT_CODES.failure, `the run can't be followed any more: ${reason}`, error);
    }
  }
}
