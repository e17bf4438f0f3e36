/** Prints that something was done to a run, as kubectl says `pod/x deleted`. */
import type { CommandSession } from "../cli/command-session.ts";

/** What was done. */
export interface Done {
  readonly runId: string;
  readonly did: string;
  /** The gateway's answer, for the forms that programs read. */
  readonly answer: unknown;
}

/** @see Done */
export async function printDone({ printer }: CommandSession, { runId, did, answer }: Done): Promise<void> {
  if (printer.form.kind === "name") printer.line(`run/${runId}`);
  else if (printer.form.kind === "table" || printer.form.kind === "wide") printer.line(`run/${runId} ${did}`);
  else await printer.value(answer);
}
