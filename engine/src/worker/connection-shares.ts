/**
 * What shares a connection in a worker that may not open as many as it would like.
 *
 * Promises never more than the bound; and that two never share: the heartbeat, which beats from a thread of its own, and
 * LISTEN. What shares a connection waits for each other and nothing else: statements of a session go one after another.
 */
import { OptionError } from "../core/errors.ts";

/** Heartbeat, LISTEN, statements of the worker itself, statements of its runs. */
export const WORKER_CONNECTIONS_MIN = 4;
/** More serve no worker: see the defaults. */
export const WORKER_CONNECTIONS_MAX = 8;

/** Who has a connection of its own, besides heartbeat, LISTEN, control and claims. */
export interface ConnectionShares {
  /** Connections for flushes; 0: they go by that of claims. */
  readonly flushing: number;
  /** Flushes that may be on their way at once, at least one. */
  readonly lanes: number;
  /** Outcomes of queued attempts; else by that of claims. */
  readonly settlesAlone: boolean;
  /** Notifications; else by that of control. */
  readonly notifiesAlone: boolean;
}

/**
 * Shares a worker's connections out: first flushes get one, which runs wait for; then outcomes, more lanes, notifications.
 *
 * @param bound - Connections of the worker, 4 or more; undefined: as many as it likes.
 * @param lanesWanted - Flushes that may be on their way at once.
 * @throws {OptionError} When the bound is too low to work with.
 */
export function shareConnections(bound: number | undefined, lanesWanted: number): ConnectionShares {
  if (bound === undefined)
    return { flushing: lanesWanted, lanes: lanesWanted, settlesAlone: true, notifiesAlone: true };
  if (!Number.isInteger(bound) || bound < WORKER_CONNECTIONS_MIN) {
    const remedy = `give a whole number from ${WORKER_CONNECTIONS_MIN}: heartbeat, LISTEN, the worker and its runs need one each`;
    throw new OptionError({ field: "maxConnections", value: bound, remedy });
  }
  const spare = bound - WORKER_CONNECTIONS_MIN;
  const settlesAlone = spare >= 2;
  const flushing = Math.min(lanesWanted, spare < 2 ? spare : spare - 1);
  return {
    flushing,
    lanes: Math.max(1, flushing),
    settlesAlone,
    notifiesAlone: spare > flushing + Number(settlesAlone),
  };
}
