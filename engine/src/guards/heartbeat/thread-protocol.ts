/**
 * What the main thread and the heartbeat thread tell each other.
 */
import type pg from "pg";
import type { CodeOwner } from "./main-loop-board.ts";

const NANOSECONDS_PER_MS = 1_000_000;

/** What the thread is started with; all of it can be cloned. */
export interface ThreadData {
  readonly workerId: string;
  readonly board: SharedArrayBuffer;
  readonly connection: pg.ClientConfig;
  /** True when a fresh password must be asked from the main thread for each connection. */
  readonly asksPassword: boolean;
  readonly beatSql: string;
  readonly blameSql: string;
  readonly beatMs: number;
  readonly reportMs: number;
  readonly killMs: number;
  /** What the main thread's `performance` clock shows when `process.hrtime`, which all threads share, shows zero. */
  readonly clockOriginMs: number;
}

/** The clock that all threads of a process share, in milliseconds; it knows no jumps. */
export function sharedClockMs(): number {
  return Number(process.hrtime.bigint()) / NANOSECONDS_PER_MS;
}

/** One beat that the database has answered. */
export interface Beat {
  /** False once the database holds this worker for dead; it then drops everything. */
  readonly alive: boolean;
  /** The database's clock minus the main thread's `performance.timeOrigin + performance.now()`, in milliseconds. */
  readonly offsetMs: number;
  readonly roundTripMs: number;
}

/** One beat that the database has not answered; the next one is tried in time. */
export interface MissedBeat {
  readonly message: string;
  /** Time since the last beat that was answered, or since the start. */
  readonly silentMs: number;
}

/** A turn of the main loop that took too long. */
export interface BlockedLoop {
  readonly blockedMs: number;
  /** Whose code it was; undefined when it was nobody's, or could not be found out. */
  readonly owner: CodeOwner | undefined;
  /** The frames of the code that blocked, one a line; empty when the main thread did not answer. */
  readonly stack: string;
}

/** From the thread to the main thread. */
export type ThreadMessage =
  | { readonly type: "beat"; readonly beat: Beat }
  | { readonly type: "miss"; readonly miss: MissedBeat }
  | { readonly type: "blocked"; readonly blocked: BlockedLoop }
  | { readonly type: "ask-password" };

/** From the main thread to the thread. */
export interface PasswordMessage {
  readonly type: "password";
  readonly password: string | undefined;
  /** Why there is none. */
  readonly problem: string | undefined;
}
