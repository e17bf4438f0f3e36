/**
 * Hears NOTIFY on a connection of its own, for as long as it is open.
 *
 * Promises: one connection at a time, asked every 30 s whether it still answers; after a loss it connects again with a
 * jittered back-off, listens to every channel again and then calls `onReconnect`. What was sent in between is lost by
 * the nature of NOTIFY, so the owner sweeps then. Never throws by itself: NOTIFY is only the haste, polling the truth.
 */
import type pg from "pg";
import { backoffMs } from "./backoff.ts";
import type { Backoff } from "./backoff.ts";
import type { ConnectionSource } from "./connection-source.ts";
import { quoteIdentifier } from "./identifiers.ts";
import { askClient, closeClient, destroyClient, openClient } from "./open-client.ts";
import { outside } from "./outside.ts";
import { connectionLost } from "./sql-errors.ts";

/** How to make a listener. */
export interface ListenerOptions {
  /** A connection that reaches Postgres itself: see `listenSource`. */
  readonly source: ConnectionSource;
  /** Called for each notification, outside every run's context. */
  onNotification(channel: string, payload: string): void;
  /** Called after every connection but the first, when all channels are listened to again. */
  onReconnect(): void;
  /** Called when the connection was lost or a try to connect failed; the next try follows by itself. */
  onError?(error: unknown): void;
  /** How often the connection is asked whether it lives; default 30 s. */
  readonly keepAliveMs?: number;
  /** An answer that takes longer means a dead connection; default 5 s. */
  readonly deadlineMs?: number;
  /** Default 50 ms, doubled up to 5 s. */
  readonly backoff?: Backoff;
}

const KEEP_ALIVE_MS = 30_000;
const DEADLINE_MS = 5_000;
const BACKOFF: Backoff = { firstMs: 50, maxMs: 5_000 };

/** @see ListenerOptions */
export class Listener {
  readonly #options: ListenerOptions;
  /** Channels that are wanted; those of the present connection that Postgres has confirmed are true. */
  readonly #channels = new Map<string, boolean>();
  readonly #waiters = new Map<string, PromiseWithResolvers<void>>();
  #client: pg.Client | undefined;
  /** One thing at a time happens on the connection: changes of channels and the keep-alive go in turn. */
  #tail: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #asking = false;
  #failedCount = 0;
  #connectedBefore = false;
  #closed = false;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  /** True while a connection stands, as far as this side knows. */
  get connected(): boolean {
    return this.#client !== undefined;
  }

  /** The process id of the backend; undefined while not connected. */
  get backendPid(): number | undefined {
    const client: (pg.Client & { readonly processID?: number | null }) | undefined = this.#client;
    return client?.processID ?? undefined;
  }

  /**
   * Starts to listen; connects first where needed.
   *
   * @param channel - Any name of up to 63 bytes; see `channelName`.
   * @returns When Postgres has confirmed it: what is sent after that is heard. Waits while the database is away, and
   *   settles without it when the channel is given up or the listener closed.
   */
  listen(channel: string): Promise<void> {
    if (this.#closed || this.#channels.get(channel) === true) return Promise.resolve();
    const waiter = this.#waiters.get(channel) ?? Promise.withResolvers<void>();
    this.#waiters.set(channel, waiter);
    this.#channels.set(channel, false);
    if (this.#timer === undefined || this.#client !== undefined) void this.#inTurn(() => this.#ensure());
    return waiter.promise;
  }

  /** Stops listening. */
  async unlisten(channel: string): Promise<void> {
    const confirmed = this.#channels.get(channel) === true;
    this.#channels.delete(channel);
    this.#settle(channel);
    if (!confirmed) return;
    await this.#inTurn(async () => {
      // Asked for again in the meantime, or a connection that never heard of it.
      if (this.#channels.has(channel) || this.#client === undefined) return;
      await this.#ask(this.#client, `unlisten ${quoteIdentifier(channel)}`);
    });
  }

  /** Ends the connection; nothing is heard or called after it. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const channel of this.#waiters.keys()) this.#settle(channel);
    await this.#tail;
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) await closeClient(client);
  }

  /** Runs after all that was begun before; a failure leads to a new connection, never to the caller. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#tail = this.#tail.then(() => outside(work)).catch((error: unknown) => this.#recover(error));
    return this.#tail;
  }

  /** Makes the connection and its channels what they should be. */
  async #ensure(): Promise<void> {
    if (this.#closed || this.#channels.size === 0) return;
    const client = this.#client ?? (await this.#connect());
    if (client === undefined) return;
    for (const [channel, confirmed] of this.#channels) {
      if (confirmed) continue;
      await this.#ask(client, `listen ${quoteIdentifier(channel)}`);
      if (this.#channels.has(channel)) this.#channels.set(channel, true);
      // Given up while Postgres was being asked.
      else await this.#ask(client, `unlisten ${quoteIdentifier(channel)}`);
      this.#settle(channel);
    }
    this.#failedCount = 0;
    this.#schedule(this.#options.keepAliveMs ?? KEEP_ALIVE_MS, () => this.#keepAlive());
  }

  async #connect(): Promise<pg.Client | undefined> {
    const client = await openClient({
      source: this.#options.source,
      purpose: "listen",
      connectTimeoutMs: this.#options.deadlineMs ?? DEADLINE_MS,
      onLost: (lost) => this.#lose(lost),
    });
    if (this.#closed) {
      await closeClient(client);
      return undefined;
    }
    client.on("notification", ({ channel, payload }) => {
      if (this.#channels.has(channel)) this.#options.onNotification(channel, payload ?? "");
    });
    this.#client = client;
    if (this.#connectedBefore) void this.#inTurn(async () => this.#reportReconnect(client));
    this.#connectedBefore = true;
    return client;
  }

  /** Queued behind the LISTENs of the new connection; when it broke meanwhile, the next one reports. */
  #reportReconnect(client: pg.Client): void {
    if (client === this.#client && !this.#closed) this.#options.onReconnect();
  }

  async #keepAlive(): Promise<void> {
    if (this.#client !== undefined) await this.#ask(this.#client, "select 1");
    await this.#ensure();
  }

  async #ask(client: pg.Client, text: string): Promise<void> {
    const timeoutMs = this.#options.deadlineMs ?? DEADLINE_MS;
    this.#asking = true;
    try {
      await askClient({ client, source: this.#options.source, statement: { text, timeoutMs } });
    } finally {
      this.#asking = false;
    }
  }

  #lose(client: pg.Client): void {
    // Whoever waits for an answer learns of the loss by it.
    if (client !== this.#client || this.#asking) return;
    this.#recover(connectionLost(this.#options.source, "was lost"));
  }

  #recover(error: unknown): void {
    const client = this.#client;
    this.#client = undefined;
    for (const channel of this.#channels.keys()) this.#channels.set(channel, false);
    if (client !== undefined) destroyClient(client);
    if (this.#closed) return;
    this.#failedCount += 1;
    this.#options.onError?.(error);
    const delayMs = backoffMs(this.#options.backoff ?? BACKOFF, this.#failedCount, Math.random());
    this.#schedule(delayMs, () => this.#ensure());
  }

  #schedule(delayMs: number, work: () => Promise<void>): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    const run = (): void => {
      this.#timer = undefined;
      void this.#inTurn(work);
    };
    this.#timer = outside(() => setTimeout(run, delayMs));
  }

  #settle(channel: string): void {
    this.#waiters.get(channel)?.resolve();
    this.#waiters.delete(channel);
  }
}
