/**
 * The heartbeat thread's own connection: at most one, opened when it is needed, dropped when it is silent.
 *
 * Promises that every statement ends within its deadline, connecting included, whatever state the network is in. Does
 * not retry and does not pool: the next beat is the retry.
 */
import pg from "pg";
import type { ThreadData } from "./thread-protocol.ts";

const APPLICATION_NAME = "memflow:heartbeat";
const KEEP_ALIVE_INITIAL_DELAY_MS = 10_000;

interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
  /** Aborted once nobody waits for the answer. */
  readonly signal: AbortSignal;
}

export class BeatConnection {
  readonly #data: ThreadData;
  readonly #askPassword: () => Promise<string>;
  #client: pg.Client | undefined;
  /** Statements wait for one another: `pg` would queue them behind a silent one for good. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(data: ThreadData, askPassword: () => Promise<string>) {
    this.#data = data;
    this.#askPassword = askPassword;
  }

  /** Executes one statement; waiting for the one before and connecting count against the deadline. */
  async query(text: string, values: readonly unknown[], deadlineMs: number): Promise<pg.QueryResult> {
    const attempt = new AbortController();
    const turn = this.#last.then(() => this.#connectAndQuery({ text, values, signal: attempt.signal }));
    const result = this.#inTime(turn, deadlineMs, attempt);
    this.#last = result.catch(() => undefined);
    return result;
  }

  async #inTime(
    turn: Promise<pg.QueryResult>,
    deadlineMs: number,
    attempt: AbortController,
  ): Promise<pg.QueryResult> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(new Error(`the database gave no answer within ${deadlineMs} ms`)),
        deadlineMs,
      );
    });
    try {
      return await Promise.race([turn, late]);
    } catch (error) {
      attempt.abort(error);
      this.#drop();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #connectAndQuery(statement: Statement): Promise<pg.QueryResult> {
    const client = this.#client ?? (await this.#connect(statement.signal));
    return client.query(statement.text, [...statement.values]);
  }

  async #connect(signal: AbortSignal): Promise<pg.Client> {
    const { connection, asksPassword } = this.#data;
    const password = asksPassword ? { password: await this.#askPassword() } : {};
    // Nobody waits any more: a client made now would be nobody's to drop.
    signal.throwIfAborted();
    const client = new pg.Client({
      ...connection,
      ...password,
      application_name: APPLICATION_NAME,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_INITIAL_DELAY_MS,
    });
    // An error between two beats: without a listener it would end the thread.
    client.on("error", () => {
      if (this.#client === client) this.#drop();
    });
    this.#client = client;
    await client.connect();
    return client;
  }

  #drop(): void {
    this.#client?.connection.stream.destroy();
    this.#client = undefined;
  }
}
