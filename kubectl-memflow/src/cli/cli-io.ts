/**
 * What a command touches of the process: its streams, its environment, Ctrl-C. Tests bring their own.
 *
 * Data goes to `stdout`, messages to `stderr`, always.
 */
import path from "node:path";

/** A stream that is written to. */
export interface OutputStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** @see processIo */
export interface CliIo {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly stdin: AsyncIterable<string | Buffer>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The current folder. */
  readonly folder: string;
  /** How the command is called: `kubectl memflow` or `memflow`. */
  readonly name: string;
  /** Aborted by Ctrl-C or a termination signal; who calls it hears of those from then on. */
  interruption(): AbortSignal;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const INTERRUPTED_EXIT_CODE = 130;

/** Those of this process. */
export function processIo(): CliIo {
  let controller: AbortController | undefined;
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    stdin: process.stdin,
    environment: process.env,
    folder: process.cwd(),
    name: commandName(process.argv[1] ?? ""),
    interruption() {
      if (controller === undefined) {
        const own = new AbortController();
        controller = own;
        for (const name of SIGNALS) {
          process.on(name, () => {
            // The second one insists.
            if (own.signal.aborted) process.exit(INTERRUPTED_EXIT_CODE);
            own.abort();
          });
        }
      }
      return controller.signal;
    },
  };
}

/** kubectl runs its plugins by the name of their file. */
function commandName(program: string): string {
  return path.basename(program).startsWith("kubectl-memflow") ? "kubectl memflow" : "memflow";
}
