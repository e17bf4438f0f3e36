/**
 * What stands in for `memflow dev` in the self-contained executable, which can't hold it: a Postgres, workers as processes and
 * your code with its packages need files of their own.
 */
import { CommandError, EXIT_CODES } from "../exit-codes.ts";

/** @throws {CommandError} Always; it says how to have it. */
export async function runDev(): Promise<number> {
  throw new CommandError(
    EXIT_CODES.failure,
    "memflow dev is not in this executable: it runs your code with its packages, and a Postgres\nnext: npx --package @memflow/cli memflow dev -f .",
  );
}
