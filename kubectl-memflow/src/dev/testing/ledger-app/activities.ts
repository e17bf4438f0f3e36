/** The activity of the ledger app: its line is on the disk before its outcome is recorded. */
import { open } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";

/** Waits, writes one line, and returns the step's number. */
export async function takeStep(input: { readonly step: number; readonly paceMs: number }): Promise<number> {
  await pause(input.paceMs);
  const ledger = await open(process.env["LEDGER_FILE"] ?? "", "a");
  try {
    await ledger.appendFile(`${input.step}\n`);
    await ledger.datasync();
  } finally {
    await ledger.close();
  }
  return input.step;
}
