/**
 * Asks the API server who somebody is (TokenReview) and what somebody may do (SubjectAccessReview).
 *
 * Promises to pass on what the server said and nothing else: an answer that did not come, or lacks what was asked, is an
 * error and never a yes. It keeps nothing, neither tokens nor answers, and no error of it holds a token.
 */
import type { CallOptions, KubeClient } from "./kube-client.ts";
import type { ResourceType } from "./resource-type.ts";
import type { KubeObject } from "./wire.ts";

/** A user as the API server knows it. */
export interface ReviewedUser {
  readonly name: string;
  readonly uid?: string | undefined;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/** A token, and for whom it must have been made. */
export interface TokenQuestion {
  readonly token: string;
  /** It must be for one of these; empty: for the API server itself. */
  readonly audiences: readonly string[];
}

/** Something that somebody wants to do. */
export interface ReviewedAccess {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string | undefined;
  /** Left out: of the cluster. */
  readonly namespace?: string | undefined;
  /** Left out: all objects. */
  readonly name?: string | undefined;
}

/** What the server said about an access. */
export interface AccessVerdict {
  readonly allowed: boolean;
  /** Why, where the server says it; empty otherwise. */
  readonly reason: string;
}

interface Review<Spec, Status> extends KubeObject {
  readonly spec: Spec;
  readonly status?: Status;
}

interface TokenStatus {
  readonly authenticated?: boolean;
  readonly audiences?: readonly string[];
  readonly user?: {
    readonly username?: string;
    readonly uid?: string;
    readonly groups?: readonly string[];
    readonly extra?: Readonly<Record<string, readonly string[]>>;
  };
}

interface AccessStatus {
  readonly allowed?: boolean;
  readonly denied?: boolean;
  readonly reason?: string;
}

export const TOKEN_REVIEWS: ResourceType<Review<unknown, TokenStatus>> = {
  apiVersion: "authentication.k8s.io/v1",
  kind: "TokenReview",
  plural: "tokenreviews",
  namespaced: false,
  detail: "full",
};

export const SUBJECT_ACCESS_REVIEWS: ResourceType<Review<unknown, AccessStatus>> = {
  apiVersion: "authorization.k8s.io/v1",
  kind: "SubjectAccessReview",
  plural: "subjectaccessreviews",
  namespaced: false,
  detail: "full",
};

/** Reviews leave nothing behind that anybody could own. */
const FIELD_MANAGER = "memflow-reviews";

/**
 * Whose token it is.
 *
 * @returns Undefined when it is nobody's, has run out, or is for another audience.
 * @throws {KubeError} When the server did not answer the question.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
 */
export async function reviewToken(
  client: KubeClient,
  { token, audiences }: TokenQuestion,
  { signal }: CallOptions = {},
): Promise<ReviewedUser | undefined> {
  const spec = { token, ...(audiences.length === 0 ? {} : { audiences }) };
  const { status } = await client.create(TOKEN_REVIEWS, { spec }, { fieldManager: FIELD_MANAGER, signal });
  if (status?.authenticated !== true) return undefined;
  // A server that knows nothing of audiences says yes without naming one: then the token may be for anybody.
  const isMeant = audiences.length === 0 || audiences.some((one) => status.audiences?.includes(one) === true);
  const { username = "", uid, groups = [], extra = {} } = status.user ?? {};
  if (!isMeant || username === "") return undefined;
  return { name: username, uid, groups, extra };
}

/**
 * Whether somebody may do something.
 *
 * @throws {KubeError} When the server did not answer the question.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/
 */
export async function reviewAccess(
  client: KubeClient,
  { user, access }: { readonly user: ReviewedUser; readonly access: ReviewedAccess },
  { signal }: CallOptions = {},
): Promise<AccessVerdict> {
  const { name, uid, groups, extra } = user;
  const spec = { user: name, uid, groups, extra, resourceAttributes: access };
  const { status } = await client.create(
    SUBJECT_ACCESS_REVIEWS,
    { spec },
    { fieldManager: FIELD_MANAGER, signal },
  );
  return { allowed: status?.allowed === true && status.denied !== true, reason: status?.reason ?? "" };
}
