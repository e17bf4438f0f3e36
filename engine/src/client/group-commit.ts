/**
 * Collects what callers ask for while a flush is on its way, and commits it with the next one.
 *
 * Promises that each item's promise settles after its commit and once; that two items of one key never share a flush; and
 * that an item which Postgres refuses fails alone: the flush is split until it stands by itself.
 */
import { commitFlush } from "../store/flush-commit.ts";
import { outside } from "../store/outside.ts";
import type { Session, Statement } from "../store/session.ts";
import { classifySqlError } from "../store/sql-errors.ts";
import type { QueryText } from "../store/worker-queries.ts";

/** How one kind of flush is made. */
export interface GroupCommitOptions<Item, Answer> {
  readonly session: Session;
  readonly replyQuery: QueryText;
  readonly writer: string;
  nextNumber(): number;
  alive(): boolean;
  /** Items of one key go in different flushes. */
  keyOf(item: Item): string | undefined;
  statement(items: readonly Item[], number: number): Statement;
  /** What each item gets, from the flush's reply; an Error rejects it. */
  answers(items: readonly Item[], reply: string | null): readonly (Answer | Error)[];
  refusal(error: unknown): Error;
  /** Set where items that are written twice do harm: their ids are forgotten some time after the first try. */
  readonly retryMaxMs?: number;
}

interface Waiting<Item, Answer> {
  readonly item: Item;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

const ITEMS_MAX = 1_000;

export class GroupCommit<Item, Answer> {
  readonly #options: GroupCommitOptions<Item, Answer>;
  #queue: Waiting<Item, Answer>[] = [];
  #draining: Promise<void> | undefined;

  constructor(options: GroupCommitOptions<Item, Answer>) {
    this.#options = options;
  }

  /** Settles when the item's flush has committed. */
  add(item: Item): Promise<Answer> {
    const answer = new Promise<Answer>((resolve, reject) => this.#queue.push({ item, resolve, reject }));
    // It goes on for others: it must not keep the context of whoever came first.
    this.#draining ??= outside(() => this.#drain());
    return answer;
  }

  /** Settles when nothing is on its way. */
  async idle(): Promise<void> {
    await this.#draining;
  }

  async #drain(): Promise<void> {
    // The rest of this turn may add more.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0) await this.#commit(this.#take());
    this.#draining = undefined;
  }

  #take(): Waiting<Item, Answer>[] {
    const taken: Waiting<Item, Answer>[] = [];
    const later: Waiting<Item, Answer>[] = [];
    const keys = new Set<string>();
    for (const waiting of this.#queue) {
      const key = this.#options.keyOf(waiting.item);
      if (taken.length >= ITEMS_MAX || (key !== undefined && keys.has(key))) {
        later.push(waiting);
        continue;
      }
      if (key !== undefined) keys.add(key);
      taken.push(waiting);
    }
    this.#queue = later;
    return taken;
  }

  async #commit(batch: readonly Waiting<Item, Answer>[]): Promise<void> {
    const options = this.#options;
    const items = batch.map(({ item }) => item);
    try {
      const number = options.nextNumber();
      const reply = await commitFlush({
        session: options.session,
        statement: options.statement(items, number),
        replyQuery: options.replyQuery,
        writer: options.writer,
        number,
        alive: () => options.alive(),
        retryMaxMs: options.retryMaxMs,
      });
      const answers = options.answers(items, reply);
      for (const [index, { resolve, reject }] of batch.entries()) {
        const answer = answers[index];
        if (answer instanceof Error) reject(answer);
        else resolve(answer as Answer);
      }
    } catch (error) {
      await this.#afterRefusal(batch, error);
    }
  }

  async #afterRefusal(batch: readonly Waiting<Item, Answer>[], error: unknown): Promise<void> {
    const splittable = ["data", "other", "unique"].includes(classifySqlError(error));
    if (batch.length === 1 || !splittable) {
      for (const { reject } of batch) reject(this.#options.refusal(error));
      return;
    }
    const middle = batch.length >> 1;
    await this.#commit(batch.slice(0, middle));
    await this.#commit(batch.slice(middle));
  }
}
