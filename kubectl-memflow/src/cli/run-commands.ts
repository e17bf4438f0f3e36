/** The commands about runs. */
import { collect } from "./global-options.ts";
import type { CommandSite } from "./command-site.ts";
import { timeoutOption, watchOption } from "./command-site.ts";
import type { Command } from "commander";

const RUN = "<run>";
const RUN_HELP = "a run id, WORKFLOW/WORKFLOW-ID, or a workflow id";

/** Adds them. */
export function addRunCommands(site: CommandSite): void {
  addStarts(site);
  addLists(site);
  addLooks(site);
  addSteering(site);
  addEndings(site);
}

function addStarts({ program, run }: CommandSite): void {
  startOptions(program.command("start").description("Starts a run."))
    .argument("<workflow>", "name of a Workflow")
    .action((workflow: string, options: object) =>
      run(async (session) => (await import("../commands/start.ts")).start(session, { workflow, ...options })),
    );
  startOptions(program.command("execute").description("Starts a run, shows its steps and prints its result."))
    .argument("<workflow>", "name of a Workflow")
    .option("-q, --quiet", "no progress")
    .addOption(timeoutOption())
    .action((workflow: string, options: object) =>
      run(async (session) =>
        (await import("../commands/start.ts")).execute(session, { workflow, ...options }),
      ),
    );
}

function startOptions(command: Command): Command {
  return command
    .option("-i, --input <json>", "the input: JSON, @FILE, or @- for stdin")
    .option("--args <json>", "all arguments, as a JSON array, @FILE or @-")
    .option("--id <workflow id>", "id of the business thing (default: a new one)")
    .option("--task-queue <name>", "queue (default: the Workflow's)")
    .option("--entity <type>", "type of the run's entity")
    .option("--search <field=value>", "search data; may be repeated", collect)
    .option("--start-delay <duration>", "wait before the first step, such as 30s")
    .option("--retention <duration>", "how long the ended run is kept, such as 7d")
    .option("--build <id>", "only workers of this build take it")
    .option(
      "--idempotency-key <key>",
      "the same key with the same request starts one run (default: a new one)",
    );
}

function addLists({ program, run }: CommandSite): void {
  program
    .command("list")
    .alias("ls")
    .description("Lists runs, the latest first.")
    .option("-A, --all-namespaces", "of all Kubernetes namespaces")
    .option("-l, --selector <field=value,...>", "only with this search data")
    .option("--workflow <name>", "only of this Workflow")
    .option("--status <status>", "running, completed, failed, canceled, terminated or continued_as_new")
    .option("--task-queue <name>", "only of this queue")
    .option("--id-prefix <text>", "only workflow ids that begin with it")
    .option("--since <duration>", "only those started within this time, such as 1h")
    .option(
      "--sort-by <field>",
      "startedAt or closedAt; with a minus behind it the earliest first",
      "startedAt",
    )
    .option("--limit <count>", "at most so many", "500")
    .addOption(watchOption())
    .action((options: object) =>
      run(async (session) => (await import("../commands/list-runs.ts")).listRuns(session, options as never)),
    );
  program
    .command("get")
    .description("Shows runs in a line each.")
    .argument("<run...>", RUN_HELP)
    .addOption(watchOption())
    .action((runs: readonly string[], options: object) =>
      run(async (session) => (await import("../commands/get-run.ts")).getRuns(session, { runs, ...options })),
    );
  program
    .command("count")
    .description("Counts runs.")
    .option("--workflow <name>", "only of this Workflow")
    .option("--status <status>", "only with this status")
    .option("-l, --selector <field=value,...>", "only with this search data")
    .action((options: object) =>
      run(async (session) => (await import("../commands/list-runs.ts")).countRuns(session, options)),
    );
}

