/** `trace`: the tree of a run with its children, hooks and activities, and the link to its trace. */
import type { CommandSession } from "../cli/command-session.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { drawTree } from "../show/run-tree.ts";
import { readFamily } from "./family.ts";
import { findRun } from "./run-reference.ts";

/** The command line. */
export interface TraceOptions {
  readonly reference: string;
  readonly url?: string;
}

const URL_VARIABLE = "MEMFLOW_TRACE_URL";

/** Prints them. */
export async function trace(session: CommandSession, options: TraceOptions): Promise<number> {
  const connection = await session.connect();
  const run = await findRun(connection, options.reference);
  const members = await readFamily(connection, run.runId);
  const template = options.url ?? session.io.environment[URL_VARIABLE];
  const link = template
    ?.replaceAll("{runId}", run.runId)
    .replaceAll("{workflowId}", encodeURIComponent(run.workflowId));
  const { printer } = session;
  if (printer.form.kind !== "table" && printer.form.kind !== "wide") {
    await printer.value({ runId: run.runId, link, members });
    return EXIT_CODES.done;
  }
  for (const line of drawTree(run.runId, members, (tone, text) => session.terminal.paint(tone, text)))
    printer.line(line);
  if (link === undefined)
    session.say(
      `no link: say where traces are with --url or ${URL_VARIABLE}, such as https://jaeger.example/search?tags={"memflow.run_id":"{runId}"}`,
    );
  else printer.line(link);
  return EXIT_CODES.done;
}
