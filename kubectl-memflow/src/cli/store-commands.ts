/** The commands about queues, Workflows and Schedules. */
import type { CommandSite } from "./command-site.ts";
import { watchOption } from "./command-site.ts";

const ALL_NAMESPACES = ["-A, --all-namespaces", "of all Kubernetes namespaces"] as const;

/** Adds them. */
export function addStoreCommands({ program, run }: CommandSite): void {
  program
    .command("queues")
    .alias("queue")
    .description("Shows task queues: what waits, what is worked on, and the last decision on their workers.")
    .argument("[name]", "only this one")
    .option(...ALL_NAMESPACES)
    .addOption(watchOption())
    .action((name: string | undefined, options: object) =>
      run(async (session) => (await import("../commands/queues.ts")).queues(session, { name, ...options })),
    );
  program
    .command("workflows")
    .alias("workflow")
    .description("Shows Workflows: what their manifests say.")
    .argument("[name]", "only this one")
    .option(...ALL_NAMESPACES)
    .action((name: string | undefined, options: object) =>
      run(async (session) =>
        (await import("../commands/workflows.ts")).workflows(session, { name, ...options }),
      ),
    );
  addSchedules({ program, run });
}

function addSchedules({ program, run }: Pick<CommandSite, "program" | "run">): void {
  const schedules = program
    .command("schedules")
    .alias("schedule")
    .description("Shows Schedules, and triggers, pauses, resumes and backfills them.");
  schedules
    .command("list", { isDefault: true })
    .description("Shows them.")
    .argument("[name]", "only this one")
    .option(...ALL_NAMESPACES)
    .action((name: string | undefined, options: object) =>
      run(async (session) =>
        (await import("../commands/schedules.ts")).schedules(session, { name, ...options }),
      ),
    );
  schedules
    .command("trigger")
    .description("Starts a run of it now.")
    .argument("<name>")
    .option("--trigger <text>", "the same text again starts nothing (default: a new one)")
    .action((name: string, options: object) =>
      run(async (session) =>
        (await import("../commands/schedules.ts")).trigger(session, { name, ...options }),
      ),
    );
  schedules
    .command("pause")
    .description("No time fires until it is resumed.")
    .argument("<name>")
    .action((name: string) =>
      run(async (session) => (await import("../commands/schedules.ts")).pause(session, name)),
    );
  schedules
    .command("resume")
    .description("Ends its pause.")
    .argument("<name>")
    .action((name: string) =>
      run(async (session) => (await import("../commands/schedules.ts")).resume(session, name)),
    );
  schedules
    .command("backfill")
    .description("Makes up for the times of a span of the past.")
    .argument("<name>")
    .requiredOption("--from <time>", "first time, such as 2026-01-31T00:00:00Z")
    .requiredOption("--to <time>", "last time")
    .option("--name <text>", "it is done once under this name (default: from the times)")
    .option(
      "--overlap <policy>",
      "Skip, BufferOne, BufferAll, CancelOther, TerminateOther or AllowAll",
      "AllowAll",
    )
    .action((schedule: string, options: object) =>
      run(async (session) =>
        (await import("../commands/schedules.ts")).backfill(session, { schedule, ...options } as never),
      ),
    );
}
