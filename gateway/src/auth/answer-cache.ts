/**
 * Keeps the answers of somebody who is asked the same again and again, for a short time.
 *
 * Promises: an answer is given out for no longer than `keepMs`, counted from before its question was sent, so a right that
 * was taken away ends in that time; equal questions at one time are asked once; what went wrong is told to all who wait
 * and is not kept; neither answers nor questions under way are more than so many.
 */
import type { Clock } from "@memflow/operator/kube";
import { UnavailableError } from "./index.ts";

/** How much is kept, for how long. */
export interface AnswerCacheOptions {
  /** What is asked, for messages: `rights`. */
  readonly subject: string;
  readonly keepMs: number;
  /** Answers; the oldest goes for the newest. */
  readonly entryMax: number;
  /** Questions under way; one more is refused. */
  readonly askingMax: number;
  readonly clock: Clock;
}

interface Kept<Answer> {
  readonly answer: Answer;
  readonly askedMs: number;
}

/** @see AnswerCacheOptions */
export class AnswerCache<Answer> {
  readonly #options: AnswerCacheOptions;
  /** In the order of their coming. */
  readonly #kept = new Map<string, Kept<Answer>>();
  readonly #asking = new Map<string, Promise<Answer>>();

  constructor(options: AnswerCacheOptions) {
    this.#options = options;
  }

  /** Answers that are kept now, old ones included. */
  get size(): number {
    return this.#kept.size;
  }

  /**
   * @param key - Equal for equal questions alone.
   * @throws {UnavailableError} When too much is being asked; whatever `ask` rejects with.
   */
  async answer(key: string, ask: () => Promise<Answer>): Promise<Answer> {
    const { keepMs, askingMax, clock, subject } = this.#options;
    const kept = this.#kept.get(key);
    if (kept !== undefined && clock.steadyMs() - kept.askedMs < keepMs) return kept.answer;
    const under = this.#asking.get(key);
    if (under !== undefined) return under;
    if (this.#asking.size >= askingMax) {
      throw new UnavailableError(`${askingMax} questions about ${subject} are under way; come again`);
    }
    const asking = this.#ask(key, ask).finally(() => this.#asking.delete(key));
    this.#asking.set(key, asking);
    return asking;
  }

  async #ask(key: string, ask: () => Promise<Answer>): Promise<Answer> {
    const askedMs = this.#options.clock.steadyMs();
    const answer = await ask();
    this.#kept.delete(key);
    this.#kept.set(key, { answer, askedMs });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#options.entryMax) break;
      this.#kept.delete(oldest);
    }
    return answer;
  }
}
