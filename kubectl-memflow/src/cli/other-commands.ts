/** The commands that are about no run, queue or Schedule. */
import type { CommandSite } from "./command-site.ts";

/** Adds them. */
export function addOtherCommands({ program, run }: CommandSite): void {
  program
    .command("whoami")
    .description("Says as whom the gateway knows you.")
    .action(() => run(async (session) => (await import("../commands/whoami.ts")).whoami(session)));
  program
    .command("report")
    .description("Gathers what support needs, without secrets and without what runs were given or made.")
    .option("-f, --file <file>", "where to (default: stdout)")
    .option("--run <run>", "with the story of this run")
    .action((options: object) =>
      run(async (session) => (await import("../commands/report.ts")).report(session, options)),
    );
  program
    .command("dev")
    .description("Runs manifests on this machine: Postgres, gateway and workers, with reload.")
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
      "\nDATABASE_URL in the environment uses that Postgres in place of the embedded one.",
    )
    .action((options: object) =>
      run(async () => (await import("../dev/run-dev.ts")).runDev(options as never)),
    );
  program
    .command("completion")
    .description("Prints the shell's completion of this command.")
    .argument("<shell>", "bash, zsh or fish")
    .action((shell: string) =>
      run(async (session) => (await import("../commands/completion.ts")).completion(session, shell)),
    );
  program
    .command("version")
    .description("Prints the versions of this command and of the gateway.")
    .option("--client", "of this command alone")
    .action((options: object) =>
      run(async (session) => (await import("../commands/version.ts")).version(session, options)),
    );
}
