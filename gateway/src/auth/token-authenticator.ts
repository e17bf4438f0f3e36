/**
 * Bearer tokens: whose they are, the API server says.
 *
 * A token made for the gateway (its audience is one of ours) is reviewed for that audience; one made for the API server, as
 * in a kubeconfig, for the API server, where those are taken. Which of the two is asked follows from what the token says
 * of itself; whether that is true, the API server judges: a token that lies is asked about wrongly and refused.
 *
 * Promises that a token is kept nowhere: answers are kept under its hash.
 */
import { createHash } from "node:crypto";
import { reviewToken } from "@memflow/operator/kube";
import type { Clock, KubeClient, ReviewedUser } from "@memflow/operator/kube";
import { AnswerCache } from "./answer-cache.ts";
import { UnauthenticatedError } from "./index.ts";
import type { Subject } from "./index.ts";
import { ANSWER_KEPT_MS, askServer, ASKING_MAX, ENTRY_MAX } from "./review-limits.ts";

/** Whose tokens are taken. */
export interface TokenRules {
  /** Audiences of tokens that are made for the gateway; at least one. */
  readonly audiences: readonly string[];
  /** Whether those are taken that are made for the API server. */
  readonly ofApiServer: boolean;
}

/** @see TokenRules */
export class TokenAuthenticator {
  readonly #client: KubeClient;
  readonly #rules: TokenRules;
  readonly #answers: AnswerCache<ReviewedUser | undefined>;

  constructor(client: KubeClient, rules: TokenRules, clock: Clock = client.clock) {
    this.#client = client;
    this.#rules = rules;
    this.#answers = new AnswerCache({
      subject: "tokens",
      keepMs: ANSWER_KEPT_MS,
      entryMax: ENTRY_MAX,
      askingMax: ASKING_MAX,
      clock,
    });
  }

  /**
   * @throws {UnauthenticatedError} When the token is nobody's; {UnavailableError} when the API server did not say.
   */
  async identify(token: string): Promise<Subject> {
    const audiences = this.#audiencesFor(token);
    const key = createHash("sha256").update(token).digest("base64");
    const user = await this.#answers.answer(key, () =>
      askServer("whose the token is", () => reviewToken(this.#client, { token, audiences })),
    );
    if (user === undefined) throw unknownToken();
    return { ...user, via: "token" };
  }

  #audiencesFor(token: string): readonly string[] {
    const { audiences, ofApiServer } = this.#rules;
    const claimed = claimedAudiences(token);
    return !ofApiServer || audiences.some((audience) => claimed.includes(audience)) ? audiences : [];
  }
}

/** What a token says for whom it is, unverified; nothing when it is no JWT. */
function claimedAudiences(token: string): readonly string[] {
  const [, payload = ""] = token.split(".");
  try {
    const { aud } = JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as {
      readonly aud?: unknown;
    };
    return [aud].flat().filter((audience) => typeof audience === "string");
  } catch {
    // Tokens need not be readable.
    return [];
  }
}

function unknownToken(): UnauthenticatedError {
  return new UnauthenticatedError(
    "the token is not known to the cluster, has run out, or is for another audience; renew it",
    { challenge: 'Bearer error="invalid_token"' },
  );
}
