/**
 * Who looks after something in a database: the process that holds one advisory lock in it.
 *
 * The lock lives as long as its holder's connection, so a supervisor that was killed holds nothing, without any file
 * that could go stale. Promises that at most one process looks after it; when the connection alone is lost (an
 * administrator cut it) the lock is taken again.
 */
import { setTimeout as delay } from "node:timers/promises";

import pg from "pg";

/** A held lock. */
export interface Supervision {
  /** Gives the lock back; the database goes on. */
  release(): Promise<void>;
}

const LOCK_TRY_MAX = 10;
const LOCK_RETRY_MS = 100;
const RECONNECT_MS = 500;

/**
 * Tries to become the supervisor of whatever `lockName` stands for in this database.
 *
 * A killed supervisor's connection takes a moment to be seen, hence the few tries.
 *
 * @returns undefined when another process holds the lock.
 */
export async function supervise(url: string, lockName: string): Promise<Supervision | undefined> {
  for (let attempt = 1; attempt <= LOCK_TRY_MAX; attempt += 1) {
    const client = await tryLock(url, lockName);
    if (client !== undefined) return new HeldLock({ url, lockName, client });
    await delay(LOCK_RETRY_MS);
  }
  return undefined;
}

async function tryLock(url: string, lockName: string): Promise<pg.Client | undefined> {
  const client = new pg.Client({
    connectionString: url,
    application_name: "memflow:supervisor",
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  });
  try {
    await client.connect();
    const { rows } = await client.query<{ locked: boolean }>(
      "select pg_try_advisory_lock(hashtextextended($1, 0)) as locked",
      [lockName],
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
  readonly #lockName: string;
  #client: pg.Client;
  #released = false;

  constructor(lock: { readonly url: string; readonly lockName: string; readonly client: pg.Client }) {
    this.#url = lock.url;
    this.#lockName = lock.lockName;
    this.#client = lock.client;
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
      const client = await tryLock(this.#url, this.#lockName).catch(() => undefined);
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
