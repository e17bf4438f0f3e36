/**
 * What a store says of all its runs, for those who look after it: how long closed runs stay where neither their start nor
 * their workflow's definition says it.
 *
 * Promises that who was followed by somebody with a newer fencing token writes nothing any more. The closing statements look
 * the settings up themselves (flush_runs and end_runs in migrations/sql): runs that have ended keep the time that they got.
 */
import { LeaderFollowedError } from "../core/errors.ts";
import { quoteIdentifier } from "./identifiers.ts";
import type { Session } from "./session.ts";
import { OWN_SQLSTATES, codeOf } from "./sql-errors.ts";

/** Whole seconds, 0 to 2147483647. */
export interface StoreSettings {
  /** How long runs stay that have completed. */
  readonly completedSeconds: number;
  /** How long runs stay that have ended otherwise. */
  readonly failedSeconds: number;
}

const STATEMENT_TIMEOUT_MS = 10_000;

/** What the store says now; a store that nobody looks after says 7 days for both. */
export async function readStoreSettings(
  session: Session,
  schema: string,
): Promise<StoreSettings | undefined> {
  const { rows } = await session.query<StoreSettings>({
    text: `
      select s.completed_seconds as "completedSeconds", s.failed_seconds as "failedSeconds"
      from ${quoteIdentifier(schema)}.store_settings s
      where s.one`,
    timeoutMs: STATEMENT_TIMEOUT_MS,
  });
  return rows[0];
}

/**
 * Keeps everybody with an older fencing token from writing settings from now on; to be called before they are judged.
 *
 * @param fence - Grows with each leader.
 * @throws {LeaderFollowedError} When somebody with a newer one was here: nothing changes.
 */
export async function claimStoreSettings(session: Session, schema: string, fence: number): Promise<void> {
  await fenced(fence, () =>
    session.query({
      text: `select ${quoteIdentifier(schema)}.assert_leader('settings', $1)`,
      values: [fence],
      timeoutMs: STATEMENT_TIMEOUT_MS,
    }),
  );
}

/**
 * Says them.
 *
 * @param fence - Grows with each leader: see the fencing token of the operator's lease.
 * @returns Whether anything changed.
 * @throws {LeaderFollowedError} When somebody with a newer fencing token was here: nothing is written.
 */
export async function setStoreSettings(
  session: Session,
  schema: string,
  { completedSeconds, failedSeconds, fence }: StoreSettings & { readonly fence: number },
): Promise<boolean> {
  const { rows } = await fenced(fence, () =>
    session.query<{ changed: boolean }>({
      text: `select ${quoteIdentifier(schema)}.set_store_settings($1, $2, $3) as changed`,
      values: [completedSeconds, failedSeconds, fence],
      timeoutMs: STATEMENT_TIMEOUT_MS,
    }),
  );
  return rows[0]?.changed === true;
}

async function fenced<T>(fence: number, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (codeOf(error) !== OWN_SQLSTATES.leaderFollowed) throw error;
    throw new LeaderFollowedError({ token: fence, cause: error });
  }
}
