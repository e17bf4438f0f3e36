/**
 * `memflow dev`: its options.
 *
 * @see docs/memflow-dev.md
 */
import { Command } from "commander";
import { runDev } from "./run-dev.ts";
import type { DevOptions } from "./run-dev.ts";

/** The command as commander knows it. */
export function devCommand(): Command {
  return new Command("dev")
    .description("Runs manifests on this machine: an embedded Postgres, worker processes, a first run.")
    .requiredOption("-f, --file <path>", "a manifest, or a folder of them")
    .option("--once", "end after the result and leave nothing running", false)
    .option("--data <dir>", "where everything is kept", ".memflow")
    .option(
      "--workflow <name>",
      "the workflow to start (default: the one with the annotation memflow.io/dev-input)",
    )
    .option("--input <json>", "the input of the run: its first argument")
    .option("--corpus <dir>", "sets the field corpus of the input")
    .option("--fresh", "remove the embedded database first", false)
    .addHelpText(
      "after",
      "\nDATABASE_URL in the environment uses that Postgres in place of the embedded one.\n" +
        "Exit codes: 0 done, 1 the run failed, 2 wrong command line or manifest, 3 surroundings failed, 130 interrupted.",
    )
    .action(async (options: DevOptions) => {
      process.exitCode = await runDev(options);
    });
}
