#!/usr/bin/env node
/** The command as a process: `memflow`, or `kubectl memflow`. */
import { processIo } from "./cli/cli-io.ts";
import { runCli } from "./cli/run-cli.ts";

// Who reads may have enough: `kubectl memflow list | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});

// In a function: the self-contained executable is made of a script that can't wait at its top.
async function main(): Promise<void> {
  process.exitCode = await runCli(process.argv.slice(2), processIo());
}

void main();
