/**
 * The command line: every command with its arguments and options.
 *
 * What a command does is imported when it runs, so that `--help` and completion start at once.
 */
import { Command } from "commander";
import { addRunCommands } from "./run-commands.ts";
import { addStoreCommands } from "./store-commands.ts";
import { addOtherCommands } from "./other-commands.ts";
import type { CliIo } from "./cli-io.ts";
import type { CommandSite } from "./command-site.ts";
import type { CommandSession } from "./command-session.ts";
import { addGlobalOptions } from "./global-options.ts";
import type { GlobalOptions } from "./global-options.ts";

/** Runs a command with the options that all commands have; it gives the exit code. */
export type RunCommand = (
  options: GlobalOptions,
  run: (session: CommandSession) => Promise<number>,
) => Promise<void>;

const EXIT_CODES_HELP =
  "\nExit codes: 0 done, 1 failure, 2 usage, 3 not found, 4 forbidden or unknown, 5 timed out, 10 the run failed, 130 Ctrl-C.";

/** Builds it. */
export function buildProgram(io: CliIo, run: RunCommand): Command {
  const program = addGlobalOptions(
    new Command(io.name)
      .description("Starts, watches and steers durable workflows on Postgres.")
      .showHelpAfterError(`(${io.name} --help shows what there is)`)
      .configureHelp({ showGlobalOptions: true })
      .configureOutput({
        writeOut: (text) => void io.stdout.write(text),
        writeErr: (text) => void io.stderr.write(text),
        getOutHasColors: () => false,
        getErrHasColors: () => false,
      })
      .addHelpText("after", EXIT_CODES_HELP)
      .exitOverride(),
  );
  const site: CommandSite = { program, run: (body) => run(program.opts<GlobalOptions>(), body) };
  addRunCommands(site);
  addStoreCommands(site);
  addOtherCommands(site);
  return program;
}
