/**
 * The `memflow` command.
 *
 * Reads the command line, runs the command, prints what failed as one message, and sets the exit code that
 * `exit-codes.ts` documents. It decides nothing else.
 */
import { Command, CommanderError } from "commander";
import { devCommand } from "./dev/dev-command.ts";
import { CommandError, EXIT_CODES } from "./exit-codes.ts";

const program = new Command("memflow")
  .description("Durable workflows on Postgres.")
  .showHelpAfterError("(memflow --help shows what there is)")
  .exitOverride();
program.addCommand(devCommand().copyInheritedSettings(program));

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Prints a failure; what nobody foresaw keeps its stack. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.done : EXIT_CODES.usage;
  if (error instanceof CommandError) {
    process.stderr.write(`memflow: ${error.message}\n`);
    return error.exitCode;
  }
  process.stderr.write(
    `memflow: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  return EXIT_CODES.environment;
}
