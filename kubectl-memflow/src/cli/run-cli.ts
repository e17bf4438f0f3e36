/**
 * Runs one command line: parses it, runs the command, reports what failed.
 *
 * Promises an exit code of `exit-codes.ts` for every end, and that whatever a command opened is closed.
 */
import { CommanderError } from "commander";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";
import type { CliIo } from "./cli-io.ts";
import { CommandSession } from "./command-session.ts";
import type { GlobalOptions } from "./global-options.ts";
import { buildProgram } from "./program.ts";
import { reportError } from "./report-error.ts";

const COMPLETE = "__complete";

/** Runs it; the exit code. */
export async function runCli(args: readonly string[], io: CliIo): Promise<number> {
  let exitCode: number = EXIT_CODES.done;
  const program = buildProgram(io, async (options: GlobalOptions, run) => {
    const session = new CommandSession(io, options);
    try {
      exitCode = await run(session);
    } finally {
      await session.close();
    }
  });
  try {
    // What is completed is no command line yet: its words are not parsed.
    if (args[0] === COMPLETE) {
      const { complete } = await import("../commands/complete.ts");
      return await complete(io, program, args.slice(1));
    }
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.done : EXIT_CODES.usage;
    if (isAbort(error)) return EXIT_CODES.interrupted;
    return reportError(error, io);
  }
}

/** What a command says itself counts, whatever made it say so. */
function isAbort(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof CommandError) return false;
  return error.name === "AbortError" || (error.cause !== undefined && isAbort(error.cause));
}
