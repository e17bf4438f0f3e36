/** What a subject may do: the API server says it, by the cluster's own roles. */
import { createHash } from "node:crypto";
import { reviewAccess } from "@memflow/operator/kube";
import type { AccessVerdict, Clock, KubeClient, ReviewedAccess } from "@memflow/operator/kube";
import { AnswerCache } from "./answer-cache.ts";
import type { Access, Subject } from "./index.ts";
import { ANSWER_KEPT_MS, askServer, ASKING_MAX, ENTRY_MAX } from "./review-limits.ts";

const GROUP = "memflow.io";

/** Asks SubjectAccessReviews, and keeps the answers for some seconds. */
export class AccessReviewer {
  readonly #client: KubeClient;
  readonly #answers: AnswerCache<AccessVerdict>;

  constructor(client: KubeClient, clock: Clock = client.clock) {
    this.#client = client;
    this.#answers = new AnswerCache({
      subject: "rights",
      keepMs: ANSWER_KEPT_MS,
      entryMax: ENTRY_MAX,
      askingMax: ASKING_MAX,
      clock,
    });
  }

  /** @throws {UnavailableError} When the API server did not say. */
  async review(subject: Subject, access: ReviewedAccess): Promise<AccessVerdict> {
    const { name, uid, groups, extra = {} } = subject;
    const user = { name, uid, groups, extra };
    const { verb, group, resource, subresource, namespace, name: object } = access;
    const question = [user, verb, group, resource, subresource, namespace, object];
    // Of users with many groups a question is long, and answers are many.
    const key = createHash("sha256").update(JSON.stringify(question)).digest("base64");
    return this.#answers.answer(key, () =>
      askServer("what the user may do", () => reviewAccess(this.#client, { user, access })),
    );
  }
}

/** An access to one of our resources, in the API server's words. */
export function reviewedAccess({ verb, resource, namespace, name }: Access): ReviewedAccess {
  const [plural = "", subresource] = resource.split("/");
  return { verb, group: GROUP, resource: plural, subresource, namespace, name };
}
