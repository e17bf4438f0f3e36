/**
 * A way to Postgres on which a test breaks or holds statements by their names.
 *
 * Promises that whatever it lets through reaches the real database unchanged. A broken statement is one whose connection
 * is lost before it was sent; a held one is executed, and its answer waits.
 */
import type pg from "pg";
import type { ConnectionSource } from "../store/connection-source.ts";

type Answer = (error: Error | null, result: pg.QueryResult) => void;
type Ask = (config: pg.QueryConfig, answer: Answer) => void;

/** A statement whose answer is held. */
export interface HeldAnswer {
  /** Settles when Postgres has answered. */
  readonly answered: Promise<void>;
  /** Lets the answer through. */
  release(): void;
}

export class MeddledSource {
  readonly source: ConnectionSource;
  readonly #broken = new Map<string, number>();
  readonly #ears = new Map<string, () => void>();
  readonly #held = new Map<string, (pass: () => void) => void>();

  constructor(source: ConnectionSource) {
    this.source = {
      ...source,
      // What is shared by its key must not be shared with others.
      key: `${source.key} meddled`,
      createClient: (overrides) => this.#meddle(source.createClient(overrides)),
    };
  }

  /** Loses the connection instead of sending the statement, as often as said. */
  break(name: string, times: number): void {
    this.#broken.set(name, times);
  }

  /** How often the statement is still to be broken. */
  breaksLeft(name: string): number {
    return this.#broken.get(name) ?? 0;
  }

  /** Holds the answer of the statement that comes next under this name. */
  holdNext(name: string): HeldAnswer {
    const answered = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    this.#held.set(name, (pass) => {
      answered.resolve();
      void released.promise.then(pass);
    });
    return { answered: answered.promise, release: () => released.resolve() };
  }

  /** Settles when a listening connection has heard this payload. */
  heard(payload: string): Promise<void> {
    return new Promise((resolve) => this.#ears.set(payload, resolve));
  }

  #meddle(client: pg.Client): pg.Client {
    client.on("notification", ({ payload = "" }) => {
      for (const part of payload.split(",")) this.#ears.get(part)?.();
    });
    const ask = client.query.bind(client) as unknown as Ask;
    const meddled: Ask = (config, answer) => {
      const name = config.name ?? "";
      const left = this.breaksLeft(name);
      if (left > 0) {
        this.#broken.set(name, left - 1);
        client.connection.stream.destroy();
      }
      const hold = this.#held.get(name);
      this.#held.delete(name);
      ask(config, hold === undefined ? answer : (error, result) => hold(() => answer(error, result)));
    };
    client.query = meddled as unknown as pg.Client["query"];
    return client;
  }
}
