/**
 * Acting as somebody else, by the headers that kubectl's `--as` and `--as-group` send.
 *
 * Promises what the API server promises: who may impersonate each of the named, user and groups, is asked for the one who
 * really asks; who may not is refused, and never acts as itself instead. Names are taken as they stand.
 *
 * @see https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
 */
import type { IncomingMessage } from "node:http";
import type { ReviewedAccess } from "@memflow/operator/kube";
import { UnauthenticatedError } from "./index.ts";

/** Whom a request wants to be. */
export interface Impersonation {
  readonly user: string;
  readonly groups: readonly string[];
}

const PREFIX = "impersonate-";
const USER = "impersonate-user";
const GROUP = "impersonate-group";
const GROUPS_MAX = 64;
const NAME_CHARACTERS_MAX = 512;
const SERVICE_ACCOUNT = /^system:serviceaccount:(?<namespace>[a-z0-9-]{1,63}):(?<name>[a-z0-9.-]{1,253})$/u;
const ANONYMOUS = "system:anonymous";
const AUTHENTICATED = "system:authenticated";
const UNAUTHENTICATED = "system:unauthenticated";

/**
 * Reads the headers.
 *
 * @returns Undefined when there are none.
 * @throws {UnauthenticatedError} When they do not say who, or ask for more than a user and groups.
 */
export function readImpersonation(
  request: Pick<IncomingMessage, "headersDistinct">,
): Impersonation | undefined {
  const names = Object.keys(request.headersDistinct).filter((name) => name.startsWith(PREFIX));
  if (names.length === 0) return undefined;
  const other = names.find((name) => name !== USER && name !== GROUP);
  if (other !== undefined) {
    throw new UnauthenticatedError(
      `the header ${other} is not taken: only a user and groups can be impersonated`,
    );
  }
  const users = request.headersDistinct[USER] ?? [];
  const groups = request.headersDistinct[GROUP] ?? [];
  const [user = ""] = users;
  if (users.length !== 1 || user === "") {
    throw new UnauthenticatedError(
      "Impersonate-Group comes with exactly one Impersonate-User, and that names a user",
    );
  }
  if (groups.length > GROUPS_MAX || groups.includes("")) {
    throw new UnauthenticatedError(`Impersonate-Group names a group, and comes ${GROUPS_MAX} times at most`);
  }
  if ([user, ...groups].some((name) => name.length > NAME_CHARACTERS_MAX)) {
    throw new UnauthenticatedError(`a name to impersonate has more than ${NAME_CHARACTERS_MAX} characters`);
  }
  return { user, groups };
}

/** What one has to be allowed, each of it. */
export function accessesOf({
  user,
  groups,
}: Impersonation): readonly (ReviewedAccess & { readonly namespace?: string })[] {
  const { namespace, name } = SERVICE_ACCOUNT.exec(user)?.groups ?? {};
  const ofUser =
    name === undefined
      ? { verb: "impersonate", group: "", resource: "users", name: user }
      : { verb: "impersonate", group: "", resource: "serviceaccounts", namespace: namespace ?? "", name };
  return [
    ofUser,
    ...groups.map((group) => ({ verb: "impersonate", group: "", resource: "groups", name: group })),
  ];
}

/** The groups that the impersonated is in: those that the API server would give. */
export function groupsOf({ user, groups }: Impersonation): readonly string[] {
  const { namespace } = SERVICE_ACCOUNT.exec(user)?.groups ?? {};
  const own =
    groups.length > 0 || namespace === undefined
      ? groups
      : ["system:serviceaccounts", `system:serviceaccounts:${namespace}`];
  const basic = user === ANONYMOUS ? UNAUTHENTICATED : AUTHENTICATED;
  return own.includes(AUTHENTICATED) || own.includes(UNAUTHENTICATED) ? own : [...own, basic];
}
