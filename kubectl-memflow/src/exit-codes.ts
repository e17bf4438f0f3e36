/**
 * What the command's exit code says. Stable; scripts may rely on it.
 *
 * | code | meaning |
 * |---|---|
 * | 0 | done |
 * | 1 | something failed: no gateway, no database, an answer that nobody foresaw |
 * | 2 | the command line, a manifest or an input is wrong; nothing was started |
 * | 3 | what was named is not there |
 * | 4 | not allowed, or not known who asks |
 * | 5 | the time of `--timeout` is over; the run goes on |
 * | 10 | the run itself failed, was canceled or was terminated |
 * | 130 | stopped by Ctrl-C or a termination signal |
 */
export const EXIT_CODES = {
  done: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  forbidden: 4,
  timedOut: 5,
  runFailed: 10,
  interrupted: 130,
} as const;

/** The command can't do what was asked; its message is all that the user needs to see. */
export class CommandError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "CommandError";
    this.exitCode = exitCode;
  }
}
