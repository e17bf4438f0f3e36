/** What holds for all questions to the API server about users: how long answers stand, and what an error means. */
import { errorFields, KubeError, retryAfterMsOf } from "@memflow/operator/kube";
import { UnavailableError } from "./index.ts";

/** An answer stands for so long: a right that was taken away, or a token that was revoked, ends within it. */
export const ANSWER_KEPT_MS = 10_000;
/** Some hundred bytes each. */
export const ENTRY_MAX = 10_000;
/** As many as the connections to the API server carry at a time. */
export const ASKING_MAX = 64;

const MS_PER_SECOND = 1_000;

/**
 * Asks, and makes every failure one thing: nobody was told yes.
 *
 * @throws {UnavailableError} When no answer came.
 */
export async function askServer<Answer>(what: string, ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (cause) {
    if (!(cause instanceof KubeError)) throw cause;
    const retryAfterSeconds = Math.ceil((retryAfterMsOf(cause) ?? MS_PER_SECOND) / MS_PER_SECOND);
    const { code } = errorFields(cause);
    throw new UnavailableError(`the API server did not say ${what} (${String(code)})`, {
      retryAfterSeconds,
      cause,
    });
  }
}