function addLooks({ program, run }: CommandSite): void {
  program
    .command("describe")
    .description("Tells all about a run: what it is, what it waits for, its last events.")
    .argument(RUN, RUN_HELP)
    .action((reference: string) =>
      run(async (session) => (await import("../commands/describe-run.ts")).describeRun(session, reference)),
    );
  program
    .command("history")
    .description("Prints the events of a run.")
    .argument(RUN, RUN_HELP)
    .option("-f, --follow", "go on until the run has ended")
    .option("--after <event>", "only events after this number", "0")
    .action((reference: string, options: object) =>
      run(async (session) =>
        (await import("../commands/history.ts")).history(session, { reference, ...options } as never),
      ),
    );
  program
    .command("result")
    .description("Waits for the end of a run and prints its result.")
    .argument(RUN, RUN_HELP)
    .option("--progress", "show its steps meanwhile")
    .addOption(timeoutOption())
    .action((reference: string, options: object) =>
      run(async (session) =>
        (await import("../commands/result.ts")).result(session, { reference, ...options }),
      ),
    );
  program
    .command("query")
    .description("Reads what a run says of itself: state, entity or search-data.")
    .argument(RUN, RUN_HELP)
    .argument("[what]", "state, entity or search-data", "state")
    .action((reference: string, what: string) =>
      run(async (session) => (await import("../commands/query.ts")).query(session, { reference, what })),
    );
  program
    .command("entity")
    .description("Prints the memory of a run.")
    .argument(RUN, RUN_HELP)
    .addOption(watchOption())
    .action((reference: string, options: object) =>
      run(async (session) =>
        (await import("../commands/query.ts")).entity(session, { reference, ...options }),
      ),
    );
  program
    .command("export")
    .description("Prints a run's whole story, as MemFlow.replay takes it.")
    .argument(RUN, RUN_HELP)
    .option("--parts <names>", "parts with commas between (default: all)")
    .option("--no-values", "leave out what the run was given, made and said")
    .action((reference: string, options: object) =>
      run(async (session) =>
        (await import("../commands/export-run.ts")).exportRun(session, { reference, ...options } as never),
      ),
    );
  program
    .command("trace")
    .description(
      "Prints the tree of a run with its children, hooks and activities, and the link to its trace.",
    )
    .argument(RUN, RUN_HELP)
    .option("--url <template>", "address of a trace with {runId} in it (default: MEMFLOW_TRACE_URL)")
    .action((reference: string, options: object) =>
      run(async (session) =>
        (await import("../commands/trace.ts")).trace(session, { reference, ...options }),
      ),
    );
  program
    .command("logs")
    .description("Prints what the workers of a run's queue wrote while it ran.")
    .argument(RUN, RUN_HELP)
    .option("-f, --follow", "go on as they write")
    .option("--tail <lines>", "only the last lines of each worker")
    .option("--timestamps", "with the time of each line")
    .option("--previous", "of the containers before their last restart")
    .option("--matching", "only lines with the run's id or workflow id")
    .action((reference: string, options: object) =>
      run(async (session) => (await import("../commands/logs.ts")).logs(session, { reference, ...options })),
    );
}

function addSteering({ program, run }: CommandSite): void {
  program
    .command("signal")
    .description("Sends a signal to a run.")
    .argument(RUN, RUN_HELP)
    .argument("<signal>", "id of the signal")
    .option("-d, --data <json>", "what it brings: JSON, @FILE, or @- for stdin")
    .option("--idempotency-key <key>", "the same key sends it once (default: a new one)")
    .action((reference: string, signal: string, options: object) =>
      run(async (session) =>
        (await import("../commands/signal.ts")).signal(session, { reference, signal, ...options }),
      ),
    );
}

function addEndings({ program, run }: CommandSite): void {
  const reason = ["--reason <text>", "why, for its history"] as const;
  program
    .command("cancel")
    .description("Cancels runs: their code may clean up.")
    .argument("<run...>", RUN_HELP)
    .option(...reason)
    .action((runs: readonly string[], options: object) =>
      run(async (session) =>
        (await import("../commands/stop-runs.ts")).cancel(session, { runs, ...options }),
      ),
    );
  program
    .command("interrupt")
    .description("Interrupts runs, with a code.")
    .argument("<run...>", RUN_HELP)
    .option(...reason)
    .option("--code <number>", "code of the failure (default: 410)")
    .option("--descend", "interrupt their children too")
    .action((runs: readonly string[], options: object) =>
      run(async (session) =>
        (await import("../commands/stop-runs.ts")).interrupt(session, { runs, ...options }),
      ),
    );
  program
    .command("terminate")
    .description("Ends runs at once.")
    .argument("<run...>", RUN_HELP)
    .option(...reason)
    .action((runs: readonly string[], options: object) =>
      run(async (session) =>
        (await import("../commands/stop-runs.ts")).terminate(session, { runs, ...options }),
      ),
    );
}
