/** `signal`. */
import { randomUUID } from "node:crypto";
import type { CommandSession } from "../cli/command-session.ts";
import { EXIT_CODES } from "../exit-codes.ts";
import { readJson } from "./json-input.ts";
import { printDone } from "./print-done.ts";
import { findRun } from "./run-reference.ts";

/** The command line. */
export interface SignalOptions {
  readonly reference: string;
  readonly signal: string;
  readonly data?: string;
  readonly idempotencyKey?: string;
}

/** Sends it. */
export async function signal(session: CommandSession, options: SignalOptions): Promise<number> {
  const data = options.data === undefined ? {} : { data: await readJson(options.data, "--data", session.io) };
  const connection = await session.connect();
  const { runId } = await findRun(connection, options.reference);
  const { client, namespace, store } = connection;
  const { body } = await client.call("signalRun", {
    path: { namespace, runId, signal: options.signal },
    query: { store },
    header: { "Idempotency-Key": options.idempotencyKey ?? randomUUID() },
    body: data,
  });
  await printDone(session, { runId, did: `signaled with "${options.signal}"`, answer: body });
  return EXIT_CODES.done;
}
