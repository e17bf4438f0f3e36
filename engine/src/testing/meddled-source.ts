/**
 * A way to Postgres on which a test breaks or holds statements by their names.
 *
 * Promises that whatever it lets through reaches the real database unchanged. A broken statement is one whose connection
 * is lost before it was sent; a held one is executed, and its answer waits until it is let through or lost.
 */
import type pg from "pg";
import type { ConnectionSource } from "../store/connection-source.ts";

type Answer = (error: Error | null, result: pg.QueryResult) => void;
type Ask = (config: pg.QueryConfig, answer: Answer) => void;

type Hold = (answer: { readonly error: Error | null; pass(): void; lose(): void }) => void;

/** A statement whose answer is held. */
export interface HeldAnswer {
  /** Settles when Postgres has answered; rejects when the answer is an error. */
  readonly answered: Promise<void>;
  /** Lets the answer through. */
  release(): void;
  /** Loses the connection in the answer's place: what was asked for stands, and who asked does not hear of it. */
  lose(): void;
}

export class MeddledSource {
  readonly source: ConnectionSource;
  readonly #broken = new Map<string, number>();
  readonly #ears = new Map<string, () => void>();
  readonly #held = new Map<string, Hold>();
  readonly #losing = new Map<string, number>();
  readonly #sent = new Map<string, number>();

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
    const decided = Promise.withResolvers<"pass" | "lose">();
    this.#held.set(name, ({ error, pass, lose }) => {
      if (error === null) answered.resolve();
      else answered.reject(error);
      void decided.promise.then((decision) => (decision === "pass" ? pass() : lose()));
    });
    return {
      answered: answered.promise,
      release: () => decided.resolve("pass"),
      lose: () => decided.resolve("lose"),
    };
  }

  /** Loses every answer under this name from now on. */
  loseEach(name: string): void {
    this.#losing.set(name, 0);
  }

  /** How many answers `loseEach` has lost. */
  lossCount(name: string): number {
    return this.#losing.get(name) ?? 0;
  }

  /** How often a statement of this name was sent. */
  sentCount(name: string): number {
    return this.#sent.get(name) ?? 0;
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
      this.#sent.set(name, this.sentCount(name) + 1);
      const left = this.breaksLeft(name);
      if (left > 0) {
        this.#broken.set(name, left - 1);
        client.connection.stream.destroy();
      }
      const hold = this.#held.get(name) ?? this.#loss(name);
      this.#held.delete(name);
      ask(config, (error, result) => {
        const pass = (): void => answer(error, result);
        const lose = (): void => {
          client.connection.stream.destroy();
          answer(new Error("the test lost this answer"), result);
        };
        if (hold === undefined) pass();
        else hold({ error, pass, lose });
      });
    };
    client.query = meddled as unknown as pg.Client["query"];
    return client;
  }

  #loss(name: string): Hold | undefined {
    if (!this.#losing.has(name)) return undefined;
    return ({ error, pass, lose }) => {
      // What Postgres refused is no acknowledgement.
      if (error !== null) {
        pass();
        return;
      }
      this.#losing.set(name, this.lossCount(name) + 1);
      lose();
    };
  }
}
