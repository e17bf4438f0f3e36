/** What the files that add commands share: where to add them, and options that several have. */
import { Option } from "commander";
import type { Command } from "commander";
import type { CommandSession } from "./command-session.ts";

/** Where commands are added to. */
export interface CommandSite {
  readonly program: Command;
  /** Runs with the global options of this moment. */
  readonly run: (run: (session: CommandSession) => Promise<number>) => Promise<void>;
}

/** `-w`, where a thing can be watched. */
export function watchOption(): Option {
  return new Option("-w, --watch", "go on, and print what changes");
}

/** Until when a command waits. */
export function timeoutOption(): Option {
  return new Option(
    "--timeout <duration>",
    "give up waiting after this time, such as 30s or 5m; the run goes on",
  );
}
