/**
 * Sends NOTIFY for others' haste, beside the commits and never inside them.
 *
 * Promises: at once when idle, at most one statement every 5 ms when busy, equal ids once per statement, payloads
 * within Postgres' limit. A notification that cannot be sent is dropped and counted: whoever waits polls as well.
 * Commits do not wait for it: NOTIFY in a flush would take Postgres' cluster-wide commit lock.
 */
import { textArray } from "./binary-arrays.ts";
import type { ConnectionSource } from "./connection-source.ts";
import { outside } from "./outside.ts";
import { Session } from "./session.ts";

/** How to make a notifier. */
export type NotifierOptions = (
  | { readonly source: ConnectionSource }
  /** Somebody else's, who closes it after this was closed. */
  | { readonly session: Session }
) & {
  /** The least time between two statements; default 5 ms. */
  readonly intervalMs?: number;
};

const INTERVAL_MS = 5;
/** Postgres refuses payloads of 8,000 bytes. */
export const PAYLOAD_BYTES_MAX = 7_900;
const SEPARATOR = ",";
/** Ids that wait for the next statement. More than this waits only while the database is away. */
const PENDING_MAX = 100_000;
const TIMEOUT_MS = 5_000;

const NOTIFY = {
  name: "memflow_notify",
  text: "select pg_notify(channel, payload) from unnest($1::text[], $2::text[]) as message(channel, payload)",
  timeoutMs: TIMEOUT_MS,
} as const;

/** @see NotifierOptions */
export class Notifier {
  readonly #session: Session;
  readonly #isShared: boolean;
  readonly #intervalMs: number;
  #pending = new Map<string, Set<string>>();
  #pendingCount = 0;
  #sending: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sentCount = 0;
  #droppedCount = 0;
  #closed = false;

  constructor(options: NotifierOptions) {
    this.#isShared = "session" in options;
    // The commit of a notification need not be durable.
    const settings = { synchronous_commit: "off" };
    this.#session =
      "session" in options
        ? options.session
        : new Session({ source: options.source, purpose: "notify", settings });
    this.#intervalMs = options.intervalMs ?? INTERVAL_MS;
  }

  /** Statements that Postgres confirmed. */
  get sentCount(): number {
    return this.#sentCount;
  }

  /** Ids that were dropped: the database was away or too slow. */
  get droppedCount(): number {
    return this.#droppedCount;
  }

  /**
   * Sends an id to a channel soon; returns at once.
   *
   * @param channel - See `channelName`.
   * @param payload - One id, without a comma: several ids for one channel arrive joined by commas. '' is a bare call.
   * @throws {RangeError} When the id has a comma, a NUL character or more than 7,900 bytes.
   */
  notify(channel: string, payload: string): void {
    assertId(payload);
    if (this.#closed || this.#pendingCount >= PENDING_MAX) {
      this.#droppedCount += 1;
      return;
    }
    const ids = this.#pending.get(channel) ?? new Set<string>();
    this.#pending.set(channel, ids);
    if (ids.has(payload)) return;
    ids.add(payload);
    this.#pendingCount += 1;
    if (this.#sending === undefined && this.#timer === undefined) this.#send();
  }

  /** Sends what waits, then ends the connection. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#sending;
    this.#send();
    await this.#sending;
    if (!this.#isShared) await this.#session.close();
  }

  #send(): void {
    this.#timer = undefined;
    if (this.#pendingCount === 0) return;
    const { channels, payloads } = joinIds(this.#pending);
    const idCount = this.#pendingCount;
    this.#pending = new Map();
    this.#pendingCount = 0;
    this.#sending = outside(() => this.#sendBatch({ channels, payloads, idCount }));
  }

  async #sendBatch({ channels, payloads, idCount }: Batch): Promise<void> {
    const startedMs = performance.now();
    try {
      await this.#session.query({ ...NOTIFY, values: [textArray(channels), textArray(payloads)] });
      this.#sentCount += 1;
    } catch {
      // Dropped on purpose: those who wait find their work by polling, the counter tells how often they had to.
      this.#droppedCount += idCount;
    }
    this.#sending = undefined;
    if (this.#closed) return;
    const restMs = this.#intervalMs - (performance.now() - startedMs);
    if (restMs > 0) this.#timer = setTimeout(() => this.#send(), restMs);
    else this.#send();
  }
}

interface Batch {
  readonly channels: readonly string[];
  readonly payloads: readonly string[];
  readonly idCount: number;
}

/** One payload per channel, or several where the ids of one do not fit. */
export function joinIds(pending: ReadonlyMap<string, ReadonlySet<string>>): Omit<Batch, "idCount"> {
  const channels: string[] = [];
  const payloads: string[] = [];
  for (const [channel, ids] of pending) {
    let payload: string | undefined;
    let bytes = 0;
    for (const id of ids) {
      const idBytes = Buffer.byteLength(id) + SEPARATOR.length;
      if (payload === undefined) {
        payload = id;
        bytes = idBytes;
      } else if (bytes + idBytes > PAYLOAD_BYTES_MAX) {
        channels.push(channel);
        payloads.push(payload);
        payload = id;
        bytes = idBytes;
      } else {
        payload += SEPARATOR + id;
        bytes += idBytes;
      }
    }
    if (payload !== undefined) {
      channels.push(channel);
      payloads.push(payload);
    }
  }
  return { channels, payloads };
}

function assertId(id: string): void {
  if (!id.includes(SEPARATOR) && !id.includes("\0") && Buffer.byteLength(id) < PAYLOAD_BYTES_MAX) return;
  throw new RangeError(
    `notification ${JSON.stringify(id.slice(0, 80))} must be one id: no comma, no NUL, below ${PAYLOAD_BYTES_MAX} bytes`,
  );
}
