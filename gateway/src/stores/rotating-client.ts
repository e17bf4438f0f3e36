/**
 * A client of a Store whose credentials change: one object for those who use it, one connection after another behind it.
 *
 * Promises that no call fails because of a change: each goes to the newest client, and an older one is closed only when
 * nothing is asked of it any more, however long a caller waits for a result or follows a history. A subscription is no call: it
 * ends with its client.
 */
import type { StoreClient } from "@memflow/engine";

/** What is asked of one client. */
class Generation {
  readonly client: StoreClient;
  #callCount = 0;
  #isRetired = false;
  readonly #unused = Promise.withResolvers<void>();

  constructor(client: StoreClient) {
    this.client = client;
  }

  begin(): void {
    this.#callCount += 1;
  }

  end(): void {
    this.#callCount -= 1;
    this.#settle();
  }

  /** Closes it once nothing is asked of it. */
  async retire(): Promise<void> {
    this.#isRetired = true;
    this.#settle();
    await this.#unused.promise;
    await this.client.close();
  }

  #settle(): void {
    if (this.#isRetired && this.#callCount === 0) this.#unused.resolve();
  }
}

/** @see StoreClient */
export class RotatingClient {
  /** The same object for ever. */
  readonly face: StoreClient;
  #current: Generation;
  readonly #retiring = new Set<Promise<void>>();
  readonly #onError: (error: unknown) => void;

  /**
   * @param onError - Hears why a client did not close well.
   */
  constructor(first: StoreClient, onError: (error: unknown) => void) {
    this.#current = new Generation(first);
    this.#onError = onError;
    this.face = new Proxy(first, { get: (_target, member) => this.#member(member) });
  }

  /** From now on calls go to another client. */
  replace(next: StoreClient): void {
    this.#retire(this.#current);
    this.#current = new Generation(next);
  }

  /** Closes all clients, each once its calls have ended. */
  async close(): Promise<void> {
    this.#retire(this.#current);
    await Promise.all(this.#retiring);
  }

  #retire(generation: Generation): void {
    const retiring = generation
      .retire()
      .catch(this.#onError)
      .finally(() => this.#retiring.delete(retiring));
    this.#retiring.add(retiring);
  }

  #member(member: string | symbol): unknown {
    const generation = this.#current;
    const { client } = generation;
    // Read on the client itself: its private fields are not the proxy's.
    const value: unknown = Reflect.get(client, member, client);
    if (typeof value !== "function") return value;
    return (...args: readonly unknown[]): unknown => counted(generation, Reflect.apply(value, client, args));
  }
}

/** What a method gave, counted for as long as it is under way. */
function counted(generation: Generation, result: unknown): unknown {
  if (result instanceof Promise) {
    generation.begin();
    return result.finally(() => generation.end());
  }
  return isAsyncIterable(result) ? countedSteps(generation, result) : result;
}

async function* countedSteps(
  generation: Generation,
  steps: AsyncIterable<unknown>,
): AsyncGenerator<unknown, void, undefined> {
  generation.begin();
  try {
    yield* steps;
  } finally {
    generation.end();
  }
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}
