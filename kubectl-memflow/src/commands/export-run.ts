/** `export`: a run's whole story. */
import type { CommandSession } from "../cli/command-session.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { findRun } from "./run-reference.ts";

/** The command line. */
export interface ExportOptions {
  readonly reference: string;
  readonly parts?: string;
  /** False with `--no-values`. */
  readonly values: boolean;
}

/** Prints it. */
export async function exportRun(session: CommandSession, options: ExportOptions): Promise<number> {
  const connection = await session.connect();
  const { runId } = await findRun(connection, options.reference);
  const { client, namespace, store } = connection;
  const { body } = await client.call("exportRun", {
    path: { namespace, runId },
    query: { store, parts: options.parts, values: options.values ? undefined : "false" },
  });
  await session.printer.value(body);
  return EXIT_CODES.done;
}
