/**
 * One line to Postgres that heals itself: statements go one after another over one connection at a time.
 *
 * Promises: connects with the first query and again with the first query after a loss (one bounded attempt each); a
 * silent connection is found within the statement's timeout; a transaction never continues on another connection; no
 * caller's asynchronous context is kept. Does not retry: who asked knows whether the statement may be sent twice.
 */
import pg from "pg";
import { MemFlowError } from "../core/errors.ts";
import type { ConnectionSource } from "./connection-source.ts";
import { askClient, closeClient, destroyClient, openClient } from "./open-client.ts";
import type { SessionSettings, Statement } from "./open-client.ts";
import { connectionLost, isStalePlan } from "./sql-errors.ts";

export type { SessionSettings, Statement } from "./open-client.ts";

/** How to make a session. */
export interface SessionOptions {
  readonly source: ConnectionSource;
  /** What it is for, seen in `pg_stat_activity.application_name` as `memflow:<purpose>`. */
  readonly purpose: string;
  /** Set on each connection; ignored on a pooled source, so correctness must not need them. */
  readonly settings?: SessionSettings;
  /** Default 5 s. */
  readonly connectTimeoutMs?: number;
}

/** Sends one statement of a transaction. */
export type TransactionQuery = <Row extends pg.QueryResultRow = pg.QueryResultRow>(
  statement: Statement,
) => Promise<pg.QueryResult<Row>>;

/** A session was used after `close()`. */
export class SessionClosedError extends MemFlowError {
  constructor(purpose: string) {
    super(`session "${purpose}" is closed; make a new one`, {
      name: "SessionClosedError",
      code: "SESSION_CLOSED",
    });
  }
}

/** @see SessionOptions */
export class Session {
  readonly #options: SessionOptions;
  #client: pg.Client | undefined;
  /** Settles when everything asked so far is answered; never rejects. */
  #tail: Promise<unknown> = Promise.resolve();
  #asking = false;
  #lostTransaction = false;
  #closed = false;
  #destroyed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** True while a connection stands, as far as this side knows. */
  get connected(): boolean {
    return this.#client !== undefined;
  }

  /** The process id of the backend (of the pooler, behind one); undefined while not connected. */
  get backendPid(): number | undefined {
    const client: (pg.Client & { readonly processID?: number | null }) | undefined = this.#client;
    return client?.processID ?? undefined;
  }

  /**
   * Sends one statement after all those before it.
   *
   * @returns The result as `pg` gives it; types are parsed as in row-types.ts.
   * @throws {ConnectionError} When no connection can be made, or it was lost before the answer: the statement may stand.
   * @throws {pg.DatabaseError} What Postgres said; see `classifySqlError`.
   * @throws {SessionClosedError} After `close()`.
   */
  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    statement: Statement,
  ): Promise<pg.QueryResult<Row>> {
    return this.#inTurn(async () => this.#send<Row>(await this.#connectedClient(), statement));
  }

  /**
   * Runs `work` between `begin` and `commit` on one connection, with no other statement of this session in between.
   *
   * @param work - Sends its statements one after another through the function that it is given; to call `query` of the
   *   session instead would wait for ever.
   * @returns What `work` returned, once the commit is acknowledged.
   * @throws What `work` or a statement threw, after a rollback; after a lost connection the commit may stand.
   */
  transaction<Result>(work: (query: TransactionQuery) => Promise<Result>): Promise<Result> {
    return this.#inTurn(async () => {
      const client = await this.#connectedClient();
      await this.#send(client, { text: "begin" });
      try {
        const result = await work((statement) => this.#send(client, statement));
        await this.#send(client, { text: "commit" });
        return result;
      } catch (error) {
        await this.#rollback(client);
        throw error;
      } finally {
        // The caller has learned of it here.
        this.#lostTransaction = false;
      }
    });
  }

  /** Waits for what was asked already, then closes the connection. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#tail;
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) await closeClient(client);
  }

  /** Drops the connection at once; what was asked fails, and so does all that follows. */
  destroy(): void {
    this.#closed = true;
    this.#destroyed = true;
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) destroyClient(client);
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#closed) return Promise.reject(new SessionClosedError(this.#options.purpose));
    const result = this.#tail.then(work);
    this.#tail = result.then(ignore, ignore);
    return result;
  }

  async #connectedClient(): Promise<pg.Client> {
    if (this.#lostTransaction) {
      this.#lostTransaction = false;
      throw connectionLost(this.#options.source, "was lost inside a transaction");
    }
    this.#client ??= await this.#open();
    return this.#client;
  }

  async #open(): Promise<pg.Client> {
    const closed = new SessionClosedError(this.#options.purpose);
    if (this.#destroyed) throw closed;
    const client = await openClient({ ...this.#options, onLost: (lost) => this.#forget(lost) });
    if (!this.#destroyed) return client;
    destroyClient(client);
    throw closed;
  }

  async #send<Row extends pg.QueryResultRow>(
    client: pg.Client,
    statement: Statement,
  ): Promise<pg.QueryResult<Row>> {
    const { source } = this.#options;
    if (client !== this.#client) throw connectionLost(source, "was lost inside a transaction");
    this.#asking = true;
    try {
      return await askClient<Row>({ client, source, statement });
    } catch (error) {
      if (endsConnection(error)) destroyClient(client);
      if (client.connection.stream.destroyed) this.#forget(client);
      throw error;
    } finally {
      this.#asking = false;
    }
  }

  /** A connection that cannot even roll back is dropped: its transaction must not meet the next statement. */
  async #rollback(client: pg.Client): Promise<void> {
    if (client !== this.#client) return;
    try {
      await this.#send(client, { text: "rollback" });
    } catch {
      destroyClient(client);
      this.#forget(client);
    }
  }

  #forget(client: pg.Client): void {
    if (client !== this.#client) return;
    this.#client = undefined;
    // Whoever waits for an answer learns of the loss by it; else the next statement must not run outside its transaction.
    this.#lostTransaction = !this.#asking && client.getTransactionStatus() !== "I";
  }
}

/**
 * After these the connection is no more use: Postgres closes it, it leads to a server that is no longer the primary, or
 * its prepared statements are not what they were.
 */
function endsConnection(error: unknown): boolean {
  if (!(error instanceof pg.DatabaseError)) return false;
  if (error.severity === "FATAL" || isStalePlan(error)) return true;
  return error.code === "25006" || error.code === "25P03" || error.code?.startsWith("57P") === true;
}

function ignore(): void {}
