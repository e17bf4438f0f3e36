/**
 * Who may what in a cluster: users are the cluster's, rights are its roles.
 *
 * A client certificate counts before a token, as at the API server; one that is not taken counts for nothing, and a token
 * beside it is asked about. Who brings neither is refused: nobody is anonymous here. Headers in which a proxy says who somebody
 * is (X-Remote-User) are not read.
 *
 * Promises to fail closed: what can't be found out is `UnavailableError`, for everyone.
 */
import type { IncomingMessage } from "node:http";
import { bearerToken } from "./bearer.ts";
import type { CertificateAuthenticator } from "./certificate-authenticator.ts";
import { AccessReviewer, reviewedAccess } from "./access-reviewer.ts";
import { accessesOf, groupsOf, readImpersonation } from "./impersonation.ts";
import type { Impersonation } from "./impersonation.ts";
import { ForbiddenError, UnauthenticatedError } from "./index.ts";
import type { Access, Gatekeeper, Subject } from "./index.ts";
import type { TokenAuthenticator } from "./token-authenticator.ts";

/** What it asks. */
export interface ClusterGatekeeperParts {
  readonly tokens: Pick<TokenAuthenticator, "identify">;
  /** Left out: client certificates are not taken. */
  readonly certificates?: Pick<CertificateAuthenticator, "identify" | "takesAny"> | undefined;
  readonly rights: Pick<AccessReviewer, "review">;
}

/** @see ClusterGatekeeperParts */
export class ClusterGatekeeper implements Gatekeeper {
  readonly #parts: ClusterGatekeeperParts;

  constructor(parts: ClusterGatekeeperParts) {
    this.#parts = parts;
  }

  async identify(request: IncomingMessage): Promise<Subject> {
    const impersonation = readImpersonation(request);
    const caller = await this.#caller(request);
    return impersonation === undefined ? caller : this.#impersonate(caller, impersonation);
  }

  async admit(subject: Subject, access: Access): Promise<void> {
    const { allowed, reason } = await this.#parts.rights.review(subject, reviewedAccess(access));
    if (!allowed) throw new ForbiddenError(subject, access, reason);
  }

  async may(subject: Subject, access: Access): Promise<boolean> {
    return (await this.#parts.rights.review(subject, reviewedAccess(access))).allowed;
  }

  async #caller(request: IncomingMessage): Promise<Subject> {
    const certificate = this.#parts.certificates?.identify(request.socket) ?? { kind: "None" };
    if (certificate.kind === "Subject") return certificate.subject;
    const token = bearerToken(request);
    if (token !== undefined) return this.#parts.tokens.identify(token);
    throw new UnauthenticatedError(
      certificate.kind === "Refused"
        ? `the client certificate is not taken: ${certificate.reason}`
        : "nobody is known by this request: bring a bearer token, or a client certificate of the cluster",
      // So that who has nothing but a certificate knows whether it is of any use here.
      { challenge: this.#parts.certificates?.takesAny === true ? "Bearer, Certificate" : "Bearer" },
    );
  }

  async #impersonate(caller: Subject, impersonation: Impersonation): Promise<Subject> {
    for (const access of accessesOf(impersonation)) {
      const { allowed, reason } = await this.#parts.rights.review(caller, access);
      if (!allowed) throw new ForbiddenError(caller, { namespace: "", ...access }, reason);
    }
    const { via, name: impersonatedBy } = caller;
    return { name: impersonation.user, groups: groupsOf(impersonation), via, impersonatedBy };
  }
}
