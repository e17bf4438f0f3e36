/** `cancel`, `interrupt` and `terminate`. */
import type { StoppedRun } from "@memflow/gateway/client";
import type { CommandSession } from "../cli/command-session.ts";
import type { GatewayConnection } from "../connect/connection.ts";
import { CommandError, EXIT_CODES } from "../exit-codes.ts";
import { printDone } from "./print-done.ts";
import { findRun } from "./run-reference.ts";

/** The command line. */
export interface StopOptions {
  readonly runs: readonly string[];
  readonly reason?: string;
}

/** That of `interrupt`. */
export interface InterruptOptions extends StopOptions {
  readonly code?: string;
  readonly descend?: boolean;
}

/** Which run, for one call. */
interface Place {
  readonly path: { readonly namespace: string; readonly runId: string };
  readonly query: { readonly store: string | undefined };
}

export function cancel(session: CommandSession, { runs, reason }: StopOptions): Promise<number> {
  return stop(session, runs, async ({ client }, place) => {
    return (await client.call("cancelRun", { ...place, body: { reason } })).body;
  });
}

export async function interrupt(session: CommandSession, options: InterruptOptions): Promise<number> {
  const { runs, reason, descend } = options;
  const code = options.code === undefined ? undefined : Number(options.code);
  if (code !== undefined && !Number.isInteger(code)) {
    throw new CommandError(EXIT_CODES.usage, `--code "${options.code}" is no whole number`);
  }
  return stop(session, runs, async ({ client }, place) => {
    return (await client.call("interruptRun", { ...place, body: { reason, code, descend } })).body;
  });
}

export function terminate(session: CommandSession, { runs, reason }: StopOptions): Promise<number> {
  return stop(session, runs, async ({ client }, place) => {
    return (await client.call("terminateRun", { ...place, body: { reason } })).body;
  });
}

/** One after the other; the first that fails ends it, and what was done before is said. */
async function stop(
  session: CommandSession,
  references: readonly string[],
  act: (connection: GatewayConnection, place: Place) => Promise<StoppedRun>,
): Promise<number> {
  const connection = await session.connect();
  const { namespace, store } = connection;
  for (const reference of references) {
    const { runId } = await findRun(connection, reference);
    const answer = await act(connection, { path: { namespace, runId }, query: { store } });
    await printDone(session, { runId, did: answer.status, answer });
  }
  return EXIT_CODES.done;
}
