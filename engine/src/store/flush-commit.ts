/**
 * Commits one flush exactly once, whatever happens to its acknowledgement.
 *
 * Promises that a flush whose commit was acknowledged, or is found by its id on a retry, is never written again, and that
 * one whose fate is unknown is asked for first. Transient errors are retried for as long as `alive` says so, and no
 * longer than `retryMaxMs`; every other error is the caller's. The flush's statement must insert its id in its own
 * transaction (migrations, table flushes). An id is kept for an hour: who could do harm by a later retry sets the limit.
 */
import { setTimeout as delay } from "node:timers/promises";

import { ConnectionError } from "../core/errors.ts";
import type { Session, Statement } from "./session.ts";
import { classifySqlError } from "./sql-errors.ts";
import type { QueryText } from "./worker-queries.ts";

/** What a flush needs to be committed. */
export interface FlushOptions {
  readonly session: Session;
  /** Returns one row with `reply`, JSON text or null. */
  readonly statement: Statement;
  readonly replyQuery: QueryText;
  readonly writer: string;
  readonly number: number;
  /** False ends the retries: the error is thrown. */
  readonly alive: () => boolean;
  readonly onRetry?: (error: unknown) => void;
  /** Nothing is tried again later than this after the first failure (default: no limit). */
  readonly retryMaxMs?: number | undefined;
  /** Tells the time since something fixed; for tests. */
  readonly clock?: (() => number) | undefined;
}

/** Half the time for which ids are kept: the last try may be under way for a while. */
export const RETRY_BY_ID_MAX_MS: number = 30 * 60_000;

const RETRY_FIRST_MS = 20;
const RETRY_MAX_MS = 1_000;

/**
 * Commits and returns the reply's JSON text, or null.
 *
 * @throws {ConnectionError} `COMMIT_UNKNOWN` when it could not be tried again in time: it may stand or not.
 */
export async function commitFlush(options: FlushOptions): Promise<string | null> {
  const clock = options.clock ?? suspendedToo();
  let waitMs = RETRY_FIRST_MS;
  let uncertain = false;
  let failedAtMs: number | undefined;
  for (;;) {
    try {
      if (uncertain) {
        const standing = await readReply(options);
        if (standing !== undefined) return standing;
      }
      const result = await options.session.query<{ reply: string | null }>(options.statement);
      return result.rows[0]?.reply ?? null;
    } catch (error) {
      const kind = classifySqlError(error);
      if (kind === "unique" && isFlushKey(error)) {
        // The original was still under way when its retry arrived, and stands now.
        uncertain = true;
        continue;
      }
      if (kind !== "transient" || !options.alive()) throw error;
      uncertain = true;
      failedAtMs ??= clock();
      options.onRetry?.(error);
      await delay(waitMs * (0.5 + Math.random()));
      waitMs = Math.min(waitMs * 2, RETRY_MAX_MS);
      if (clock() - failedAtMs > (options.retryMaxMs ?? Infinity)) throw commitUnknown(error, options);
    }
  }
}

/** The reply of a flush that stands; undefined when it does not. */
async function readReply(options: FlushOptions): Promise<string | null | undefined> {
  const found = await options.session.query<{ reply: string | null }>({
    ...options.replyQuery,
    values: [options.writer, options.number],
  });
  return found.rows.length === 0 ? undefined : (found.rows[0]?.reply ?? null);
}

/** The clock of the process stands still while its machine is suspended, that of the day may be set back: the later. */
function suspendedToo(): () => number {
  const dayMs = Date.now();
  const processMs = performance.now();
  return () => Math.max(Date.now() - dayMs, performance.now() - processMs);
}

function commitUnknown(error: unknown, { retryMaxMs = Infinity }: FlushOptions): ConnectionError {
  const target = error instanceof ConnectionError ? error.target : undefined;
  const minutes = Math.round(retryMaxMs / 60_000);
  const message =
    `the database${target === undefined ? "" : ` ${target}`} was away for more than ${minutes} minutes in the middle of a ` +
    "write, which may stand or not; look whether it does before you send it again";
  return new ConnectionError("COMMIT_UNKNOWN", {
    message,
    ...(target === undefined ? {} : { target }),
    cause: error,
  });
}

function isFlushKey(error: unknown): boolean {
  return (error as { constraint?: unknown }).constraint === "flushes_pkey";
}
