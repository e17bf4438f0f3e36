/**
 * Builds side by side, for those who look after a store: which builds of a queue get new runs, what the open runs of each
 * are, and how runs get from one to another.
 *
 * Promises that who was followed by somebody with a newer fencing token writes nothing any more; that everything may be
 * repeated; and that workers are told of what changed. Which worker claims what is for the claims to say (claim_routes in
 * migrations/sql).
 */
import { LeaderFollowedError } from "../core/errors.ts";
import { queueChannel, quoteIdentifier } from "./identifiers.ts";
import type { Session } from "./session.ts";
import { OWN_SQLSTATES, codeOf } from "./sql-errors.ts";

/** Current gets new runs, Ramping a share of them, Draining none. */
export type BuildRole = "Current" | "Ramping" | "Draining";

/** One build of a queue. */
export interface QueueBuild {
  readonly buildId: string;
  readonly role: BuildRole;
  /** Of new runs: those of Current and Ramping make a hundred, Draining has 0. */
  readonly sharePercent: number;
}

/** Which builds a queue has. */
export interface QueueBuilds {
  readonly taskQueue: string;
  /** Pinned: a run stays with the build that first claims it. AutoUpgrade: each claim is one of a build that gets new runs. */
  readonly pinning: "Pinned" | "AutoUpgrade";
  /** All of them; none: nothing of the queue is pinned, and any worker claims. */
  readonly builds: readonly QueueBuild[];
  /** Grows with each leader: see the fencing token of the operator's lease. */
  readonly fence: number;
}

/** From where to where runs move. */
export interface RunMove {
  readonly taskQueue: string;
  readonly fromBuildId: string;
  /** null: whichever build gets new runs. */
  readonly toBuildId: string | null;
}

/** The open runs that are pinned to a build of a queue. */
export interface BuildRuns {
  readonly taskQueue: string;
  readonly buildId: string;
  /** Counted up to `BUILD_RUNS_COUNT_MAX`. */
  readonly openRuns: number;
  /** Of these, runs that no worker has in memory; counted as far as they are. */
  readonly unownedRuns: number;
  /** Living workers of the build that serve the queue: without one, unowned runs are stranded. */
  readonly workers: number;
}

/** A build with more open runs is shown with as many. */
export const BUILD_RUNS_COUNT_MAX = 10_000;
/** Runs that are locked at once. */
const MOVE_MAX = 1_000;

/**
 * Says which builds a queue has, all of them at once. With AutoUpgrade, runs that are pinned to a Draining build move to
 * whichever gets new runs.
 *
 * @param session - On the store's database.
 * @param schema - Of the store.
 * @returns Whether anything changed.
 * @throws {LeaderFollowedError} When builds of this store were written with a newer fencing token: nothing is written.
 */
export async function setQueueBuilds(session: Session, schema: string, set: QueueBuilds): Promise<boolean> {
  const { taskQueue, pinning, builds, fence } = set;
  const quoted = quoteIdentifier(schema);
  let changed: boolean;
  try {
    const { rows } = await session.query<{ changed: boolean }>({
      text: `select ${quoted}.set_queue_builds($1, $2, $3) as changed`,
      values: [taskQueue, JSON.stringify({ pinning, builds }), fence],
    });
    changed = rows[0]?.changed === true;
  } catch (error) {
    if (codeOf(error) !== OWN_SQLSTATES.leaderFollowed) throw error;
    throw new LeaderFollowedError({ token: fence, cause: error });
  }
  if (pinning === "AutoUpgrade") {
    for (const { buildId: fromBuildId, role } of builds)
      if (role === "Draining") await moveRuns(session, schema, { taskQueue, fromBuildId, toBuildId: null });
  }
  if (changed) await tellQueue(session, schema, taskQueue);
  return changed;
}

/**
 * Moves the open runs of one build of a queue to another, a bounded number at a time. A worker that has one in memory keeps
 * it until it lets go of it; what was parked because its code did not match is tried again.
 *
 * @returns How many were moved.
 */
export async function moveRuns(session: Session, schema: string, move: RunMove): Promise<number> {
  const { taskQueue, fromBuildId, toBuildId } = move;
  if (fromBuildId === toBuildId) return 0;
  let movedCount = 0;
  for (;;) {
    const { rows } = await session.query<{ moved: number }>({
      text: `select ${quoteIdentifier(schema)}.move_runs($1, $2, $3, $4) as moved`,
      values: [taskQueue, fromBuildId, toBuildId, MOVE_MAX],
    });
    const moved = rows[0]?.moved ?? 0;
    movedCount += moved;
    if (moved < MOVE_MAX) break;
  }
  if (movedCount > 0) await tellQueue(session, schema, taskQueue);
  return movedCount;
}

/** The open runs of each build of each queue of the store; builds without any are left out. */
export async function readBuildRuns(session: Session, schema: string): Promise<readonly BuildRuns[]> {
  const { rows } = await session.query<{
    task_queue: string;
    build_id: string;
    open_runs: string;
    unowned: string;
    workers: string;
  }>({
    text: `select * from ${quoteIdentifier(schema)}.observe_builds($1)`,
    values: [BUILD_RUNS_COUNT_MAX],
  });
  return rows.map((row) => ({
    taskQueue: row.task_queue,
    buildId: row.build_id,
    openRuns: Number(row.open_runs),
    unownedRuns: Number(row.unowned),
    workers: Number(row.workers),
  }));
}

/** Who may claim what changed: workers look at once, and would find it by polling. */
async function tellQueue(session: Session, schema: string, taskQueue: string): Promise<void> {
  await session.query({
    text: "select pg_notify($1, what) from unnest($2::text[]) as told (what)",
    values: [queueChannel(schema, taskQueue), ["runs", "activities", "later"]],
  });
}
