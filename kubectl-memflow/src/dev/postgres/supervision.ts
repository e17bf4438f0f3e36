/**
 * Who looks after a running server: the process that holds one advisory lock in it.
 *
 * The lock lives as long as its holder's connection, so a supervisor that was killed holds nothing, without any file
 * that could go stale. Promises that at most one process supervises a server; when the connection alone is lost (an
 * administrator cut it) the lock is taken again.
 */
import { setTimeout as delay } from "node:timers/promises";

import pg from "pg";

/** A held lock. */
export interface Supervision {
  /** Gives the lock back; the server goes on. */
  release(): Promise<void>;
}

/** "memflow" in ASCII, cut to a positive 63-bit number: no other program takes this key by accident. */
const SUPERVISOR_LOCK = "30792318993526647";
const LOCK_TRY_MAX = 10;
const LOCK_RETRY_MS = 100;
const RECONNECT_MS = 500;

/**
 * Tries to become the supervisor.
 *
 * A killed supervisor's connection takes a moment to be seen, hence the few tries.
 *
 * @returns undefined when another process holds the lock.
 */
export async function superviseServer(url: string): Promise<Supervision | undefined> {
  for (let attempt = 1; attempt <= LOCK_TRY_MAX; attempt += 1) {
    const client = await tryLock(url);
    if (client !== undefined) return new HeldLock(url, client);
    await delay(LOCK_RETRY_MS);
  }
  return undefined;
}

async function tryLock(url: string): Promise<pg.Client | undefined> {
  const client = new pg.Client({
    connectionString: url,
    application_name: "memflow:supervisor",
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  });
  try {
    await client.connect();
    const { rows } = await client.query<{ locked: boolean }>(
      "select pg_try_advisory_lock($1::bigint) as locked",
      [SUPERVISOR_LOCK],
    );
    if (rows[0]?.locked === true) return client;
  } catch (error) {
    await client.end();
    throw error;
  }
  await client.end();
  return undefined;
}

class HeldLock implements Supervision {
  readonly #url: string;
  #client: pg.Client;
  #released = false;

  constructor(url: string, client: pg.Client) {
    this.#url = url;
    this.#client = client;
    this.#watch();
  }

  async release(): Promise<void> {
    this.#released = true;
    await this.#client.end();
  }

  #watch(): void {
    const client = this.#client;
    // The end follows; without a listener the error would end this process.
    client.on("error", () => undefined);
    client.once("end", () => {
      if (!this.#released) void this.#takeAgain();
    });
  }

  /** Goes on until the lock is back, the server is gone for good (its owner releases then) or another has it. */
  async #takeAgain(): Promise<void> {
    while (!this.#released) {
      await delay(RECONNECT_MS, undefined, { ref: false });
      const client = await tryLock(this.#url).catch(() => undefined);
      if (client === undefined) continue;
      if (this.#released) {
        await client.end();
        return;
      }
      this.#client = client;
      this.#watch();
      return;
    }
  }
}
