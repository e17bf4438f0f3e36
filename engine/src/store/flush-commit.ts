/**
 * Commits one flush exactly once, whatever happens to its acknowledgement.
 *
 * Promises that a flush whose commit was acknowledged, or is found by its id on a retry, is never written again, and that
 * one whose fate is unknown is asked for first. Transient errors are retried for as long as `alive` says so; every other
 * error is the caller's. The flush's statement must insert its id in its own transaction (migrations, table flushes).
 */
import { setTimeout as delay } from "node:timers/promises";

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
}

const RETRY_FIRST_MS = 20;
const RETRY_MAX_MS = 1_000;

/** Commits and returns the reply's JSON text, or null. */
export async function commitFlush(options: FlushOptions): Promise<string | null> {
  let waitMs = RETRY_FIRST_MS;
  let uncertain = false;
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
      options.onRetry?.(error);
      await delay(waitMs * (0.5 + Math.random()));
      waitMs = Math.min(waitMs * 2, RETRY_MAX_MS);
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

function isFlushKey(error: unknown): boolean {
  return (error as { constraint?: unknown }).constraint === "flushes_pkey";
}
