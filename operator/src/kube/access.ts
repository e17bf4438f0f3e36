/** Asks the API server what our own role may do, so that what it may not is known before it fails. */
import type { KubeClient } from "./kube-client.ts";
import type { ResourceType } from "./resource-type.ts";
import type { KubeObject } from "./wire.ts";

/** An access that is asked about. */
export interface AccessQuestion {
  readonly verb: "get" | "list" | "watch" | "create" | "patch" | "delete";
  readonly type: ResourceType<KubeObject>;
  /** Left out: in all namespaces. */
  readonly namespace?: string | undefined;
}

interface AccessReview extends KubeObject {
  readonly spec?: unknown;
  readonly status?: { readonly allowed?: boolean };
}

export const SELF_SUBJECT_ACCESS_REVIEWS: ResourceType<AccessReview> = {
  apiVersion: "authorization.k8s.io/v1",
  kind: "SelfSubjectAccessReview",
  plural: "selfsubjectaccessreviews",
  namespaced: false,
  detail: "full",
};

/**
 * Whether our role may do it, as far as the server knows.
 *
 * @throws {KubeError} When the server did not answer the question.
 */
export async function mayAccess(
  client: KubeClient,
  { verb, type, namespace }: AccessQuestion,
  signal?: AbortSignal,
): Promise<boolean> {
  const [version = "", group] = type.apiVersion.split("/").toReversed();
  const review: AccessReview = {
    spec: { resourceAttributes: { verb, group: group ?? "", version, resource: type.plural, namespace } },
  };
  const answer = await client.create(SELF_SUBJECT_ACCESS_REVIEWS, review, {
    fieldManager: "memflow-operator",
    signal,
  });
  return answer.status?.allowed === true;
}
