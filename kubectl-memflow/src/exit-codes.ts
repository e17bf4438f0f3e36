/**
 * What the memflow command's exit code says. Stable; scripts may rely on it.
 *
 * | code | meaning |
 * |---|---|
 * | 0 | done; with `dev --once`: the run has a result |
 * | 1 | the run failed, was canceled or was terminated |
 * | 2 | the command line, a manifest or an input is wrong; nothing was started |
 * | 3 | the surroundings failed: no database, no worker, an unsupported system |
 * | 130 | stopped by Ctrl-C or a termination signal |
 */
export const EXIT_CODES = { done: 0, runFailed: 1, usage: 2, environment: 3, interrupted: 130 } as const;

/** The command can't do what was asked; its message is all that the user needs to see. */
export class CommandError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "CommandError";
    this.exitCode = exitCode;
  }
}
